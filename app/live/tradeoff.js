// The trade-off lab: curve, numbers and exit shares of a whole test set, moved by the dial. The
// table of all images is here in the browser; a drag asks the server nothing.

const labs = new WeakMap();

export default function (component) {
  const { data: { page: data }, parentElement } = component;
  speak(data);
  const root = parentElement.querySelector(".root");
  let lab = labs.get(parentElement);
  const isNew = !lab;
  if (isNew) labs.set(parentElement, (lab = { root, layers: {}, frames: 0 }));
  const signature = `${data.signature} ${data.language}`;
  if (lab.signature !== signature) {
    Object.assign(lab, { signature, data, table: makeTable(data.table) });
    build(lab);
  } else if (JSON.stringify(data.picture) !== JSON.stringify(lab.data.picture)) {
    lab.data = data;
    update(lab);
  }
  if (isNew) {
    lab.onDial = () => update(lab);
    window.addEventListener("dvt-dial", lab.onDial);
    lab.watcher = new ResizeObserver(() => drawPlot(lab));
    lab.watcher.observe(root.querySelector(".plot"));
  }
  return () => {
    window.removeEventListener("dvt-dial", lab.onDial);
    lab.watcher?.disconnect();
    labs.delete(parentElement);
  };
}

function build(lab) {
  const { root, data } = lab;
  root.innerHTML = `<div class="lab"><div class="chart"><div class="plot"></div>
    <div class="legend" role="group"></div></div><div class="numbers" role="status">
    <div class="tile" data-id="accuracy"></div><div class="tile" data-id="macs"></div>
    <div class="tile" data-id="shares"></div><div class="tile" data-id="picture"></div>
    </div></div>`;
  root.querySelector(".legend").setAttribute("aria-label", data.words.legend);
  for (const tile of root.querySelectorAll(".tile")) {
    tile.append(html("h4", { textContent: data.words[tile.dataset.id] }));
    if (tile.dataset.id === "shares") tile.append(shareRows(data));
    else tile.append(html("strong"), html("small"));
  }
  buildLegend(lab);
  lab.watcher?.disconnect();
  lab.watcher?.observe(root.querySelector(".plot"));
  lab.plane = null;
  if (lab.table.rows.length === 2) {
    lab.plane = makePlane(data, lab.table, makeFront(data.front));
    root.append(lab.plane.details);
  }
  drawPlot(lab);
}

function shareRows(data) {
  const list = html("ol", { className: "shares" });
  for (const { name, colour, ink } of data.colours) {
    const badge = html("span", { className: "badge", textContent: name });
    badge.style.cssText = `background:${colour};color:${ink}`;
    const fill = html("i");
    fill.style.background = colour;
    list.append(html("li", {}, badge, html("span", { className: "bar", ariaHidden: "true" }, fill), html("em")));
  }
  return list;
}

function buildLegend(lab) {
  const legend = lab.root.querySelector(".legend");
  for (const layer of lab.data.layers) {
    lab.layers[layer.id] ??= layer.on;
    const box = html("input", { type: "checkbox", checked: lab.layers[layer.id] });
    box.onchange = () => { lab.layers[layer.id] = box.checked; drawPlot(lab); };
    const sign = svg("svg", { viewBox: "0 0 26 12", "aria-hidden": "true" }, sampleOf(layer));
    const label = html("label", { title: layer.help }, box, sign, layer.name);
    legend.append(label);
  }
}

function sampleOf(layer) {
  if (layer.kind === "crosses") return crossAt(13, 6);
  if (layer.kind === "band") return svg("rect", { x: 0, y: 1, width: 26, height: 10, class: "band" });
  return svg("line", { x1: 0, x2: 26, y1: 6, y2: 6, class: `line ${layer.id}` });
}

function crossAt(x, y) {
  return svg("path", { d: `M${x - 5} ${y - 5}l10 10m0 -10l-10 10`, class: "static" });
}

// Both axes hold what is shown; accuracy in percent, cost in the model's unit.
function ranges(lab) {
  const { data } = lab, xs = [], ys = [];
  const add = ([x, y]) => { xs.push(x); ys.push(y); };
  data.exits.forEach(add);
  for (const layer of data.layers) if (lab.layers[layer.id]) layer.points.forEach(add);
  const low = Math.min(...ys), high = Math.max(...ys), room = 0.06 * (high - low || 1);
  return {
    x: { low: 0, high: 1.06 * Math.max(...xs), title: data.unit.axis },
    y: { low: low - 2 * room, high: Math.min(high + room, 100.5), title: data.words.y_axis },
  };
}

function drawPlot(lab) {
  const box = lab.root.querySelector(".plot"), width = Math.round(box.clientWidth);
  if (!width) return;
  const { x, y } = ranges(lab), { data } = lab;
  const plot = frame({ width, height: box.clientHeight }, x, y);
  lab.plot = plot;
  for (const layer of data.layers) if (lab.layers[layer.id]) plot.node.append(drawLayer(layer, plot));
  data.exits.forEach((at, e) => plot.node.append(exitDot(lab, plot, at, e)));
  lab.tip = svg("g", { class: "tip", visibility: "hidden" });
  lab.here = svg("g", { class: "here" }, svg("path", { d: "M0 -11L11 0L0 11L-11 0Z" }),
    text(0, -18, data.words.here, "middle"));
  plot.node.append(lab.tip, lab.here);
  box.replaceChildren(plot.node);
  const curve = data.layers.find((layer) => layer.id === "shared");
  if (curve && lab.table.rows.length) listen(lab, plot, curve);
  update(lab);
}

function drawLayer(layer, plot) {
  if (layer.kind === "band") {
    const there = layer.low.map((y, i) => [layer.x[i], y]);
    const back = layer.high.map((y, i) => [layer.x[i], y]).reverse();
    return path([...there, ...back], plot, { class: "band" });
  }
  if (layer.kind !== "crosses") return path(layer.points, plot, { class: `line ${layer.id}` });
  const group = svg("g");
  layer.points.forEach(([x, y], i) => {
    const [left, top] = [plot.toX(x), plot.toY(y)];
    group.append(crossAt(left, top), text(left - 10, top + 5, layer.labels[i], "end", "static"));
  });
  return group;
}

function exitDot(lab, plot, [x, y], e) {
  const { colour, name } = lab.data.colours[e], isLast = e === lab.data.exits.length - 1;
  const [left, top] = [plot.toX(x), plot.toY(y)];
  return svg("g", {}, svg("circle", { cx: left, cy: top, r: 7, fill: colour, class: "dot" }),
    text(isLast ? left + 4 : left + 11, isLast ? top + 24 : top + 16,
      fill(lab.data.words.alone, { exit: name }), isLast ? "end" : "start", "label"));
}

// Hovering names the nearest point of the shared threshold's curve; a click goes there.
function listen(lab, plot, curve) {
  const nearest = (event) => {
    const rect = plot.node.getBoundingClientRect();
    const at = plot.fromX(event.clientX - rect.left);
    let best = 0;
    curve.points.forEach(([x], i) => {
      if (Math.abs(x - at) < Math.abs(curve.points[best][0] - at)) best = i;
    });
    return best;
  };
  plot.node.onpointermove = (event) => {
    const i = nearest(event), [x, y] = curve.points[i];
    const words = `${thresholdsText([curve.thresholds[i]])}: ${fixed(y, 1)} %, ${macText(x * lab.data.unit.scale, lab.data.unit)}`;
    const left = plot.toX(x), isRight = left > plot.right / 2;
    lab.tip.replaceChildren(svg("circle", { cx: left, cy: plot.toY(y), r: 4 }),
      text(left + (isRight ? -8 : 8), plot.bottom - 10, words, isRight ? "end" : "start", "label"),
      svg("line", { x1: left, x2: left, y1: plot.edge.top, y2: plot.bottom }));
    lab.tip.setAttribute("visibility", "visible");
  };
  plot.node.onpointerleave = () => lab.tip.setAttribute("visibility", "hidden");
  plot.node.onclick = (event) => {
    const threshold = curve.thresholds[nearest(event)];
    const ask = { way: "threshold", threshold: Math.min(threshold, 1) };
    window.dispatchEvent(new CustomEvent("dvt-set", { detail: { ask, done: true } }));
  };
}

// One frame: everything that moves with the thresholds.
function update(lab) {
  const thresholds = thresholdsFor(lab);
  if (!thresholds || !lab.plot) return;
  const began = performance.now();
  const point = evaluate(lab.table, thresholds), { data, plot } = lab, { words, unit } = data;
  const [fullMacs, fullAccuracy] = [lab.table.macs.at(-1), data.full_accuracy];
  put(lab, "accuracy", percent(point.accuracy),
    fill(words.against, { points: signed(100 * (point.accuracy - fullAccuracy), 1) }));
  put(lab, "macs", macText(point.macs, unit),
    fill(words.saved, { saved: timesLess(point.macs, fullMacs), full: macText(fullMacs, unit) }));
  lab.root.querySelectorAll(".shares li").forEach((row, e) => {
    row.querySelector("i").style.width = `${100 * point.shares[e]}%`;
    row.querySelector("em").textContent = percent(point.shares[e]);
  });
  showPicture(lab, thresholds);
  const [left, top] = [plot.toX(point.macs / unit.scale), plot.toY(100 * point.accuracy)];
  lab.here.setAttribute("transform", `translate(${left} ${top})`);
  const label = lab.here.querySelector("text");
  label.setAttribute("text-anchor", left < 90 ? "start" : left > plot.right - 60 ? "end" : "middle");
  lab.plane?.move(thresholds);
  clearTimeout(lab.saying);  // not on every frame: readers of the screen would never stop
  lab.saying = setTimeout(() => plot.node.setAttribute("aria-label", sayPlot(lab, point)), 200);
  lab.frames += 1;
  lab.root.dataset.frames = lab.frames;
  lab.root.dataset.frameMs = (performance.now() - began).toFixed(2);
}

function thresholdsFor(lab) {
  const known = window.dvtDial;
  if (known && known.model === lab.data.model && known.thresholds.length === lab.table.rows.length) {
    return known.thresholds;
  }
  return lab.table.rows.length ? null : [];
}

function put(lab, id, value, remark) {
  const tile = lab.root.querySelector(`.tile[data-id="${id}"]`);
  tile.querySelector("strong").textContent = value;
  tile.querySelector("small").textContent = remark;
}

function showPicture(lab, thresholds) {
  const { picture, words, colours } = lab.data;
  const tile = lab.root.querySelector('.tile[data-id="picture"]');
  tile.hidden = !picture;
  if (!picture) return;
  const e = firstExit(picture.confidences, thresholds);
  put(lab, "picture", colours[e].name, fill(words.picture_says, {
    word: picture.words[e], confidence: percent(picture.confidences[e]), name: picture.name,
  }));
  tile.querySelector("strong").style.cssText = `background:${colours[e].colour};color:${colours[e].ink}`;
}

function sayPlot(lab, point) {
  const { data } = lab;
  const alone = data.exits.map(([x, y], e) => say("{exit} alone {accuracy} at {macs}", {
    exit: data.colours[e].name, accuracy: `${fixed(y, 1)} %`, macs: macText(x * data.unit.scale, data.unit),
  }));
  return say("Accuracy against cost per image: {points}.", { points: [
    say("now {accuracy} at {macs}", { accuracy: percent(point.accuracy), macs: macText(point.macs, data.unit) }),
    ...alone,
  ].join("; ") });
}
