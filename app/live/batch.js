// A batch of pictures under the dial: are they easy? Their cost and exits beside those of the
// model's test set at the same thresholds, and the curve of the labelled ones. All is replayed
// here; a drag asks the server nothing. tests/ui/test_batch.py compares the intervals with Python.

const Z = 1.959963984540054;  // of 95 %
const LEAST = 5;  // fewer pictures cannot tell (dvt_core.intervals.LEAST says why)
const PLOT_HEIGHT = 360;
const batches = new WeakMap();

// 95 % interval of the share that `count` of `n` stand for (dvt_core.intervals.share_interval).
export function shareInterval(count, n) {
  const share = count / n, room = (Z * Z) / n;
  const centre = (share + room / 2) / (1 + room);
  const half = (Z / (1 + room)) * Math.sqrt((share * (1 - share)) / n + room / (4 * n));
  return [Math.max(centre - half, 0), Math.min(centre + half, 1)];
}

// Mean cost of pictures of which `counts` leave at each exit (dvt_core.intervals.mean_cost).
export function meanCost(counts, macs) {
  const n = sum(counts), weights = counts.map((count) => count + 0.5), total = sum(weights);
  const mean = sum(counts.map((count, e) => count * macs[e])) / n;
  const shares = weights.map((weight) => weight / total);
  const first = sum(shares.map((share, e) => share * macs[e]));
  const spread = sum(shares.map((share, e) => share * macs[e] ** 2)) - first ** 2;
  const error = Math.sqrt(Math.max(spread, 0) / (total + 1));
  return {
    n, mean, error, low: Math.max(mean - Z * error, macs[0]), high: Math.min(mean + Z * error, macs.at(-1)),
  };
}

// -1 cheaper than chance explains, 1 dearer, 0 neither (dvt_core.intervals.compare).
export function compareCosts(mine, other) {
  if (Math.min(mine.n, other.n) < LEAST) return 0;
  const difference = mine.mean - other.mean;
  if (Math.abs(difference) <= Z * Math.hypot(mine.error, other.error)) return 0;
  return difference < 0 ? -1 : 1;
}

function sum(values) {
  return values.reduce((total, value) => total + value, 0);
}

// A table under thresholds: how many leave where, how many are right, what it costs.
export function stand(table, thresholds) {
  const { shares, accuracy } = evaluate(table, thresholds);
  const counts = shares.map((share) => Math.round(share * table.n));
  return { shares, counts, accuracy, ...meanCost(counts, table.macs) };
}

// The answer in one sentence.
export function verdict(mine, test, unit) {
  const values = { mine: macText(mine.mean, unit), n: grouped(`${mine.n}`) };
  if (!test && mine.n === 1) return say("The one picture costs {mine}.", values);
  if (!test) return say("{n} pictures cost {mine} each on average.", values);
  values.test = macText(test.mean, unit);
  if (mine.n === 1) return say("One picture cannot tell whether yours are easier than the test set: it costs {mine}, there the mean is {test} at the same thresholds.", values);
  if (mine.n < LEAST) return say("So few pictures, {n}, cannot tell whether yours are easier than the test set: {mine} per picture on average, there {test} at the same thresholds.", values);
  const order = compareCosts(mine, test);
  if (order < 0) return say("Easier than the test set: {mine} per picture on average, there {test} at the same thresholds.", values);
  if (order > 0) return say("Harder than the test set: {mine} per picture on average, there {test} at the same thresholds.", values);
  return say("No easier and no harder than the test set, as far as {n} pictures can tell: {mine} per picture on average, there {test} at the same thresholds.", values);
}

export default function (component) {
  const { data: { page: data }, parentElement } = component;
  speak(data);
  const root = parentElement.querySelector(".root");
  let batch = batches.get(parentElement);
  const isNew = !batch;
  if (isNew) batches.set(parentElement, (batch = { root, frames: 0 }));
  const signature = `${data.signature} ${data.language}`;
  if (batch.signature !== signature) {
    const make = (table) => (table ? makeTable(table) : null);
    Object.assign(batch, {
      signature, data, all: make(data.all), labelled: make(data.labelled), test: make(data.test),
    });
    build(batch);
  }
  if (isNew) {
    batch.onDial = () => update(batch);
    window.addEventListener("dvt-dial", batch.onDial);
  }
  return () => {
    window.removeEventListener("dvt-dial", batch.onDial);
    batch.watcher?.disconnect();
    batches.delete(parentElement);
  };
}

function build(batch) {
  const { root, data } = batch;
  root.innerHTML = `<p class="verdict" role="status"></p><div class="tiles"></div>
    <div class="where"><h4></h4><p class="key"></p><ol class="shares"></ol></div>`;
  const names = [["mine", say("These pictures, mean cost")], ["saved", say("All exits, as run here")]];
  if (batch.test) names.splice(1, 0, ["test", say("The test set, mean cost")]);
  if (batch.labelled) names.push(["accuracy", say("These pictures, accuracy")]);
  for (const [id, name] of names) {
    const tile = html("div", { className: "tile" }, html("h4", { textContent: name }), html("strong"), html("small"));
    tile.dataset.id = id;
    root.querySelector(".tiles").append(tile);
  }
  root.querySelector(".where h4").textContent = say("Where the pictures leave");
  if (batch.test) buildKey(root.querySelector(".key"));
  for (const exit of data.colours) root.querySelector(".shares").append(shareRow(exit, batch.test));
  batch.watcher?.disconnect();
  batch.plot = null;
  if (batch.labelled) {
    root.append(html("h4", { textContent: say("Accuracy against cost, the labelled pictures") }),
      html("div", { className: "plot" }), legend(batch));
    batch.watcher = new ResizeObserver(() => drawPlot(batch));
    batch.watcher.observe(root.querySelector(".plot"));
    drawPlot(batch);
  }
  update(batch);
}

function buildKey(line) {
  const entry = (kind, name) => line.append(html("span", {},
    html("i", { className: `sign ${kind}`, ariaHidden: "true" }), name));
  entry("mine", say("these pictures"));
  entry("test", say("the test set"));
}

// Two bars: this batch, filled, and the test set, in outline.
function shareRow({ name, colour, ink }, test) {
  const badge = html("span", { className: "badge", textContent: name });
  badge.style.cssText = `background:${colour};color:${ink}`;
  const bars = html("span", { className: "bars", ariaHidden: "true" });
  const line = (kind) => {
    const fill = html("i", { className: kind });
    fill.style.setProperty("--exit", colour);
    bars.append(fill);
  };
  line("mine");
  if (test) line("test");
  return html("li", {}, badge, bars, html("em"));
}

function legend(batch) {
  const line = html("p", { className: "key" });
  const sample = (kind, name) => {
    const shape = kind === "band" ? svg("rect", { x: 0, y: 1, width: 26, height: 10, class: kind })
      : svg("line", { x1: 0, x2: 26, y1: 6, y2: 6, class: `line ${kind}` });
    line.append(html("span", {}, svg("svg", { viewBox: "0 0 26 12", "aria-hidden": "true" }, shape), name));
  };
  sample("mine", say("the labelled pictures, one threshold from 0 to never"));
  sample("band", say("their 95 % interval"));
  if (batch.data.curves.test) sample("test", say("the test set"));
  return line;
}

function drawPlot(batch) {
  const { root, data } = batch, { curves, unit } = data, box = root.querySelector(".plot");
  const width = Math.round(box.clientWidth);
  if (!width) return;
  const lines = [curves.mine, curves.test ?? [], curves.exits, curves.band.low, curves.band.high];
  const points = lines.flat(), ys = points.map(([, y]) => y), xs = points.map(([x]) => x);
  const low = Math.min(...ys), high = Math.max(...ys), room = 0.06 * (high - low || 10);
  const plot = frame({ width, height: PLOT_HEIGHT }, { low: 0, high: 1.06 * Math.max(...xs), title: unit.axis },
    { low: Math.max(low - 2 * room, -2), high: Math.min(high + room, 102), title: say("accuracy in %") });
  const around = [...curves.band.low, ...[...curves.band.high].reverse()];
  plot.node.append(path(around, plot, { class: "band" }));
  if (curves.test) plot.node.append(path(curves.test, plot, { class: "line test" }));
  plot.node.append(path(curves.mine, plot, { class: "line mine" }));
  curves.exits.forEach(([x, y], e) => plot.node.append(exitDot(plot, data.colours[e], x, y, e === curves.exits.length - 1)));
  batch.here = svg("g", { class: "here" }, svg("path", { d: "M0 -10L10 0L0 10L-10 0Z" }),
    text(0, 0, say("you are here"), "middle"));
  batch.there = svg("g", { class: "here there" }, svg("circle", { r: 6 }));
  plot.node.append(batch.there, batch.here);
  box.replaceChildren(plot.node);
  batch.plot = plot;
  update(batch);
}

function exitDot(plot, { colour, name }, x, y, isLast) {
  const left = plot.toX(x), top = plot.toY(y);
  return svg("g", {}, svg("circle", { cx: left, cy: top, r: 7, fill: colour, class: "dot" }),
    text(isLast ? left + 4 : left + 11, isLast ? top + 24 : top + 16, say("{exit} alone", { exit: name }),
      isLast ? "end" : "start", "label"));
}

// One frame: everything that moves with the thresholds.
function update(batch) {
  const { data, root } = batch, { unit } = data, thresholds = thresholdsOf(batch);
  if (!thresholds) return;
  const mine = stand(batch.all, thresholds), test = batch.test && stand(batch.test, thresholds);
  root.querySelector(".verdict").textContent = verdict(mine, test, unit);
  const full = batch.all.macs.at(-1), from = macNumber(mine.low, unit), to = macText(mine.high, unit);
  put(batch, "mine", macText(mine.mean, unit), say("95 % interval {from} to {to}", { from, to }));
  put(batch, "saved", macText(full, unit), say("early exit at these thresholds: {saved}", { saved: timesLess(mine.mean, full) }));
  if (test) put(batch, "test", macText(test.mean, unit), say("{n} images, the same thresholds", { n: grouped(`${test.n}`) }));
  root.querySelectorAll(".shares li").forEach((row, e) => {
    row.querySelector("i.mine").style.width = `${100 * mine.shares[e]}%`;
    if (test) row.querySelector("i.test").style.width = `${100 * test.shares[e]}%`;
    const values = { mine: percent(mine.shares[e]), n: grouped(`${mine.counts[e]}`), test: test ? percent(test.shares[e]) : "" };
    row.querySelector("em").textContent = test ? say("{mine} ({n}), test set {test}", values) : say("{mine} ({n})", values);
  });
  if (batch.labelled) showAccuracy(batch, thresholds, test);
  batch.frames += 1;
  root.dataset.frames = batch.frames;
}

function showAccuracy(batch, thresholds, test) {
  const known = stand(batch.labelled, thresholds), { unit } = batch.data;
  const [from, to] = shareInterval(Math.round(known.accuracy * known.n), known.n);
  const values = { from: fixed(100 * from, 1), to: percent(to), n: grouped(`${known.n}`),
    macs: macText(known.mean, unit), test: test ? percent(test.accuracy) : "" };
  put(batch, "accuracy", percent(known.accuracy), test
    ? say("{n} labelled, {macs} each; 95 % interval {from} to {to}; test set {test}", values)
    : say("{n} labelled, {macs} each; 95 % interval {from} to {to}", values));
  if (!batch.plot) return;
  const at = (node, point) => node.setAttribute("transform",
    `translate(${batch.plot.toX(point.mean / unit.scale)} ${batch.plot.toY(100 * point.accuracy)})`);
  at(batch.here, known);
  const label = batch.here.querySelector("text"), left = batch.plot.toX(known.mean / unit.scale);
  // Below where the marker stands at the upper edge, and never beyond the sides.
  label.setAttribute("y", batch.plot.toY(100 * known.accuracy) < batch.plot.edge.top + 50 ? 28 : -18);
  label.setAttribute("text-anchor", left < 90 ? "start" : left > batch.plot.right - 60 ? "end" : "middle");
  batch.there.setAttribute("visibility", test ? "visible" : "hidden");
  if (test) at(batch.there, test);
  clearTimeout(batch.saying);  // not on every frame: readers of the screen would never stop
  batch.saying = setTimeout(() => batch.plot.node.setAttribute("aria-label",
    say("The labelled pictures: {accuracy} right at {macs} per picture.",
      { accuracy: percent(known.accuracy), macs: macText(known.mean, unit) })), 200);
}

function thresholdsOf(batch) {
  const known = window.dvtDial, gates = batch.all.rows.length;
  if (known && known.model === batch.data.model && known.thresholds.length === gates) return known.thresholds;
  return gates ? null : [];
}

function put(batch, id, value, remark) {
  const tile = batch.root.querySelector(`.tile[data-id="${id}"]`);
  tile.querySelector("strong").textContent = value;
  tile.querySelector("small").textContent = remark;
}
