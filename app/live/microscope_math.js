// The numbers behind the microscope: rows of logits, their softmax, colour limits, neighbours.
// tests/ui/test_microscope.py compares every function here with its twin in Python. Put after rule.js.

// What Python sent -> typed arrays, once per picture.
export function openStage(stage) {
  const open = (text) => (text ? unpack(text, Float32Array) : null);
  return {
    ...stage, n: stage.grid * stage.grid + 1, own: open(stage.own), reused: open(stage.reused),
    norms: open(stage.norms), lands: open(stage.lands), rollouts: stage.rollouts.map(open),
  };
}

// The four rows of one query: own + reused = sum -> attention; null while its layer is not here.
export function rowsOf(stage, layer, head, query) {
  const at = ((layer - (stage.first ?? 0)) * stage.heads + head) * stage.n * stage.n + query * stage.n;
  if (!stage.own || at < 0 || at >= stage.own.length) return null;
  const own = Array.from(stage.own.subarray(at, at + stage.n));
  const reused = stage.reused
    ? Array.from(stage.reused.subarray(at, at + stage.n)) : new Array(stage.n).fill(0);
  const sum = own.map((value, j) => value + reused[j]);
  return { own, reused, sum, attention: softmax(sum) };
}

// A number with a typographic minus; "0.00" has none.
export function written(x, digits) {
  const text = fixed(x, digits);
  return Number(text) < 0 ? text.replace("-", "−") : fixed(Math.abs(x), digits);
}

// own + reused = sum as printed, so that the printed numbers add up: own and sum are rounded, reused
// is their difference. It differs from its own rounding by at most one unit of the last digit.
// `added` is reused as a term: "+ 1.20" or "− 1.20".
export function triple(own, sum, digits = 2) {
  const scale = 10 ** digits, units = (x) => Math.round(scale * Number(fixed(x, digits)));
  const reused = (units(sum) - units(own)) / scale;
  return {
    own: written(own, digits), reused: written(reused, digits), sum: written(sum, digits),
    added: `${reused < 0 ? "−" : "+"} ${written(Math.abs(reused), digits)}`,
  };
}

export function softmax(logits) {
  const most = Math.max(...logits);
  const powers = logits.map((z) => Math.exp(z - most));
  const total = powers.reduce((all, p) => all + p, 0);
  return powers.map((p) => p / total);
}

// A row less its mean: the softmax is the same.
export function centred(row) {
  const mean = row.reduce((all, z) => all + z, 0) / row.length;
  return row.map((z) => z - mean);
}

// The largest absolute value of these rows.
export function reach(rows) {
  return rows.reduce((most, row) => row.reduce((m, z) => Math.max(m, Math.abs(z)), most), 0);
}

// Where the scale of a kind ("logits", "attention", "norms") ends, for a scope.
export function limitOf(scope, kind, stages, stage, rows) {
  if (scope === "map") return reach(rows);
  if (scope === "stage") return stages[stage].limits[kind];
  return Math.max(...stages.map((one) => one.limits[kind]));
}

// Place in a colour map of `steps` colours; [low, high] are its ends.
export function shade(value, low, high, steps) {
  const share = high > low ? (value - low) / (high - low) : 0.5;
  return Math.round(Math.min(Math.max(share, 0), 1) * (steps - 1));
}

// The token after an arrow key; 0 is the class token, which stands before the first patch.
export function step(token, key, grid) {
  if (key === "Home") return 0;
  if (token === 0) return ["ArrowRight", "ArrowDown"].includes(key) ? 1 : 0;
  const row = Math.floor((token - 1) / grid), column = (token - 1) % grid;
  const moved = {
    ArrowLeft: [row, column - 1], ArrowRight: [row, column + 1],
    ArrowUp: [row - 1, column], ArrowDown: [row + 1, column],
  }[key];
  if (!moved) return token;
  const [r, c] = moved.map((place) => Math.min(Math.max(place, 0), grid - 1));
  return 1 + r * grid + c;
}

// The token at a point of the picture (in its pixels); cells lie between the edges.
export function tokenAt(x, y, edges) {
  const cell = (at) => {
    let place = 0;
    while (place < edges.length - 2 && at >= edges[place + 1]) place++;
    return place;
  };
  return 1 + cell(y) * (edges.length - 1) + cell(x);
}

// [x, y, width, height] of a patch in pixels of the picture.
export function boxOf(token, edges) {
  const grid = edges.length - 1, row = Math.floor((token - 1) / grid), column = (token - 1) % grid;
  return [edges[column], edges[row], edges[column + 1] - edges[column], edges[row + 1] - edges[row]];
}

// The square [x, y, size] of the picture about three cells wide around a patch.
export function closeUp(token, edges, side) {
  const [x, y, width, height] = boxOf(token, edges);
  const size = Math.min(side, 3 * Math.max(width, height));
  const from = (middle) => Math.min(Math.max(middle - size / 2, 0), side - size);
  return [from(x + width / 2), from(y + height / 2), size];
}

// The patch of another grid that lies under the middle of this one; the class token stays itself.
export function sameplace(token, from, to) {
  if (token === 0) return 0;
  const place = (index) => Math.min(Math.floor(((index + 0.5) * to) / from), to - 1);
  return 1 + place(Math.floor((token - 1) / from)) * to + place((token - 1) % from);
}

// Which coarse tokens a fine one takes from, and on which fine ones a coarse one lands: row and
// column of the stage's `lands` matrix.
export function takes(stage, fine) {
  const n = stage.lands.length / stage.n;
  return Array.from(stage.lands.subarray(fine * n, (fine + 1) * n));
}

export function landsOn(stage, coarse) {
  const n = stage.lands.length / stage.n;
  return Array.from({ length: stage.n }, (_, fine) => stage.lands[fine * n + coarse]);
}

export function largest(values) {
  return values.reduce((best, value, place) => (value > values[best] ? place : best), 0);
}
