// All pairs of thresholds of a cascade of three exits as a heat map, with the efficient front and
// the pair in force. Click or drag on it sets the pair; the sliders "per exit" do it by keyboard.

const PLANE_STEPS = 100;

export function makePlane(data, table, front) {
  const details = html("details", { className: "plane" });
  details.append(html("summary", { textContent: data.words.plane }));
  const state = { details, shows: "accuracy", values: null };
  details.addEventListener("toggle", () => {
    if (!details.open || state.values) return;
    state.values = plane(table, PLANE_STEPS);
    buildPlane(state, data, front);
    state.move(state.thresholds);
  });
  state.move = (thresholds) => {
    state.thresholds = thresholds;
    if (state.cross && thresholds) moveCross(state, thresholds);
  };
  return state;
}

function buildPlane(state, data, front) {
  const names = { accuracy: data.words.plane_accuracy, macs: data.words.plane_macs };
  const choice = html("div", { className: "chips", role: "group", ariaLabel: data.words.plane_shows });
  for (const [id, name] of Object.entries(names)) {
    const button = html("button", { type: "button", textContent: name });
    button.onclick = () => { state.shows = id; paint(state, data, choice); };
    button.dataset.id = id;
    choice.append(button);
  }
  const canvas = html("canvas", { width: PLANE_STEPS + 1, height: PLANE_STEPS + 1 });
  state.canvas = canvas;
  const box = svg("svg", { viewBox: "-12 -4 120 116", class: "over" });
  const field = svg("foreignObject", { x: 0, y: 0, width: 100, height: 100 });
  field.append(canvas);
  box.append(field);
  for (let t = 0; t <= 100; t += 20) {
    box.append(text(t, 105, fixed(t / 100, 1), "middle"), text(-2, 101.5 - t, fixed(t / 100, 1), "end"));
  }
  box.append(text(50, 111, data.words.plane_x, "middle"));
  const side = text(0, 0, data.words.plane_y, "middle");
  side.setAttribute("transform", "translate(-9 50) rotate(-90)");
  box.append(side, frontDots(front));
  state.cross = svg("g", { class: "cross" },
    svg("circle", { r: 2.6, class: "halo" }), svg("circle", { r: 2.6 }), svg("circle", { r: 0.6 }));
  box.append(state.cross);
  drag(box, field);
  state.scale = html("p", { className: "scale" });
  state.details.append(choice, html("div", { className: "planebox" }, box), state.scale,
    html("p", { className: "note", textContent: data.words.plane_note }));
  paint(state, data, choice);
}

function frontDots(front) {
  const group = svg("g", { class: "front" });
  if (!front) return group;
  const step = Math.max(1, Math.floor(front.macs.length / 400));
  for (let place = 0; place < front.macs.length; place += step) {
    const [a, b] = frontPoint(front, place).thresholds;
    group.append(svg("circle", { cx: 100 * Math.min(a, 1), cy: 100 - 100 * Math.min(b, 1), r: 0.7 }));
  }
  return group;
}

// One pixel per pair: exit 1's threshold to the right, exit 2's upwards.
function paint(state, data, choice) {
  const { side } = state.values, values = state.values[state.shows];
  let low = Infinity, high = -Infinity;
  for (const value of values) { low = Math.min(low, value); high = Math.max(high, value); }
  const image = new ImageData(side, side), top = data.colourmap.length - 1;
  for (let i = 0; i < side; i++) {
    for (let j = 0; j < side; j++) {
      const share = high > low ? (values[i * side + j] - low) / (high - low) : 0;
      const colour = data.colourmap[Math.round(share * top)];
      const at = 4 * ((side - 1 - j) * side + i);
      image.data.set([...colour, 255], at);
    }
  }
  state.canvas.getContext("2d").putImageData(image, 0, 0);
  for (const button of choice.children) button.setAttribute("aria-pressed", button.dataset.id === state.shows);
  const number = (value) => (state.shows === "accuracy" ? percent(value) : macText(value, data.unit));
  const stops = [0, 0.25, 0.5, 0.75, 1].map((s) => `rgb(${data.colourmap[Math.round(s * top)].join(" ")})`);
  state.scale.replaceChildren(number(low),
    html("i", { style: `background:linear-gradient(90deg,${stops.join(",")})` }), number(high));
}

function moveCross(state, thresholds) {
  const [a, b] = thresholds.map((t) => Math.min(Math.max(t, 0), 1));
  state.cross.setAttribute("transform", `translate(${100 * a} ${100 - 100 * b})`);
}

function drag(box, field) {
  const pair = (event) => {
    const rect = field.getBoundingClientRect();
    const at = [(event.clientX - rect.left) / rect.width, 1 - (event.clientY - rect.top) / rect.height];
    return at.map((t) => Math.round(100 * Math.min(Math.max(t, 0), 1)) / 100);
  };
  const set = (event, done) => window.dispatchEvent(
    new CustomEvent("dvt-set", { detail: { ask: { way: "each", each: pair(event) }, done } }));
  box.onpointerdown = (event) => {
    box.setPointerCapture(event.pointerId);
    set(event, false);
    event.preventDefault();
  };
  box.onpointermove = (event) => { if (box.hasPointerCapture(event.pointerId)) set(event, false); };
  box.onpointerup = (event) => { if (box.hasPointerCapture(event.pointerId)) set(event, true); };
}
