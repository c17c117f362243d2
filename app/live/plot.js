// A small plot in SVG: scales, axes, lines and marks. Sizes are in CSS pixels, the plot is drawn
// anew when its box changes, so text keeps its size on a phone and on a projector.

const SVG = "http://www.w3.org/2000/svg";

export function svg(name, attributes = {}, ...children) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

export function html(name, properties = {}, ...children) {
  const node = Object.assign(document.createElement(name), properties);
  node.append(...children);
  return node;
}

// Round numbers between low and high, about `count` of them.
export function ticks(low, high, count) {
  const rough = (high - low) / Math.max(count, 1);
  if (!(rough > 0)) return [low];
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough * 0.999);
  const first = Math.ceil(low / step - 1e-9);
  const out = [];
  for (let i = first; i * step <= high + step * 1e-9; i++) out.push(Number((i * step).toPrecision(12)));
  return out;
}

// The frame of a plot: scales from data to pixels and the axes, drawn into a fresh <svg>.
export function frame(size, x, y) {
  const edge = { left: 46, right: 14, top: 14, bottom: 44 };
  const scale = (range, from, to) => (v) => from + ((v - range.low) / (range.high - range.low)) * (to - from);
  const right = size.width - edge.right, bottom = size.height - edge.bottom;
  const toX = scale(x, edge.left, right), toY = scale(y, bottom, edge.top);
  const node = svg("svg", { viewBox: `0 0 ${size.width} ${size.height}`, role: "img" });
  const axes = svg("g", { class: "axes" });
  for (const tick of ticks(x.low, x.high, size.width / 90)) {
    axes.append(svg("line", { x1: toX(tick), x2: toX(tick), y1: edge.top, y2: bottom }));
    axes.append(text(toX(tick), bottom + 18, `${tick}`, "middle"));
  }
  for (const tick of ticks(y.low, y.high, size.height / 60)) {
    axes.append(svg("line", { x1: edge.left, x2: right, y1: toY(tick), y2: toY(tick) }));
    axes.append(text(edge.left - 8, toY(tick) + 4, `${tick}`, "end"));
  }
  axes.append(text((edge.left + right) / 2, size.height - 6, x.title, "middle"));
  const yTitle = text(0, 0, y.title, "middle");
  yTitle.setAttribute("transform", `translate(12 ${(edge.top + bottom) / 2}) rotate(-90)`);
  axes.append(yTitle);
  node.append(axes);
  const fromX = (pixel) => x.low + ((pixel - edge.left) / (right - edge.left)) * (x.high - x.low);
  return { node, toX, toY, fromX, edge, right, bottom };
}

export function text(x, y, content, anchor, kind = "") {
  const node = svg("text", { x, y, "text-anchor": anchor, class: kind });
  node.textContent = content;
  return node;
}

export function path(points, plot, attributes) {
  const d = points.map(([x, y], i) => `${i ? "L" : "M"}${plot.toX(x).toFixed(2)} ${plot.toY(y).toFixed(2)}`);
  return svg("path", { d: d.join(""), fill: "none", ...attributes });
}
