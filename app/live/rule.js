// The exit rule and how numbers are written, exactly as in Python (dvt_core.thresholds,
// dvt_core.solver, app.figures.theme): the same comparisons, the same roundings.
// tests/ui/test_live_rule.py compares every function here with its twin.

// --- data as Python sends it -------------------------------------------------------------

function bytesOf(text) {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}

// base64 of little-endian numbers -> typed array
export function unpack(text, Type) {
  return new Type(bytesOf(text).buffer);
}

// {n, exit_macs, confidences, right} -> a table to evaluate. `confidences` holds float32 rows,
// one per exit but the last; `right` one byte per image, bit e set if exit e is right.
export function makeTable(data) {
  const all = unpack(data.confidences, Float32Array);
  const gates = data.exit_macs.length - 1;
  const rows = [];
  for (let e = 0; e < gates; e++) rows.push(all.subarray(e * data.n, (e + 1) * data.n));
  return { n: data.n, macs: data.exit_macs, rows, right: unpack(data.right, Uint8Array) };
}

// {macs, accuracy, thresholds} of efficient points, cheapest first; thresholds row by row.
export function makeFront(data) {
  if (!data) return null;
  const macs = unpack(data.macs, Float64Array);
  return {
    macs,
    accuracy: unpack(data.accuracy, Float64Array),
    flat: unpack(data.thresholds, Float64Array),
    gates: data.gates,
  };
}

export function frontPoint(front, place) {
  const start = place * front.gates;
  return {
    macs: front.macs[place],
    accuracy: front.accuracy[place],
    thresholds: Array.from(front.flat.subarray(start, start + front.gates)),
  };
}

// --- the rule ----------------------------------------------------------------------------

// 0-based exit at which a picture with these confidences leaves; the last always answers.
export function firstExit(confidences, thresholds) {
  for (let e = 0; e < thresholds.length; e++) if (confidences[e] >= thresholds[e]) return e;
  return thresholds.length;
}

// Accuracy (0..1), mean MACs and exit shares of a whole table under these thresholds.
export function evaluate(table, thresholds) {
  const gates = thresholds.length;
  const counts = new Array(gates + 1).fill(0);
  let right = 0;
  for (let i = 0; i < table.n; i++) {
    let e = 0;
    while (e < gates && !(table.rows[e][i] >= thresholds[e])) e++;
    counts[e]++;
    right += (table.right[i] >> e) & 1;
  }
  let total = 0;
  for (let e = 0; e <= gates; e++) total += counts[e] * table.macs[e];
  return {
    accuracy: right / table.n,
    macs: total / table.n,
    shares: counts.map((count) => count / table.n),
  };
}

// The most accurate point within a budget: dvt_core.solver.Front.at_budget.
export function atBudget(front, macs) {
  let low = 0, high = front.macs.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (macs < front.macs[middle]) high = middle; else low = middle + 1;
  }
  return frontPoint(front, Math.max(low - 1, 0));
}

// The cheapest point with this accuracy: dvt_core.solver.Front.at_accuracy.
export function atAccuracy(front, accuracy) {
  let low = 0, high = front.accuracy.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (front.accuracy[middle] < accuracy) low = middle + 1; else high = middle;
  }
  return frontPoint(front, Math.min(low, front.accuracy.length - 1));
}

// Accuracy and mean MACs of all pairs of thresholds 0, 1/steps, ..., 1 of a cascade of three
// exits; cell (i, j) = thresholds (i / steps, j / steps) stands at i * (steps + 1) + j.
export function plane(table, steps) {
  const side = steps + 1;
  const levels = Array.from({ length: side }, (_, i) => i / steps);
  const passed = (confidence) => {  // how many levels the confidence reaches
    let i = Math.min(side, Math.floor(confidence * steps) + 2);
    while (i > 0 && !(confidence >= levels[i - 1])) i--;
    return i;
  };
  // Images that leave at exit 1 under level i are those with passed(c1) > i; the others leave at
  // exit 2 under level j if passed(c2) > j, else at exit 3.
  const first = new Float64Array(side + 1), firstRight = new Float64Array(side + 1);
  const cells = (side + 1) * (side + 1);
  const second = [0, 1, 2].map(() => new Float64Array(cells));  // images, right at 2, right at 3
  for (let k = 0; k < table.n; k++) {
    const a = passed(table.rows[0][k]), b = passed(table.rows[1][k]), right = table.right[k];
    first[a]++;
    firstRight[a] += right & 1;
    const at = a * (side + 1) + b;
    second[0][at]++;
    second[1][at] += (right >> 1) & 1;
    second[2][at] += (right >> 2) & 1;
  }
  const accuracy = new Float64Array(side * side), macs = new Float64Array(side * side);
  const below = [0, 1, 2].map(() => new Float64Array(side + 1));  // images that pass exit 1, by b
  let leave = table.n, leaveRight = firstRight.reduce((sum, x) => sum + x, 0);
  for (let i = 0; i < side; i++) {
    leave -= first[i];  // those with a <= i stay
    leaveRight -= firstRight[i];
    for (let b = 0; b <= side; b++) {
      for (let part = 0; part < 3; part++) below[part][b] += second[part][i * (side + 1) + b];
    }
    let at2 = 0, right2 = 0, at3 = 0, right3 = 0;
    for (let b = 0; b <= side; b++) { at2 += below[0][b]; right2 += below[1][b]; }
    for (let j = 0; j < side; j++) {
      at2 -= below[0][j]; right2 -= below[1][j];
      at3 += below[0][j]; right3 += below[2][j];
      accuracy[i * side + j] = (leaveRight + right2 + right3) / table.n;
      macs[i * side + j] =
        (leave * table.macs[0] + at2 * table.macs[1] + at3 * table.macs[2]) / table.n;
    }
  }
  return { side, accuracy, macs };
}

// --- numbers as people read them ---------------------------------------------------------

// x with d digits after the point, half to even as Python does; toFixed takes halves up.
// A half is only possible where x * 2^(d+1) is an odd whole number (5^d divides the rest).
export function fixed(x, digits) {
  const text = x.toFixed(digits);
  const doubled = x * 2 ** (digits + 1);
  if (!Number.isInteger(doubled) || Math.abs(doubled % 2) !== 1) return text;
  const last = Number(text[text.length - 1]);
  if (last % 2 === 0) return text;
  const step = 10 ** -digits;  // toFixed went away from zero to an odd digit: one step back
  return (x < 0 ? "-" : "") + (Math.abs(Number(text)) - step).toFixed(digits);
}

export function percent(fraction, digits = 1) {
  return `${fixed(100 * fraction, digits)} %`;
}

// Three significant digits, trailing zeros kept: Python's "#.3g" without its trailing point.
function threeDigits(x) {
  if (x === 0) return "0.00";
  let power = Math.floor(Math.log10(Math.abs(x)));
  if (10 ** power > Math.abs(x)) power -= 1;
  if (10 ** (power + 1) <= Math.abs(x)) power += 1;
  let text = fixed(x, Math.max(0, 2 - power));
  if (Math.abs(Number(text)) >= 10 ** (power + 1)) text = fixed(x, Math.max(0, 1 - power));
  return text;
}

export function macNumber(macs, unit) {
  const value = macs / unit.scale;
  return value >= 999.5 ? grouped(fixed(value, 0)) : threeDigits(value);
}

function grouped(text) {
  return text.replace(/\B(?=(\d{3})+(?!\d))/g, ",");
}

export function macText(macs, unit) {
  return `${macNumber(macs, unit)} ${unit.name}`;
}

export function timesLess(macs, full) {
  return macs < full ? say("{times}x less", { times: fixed(full / macs, 1) }) : say("nothing saved");
}

export function signed(x, digits) {
  const text = fixed(x, digits);
  return text.startsWith("-") ? text : `+${text}`;
}

// Thresholds as people read them; equal ones are written once.
export function thresholdsText(thresholds) {
  if (!thresholds.length) return say("none (one exit)");
  const shown = thresholds.map(oneThreshold);
  return new Set(thresholds).size === 1 ? shown[0] : shown.join(" · ");
}

function oneThreshold(t) {
  if (t > 1) return say("never");
  if (t <= 0) return say("always");
  const text = threeDigits(t);
  return text.includes(".") ? text.replace(/0+$/, "").replace(/\.$/, "") : text;
}
