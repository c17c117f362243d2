// The dial: one of several ways to say how sure an exit must be. Every frame of a drag is told to
// the other components of the page (event "dvt-dial"), the server hears of it on release only.

const KEYBOARD_PAUSE_MS = 150;  // a held arrow key is one change, not thirty
const dials = new WeakMap();

// What a person asked for -> thresholds, and the sentence that says where they come from.
export function resolve(ask, data, front) {
  const words = data.words;
  const solved = (point, asked) => ({
    thresholds: point.thresholds,
    origin: fill(words.solved, {
      thresholds: thresholdsText(point.thresholds),
      asked,
      accuracy: percent(point.accuracy),
      macs: macText(point.macs, data.unit),
    }),
  });
  if (ask.way === "budget" && front && data.budget) {
    const macs = (ask.budget / 100) * data.budget.full;
    return solved(atBudget(front, macs), fill(words.asked_budget, { macs: macText(macs, data.unit) }));
  }
  if (ask.way === "accuracy" && front && data.accuracy) {
    const wanted = fill(words.asked_accuracy, { accuracy: fixed(ask.accuracy, 1) });
    return solved(atAccuracy(front, ask.accuracy / 100), wanted);
  }
  const isEach = ask.way === "each";
  const thresholds = isEach ? [...ask.each] : new Array(data.gates).fill(ask.threshold);
  const origin = fill(isEach ? words.each : words.shared, { thresholds: thresholdsText(thresholds) });
  return { thresholds, origin };
}

// Sliders of one way: what each is called, its range, and where its value stands in the ask.
function knobsOf(ask, data) {
  const { names } = data;
  if (ask.way === "each") {
    return ask.each.map((value, e) => ({
      name: fill(names.each, { exit: e + 1 }), exit: e, low: 0, high: 1, step: 0.01, digits: 2,
      get: (from) => from.each[e],
      set: (into, x) => { into.each = into.each.map((old, k) => (k === e ? x : old)); },
    }));
  }
  const range = ask.way === "threshold" ? { low: 0, high: 1 } : data[ask.way];
  const [step, digits] = { threshold: [0.01, 2], budget: [1, 0], accuracy: [0.1, 1] }[ask.way];
  return [{
    name: names[ask.way], low: range.low, high: range.high, step, digits,
    get: (from) => from[ask.way],
    set: (into, x) => { into[ask.way] = x; },
  }];
}

function build(root, dial) {
  root.innerHTML = `<div class="dial"><fieldset><legend></legend><div class="ways"></div></fieldset>
    <div class="knobs"></div></div><p class="origin" role="status"></p>`;
  const { data } = dial;
  root.querySelector("legend").textContent = data.names.ways;
  root.querySelector("fieldset").hidden = data.ways.length < 2;
  const ways = root.querySelector(".ways");
  for (const way of data.ways) {
    const label = document.createElement("label");
    const radio = Object.assign(document.createElement("input"), {
      type: "radio", name: "way", value: way.id,
    });
    radio.onchange = () => dial.change({ way: way.id }, true);
    label.append(radio, way.name);
    label.title = way.help;
    ways.append(label);
  }
}

function drawKnobs(root, dial) {
  const room = root.querySelector(".knobs");
  room.replaceChildren();
  dial.knobs = dial.data.gates ? knobsOf(dial.ask, dial.data) : [];
  dial.knobs.forEach((knob, place) => room.append(drawKnob(knob, place, dial)));
  if (!dial.data.gates) room.textContent = dial.data.words.one_exit;
}

function drawKnob(knob, place, dial) {
  const box = document.createElement("div");
  box.className = "knob";
  const id = `knob${place}`;
  const label = Object.assign(document.createElement("label"), { htmlFor: id });
  const shown = document.createElement("output");
  if (knob.exit === undefined) label.append(knob.name);
  else {
    const badge = Object.assign(document.createElement("span"), {
      className: "badge", textContent: knob.name,
    });
    const { colour, ink } = dial.data.colours[knob.exit];
    badge.style.cssText = `background:${colour};color:${ink}`;
    label.append(badge);
  }
  const limits = { min: knob.low, max: knob.high, step: knob.step };
  const slider = Object.assign(document.createElement("input"), { type: "range", id, ...limits });
  slider.setAttribute("aria-label", knob.name);
  const number = Object.assign(document.createElement("input"), { type: "number", ...limits });
  number.setAttribute("aria-label", say("{name}, as a number", knob));
  const reset = Object.assign(document.createElement("button"), {
    type: "button", textContent: dial.data.names.reset,
  });
  label.append(shown);
  box.append(label, slider, number, reset);
  const put = (x, done) => {
    const next = { ...dial.ask };
    knob.set(next, x);
    dial.change(next, done);
  };
  slider.oninput = () => put(Number(slider.value), false);
  slider.onchange = () => dial.commit(dial.byKeyboard ? KEYBOARD_PAUSE_MS : 0);
  slider.onkeydown = () => { dial.byKeyboard = true; };
  slider.onpointerdown = () => { dial.byKeyboard = false; };
  slider.onpointerup = () => dial.commit(0);  // no "change" comes where a drag ends as it began
  number.onchange = () => {
    const x = Number(number.value);
    const isGood = number.value !== "" && Number.isFinite(x);
    const bounded = Math.min(Math.max(x, knob.low), knob.high);
    put(isGood ? Number(bounded.toFixed(knob.digits)) : knob.get(dial.ask), true);
  };
  reset.onclick = () => put(knob.get(dial.data.defaults), true);
  knob.show = (ask) => {
    const text = fixed(knob.get(ask), knob.digits);
    if (Number(slider.value) !== knob.get(ask)) slider.value = text;
    slider.setAttribute("aria-valuetext", text);
    if (number !== number.getRootNode().activeElement || number.value === "") number.value = text;
    else if (Number(number.value) !== knob.get(ask)) number.value = text;
    shown.textContent = text + (dial.ask.way === "budget" || dial.ask.way === "accuracy" ? " %" : "");
  };
  return box;
}

function show(root, dial) {
  const result = resolve(dial.ask, dial.data, dial.front);
  for (const radio of root.querySelectorAll(".ways input")) {
    radio.checked = radio.value === dial.ask.way;
  }
  for (const knob of dial.knobs) knob.show(dial.ask);
  root.querySelector(".origin").textContent = dial.data.gates ? result.origin : "";
  window.dvtDial = {
    thresholds: result.thresholds, origin: result.origin, ask: dial.ask,
    model: dial.data.model, push: dial.data.push,
  };
  window.dispatchEvent(new CustomEvent("dvt-dial", { detail: window.dvtDial }));
}

function makeDial(root) {
  const dial = { root, sent: null, timer: 0, byKeyboard: false };
  dial.change = (part, done) => {
    const before = dial.ask.way;
    dial.ask = { ...dial.ask, ...part };
    if (dial.ask.way !== before) drawKnobs(root, dial);
    show(root, dial);
    if (done) dial.commit(0);
  };
  dial.commit = (pause) => {
    clearTimeout(dial.timer);
    const send = () => {
      const text = JSON.stringify(dial.ask);
      if (text === dial.sent) return;
      dial.sent = text;
      dial.send(dial.ask);
    };
    if (pause) dial.timer = setTimeout(send, pause); else send();
  };
  // Another component of the page sets the thresholds (the plane, a click on the curve).
  dial.onSet = ({ detail }) => dial.change(detail.ask, detail.done);
  return dial;
}

// The latest ask known for this push: the page's own memory if Streamlit drew the dial anew.
function adopted(data) {
  const known = window.dvtDial;
  const isOurs = known && known.model === data.model && known.push === data.push;
  return structuredClone(isOurs ? known.ask : data.ask);
}

export default function (component) {
  const { data: { page: data }, parentElement, setStateValue } = component;
  speak(data);
  const root = parentElement.querySelector(".root");
  let dial = dials.get(parentElement);
  const isNew = !dial;
  if (isNew) dials.set(parentElement, (dial = makeDial(root)));
  dial.send = (ask) => setStateValue("ask", { ...ask, push: dial.data.push });
  const signature = `${data.model} ${data.push} ${data.language}`;
  if (dial.signature !== signature) {
    Object.assign(dial, { signature, data, front: makeFront(data.front), ask: adopted(data) });
    dial.sent = JSON.stringify(dial.ask);
    build(root, dial);
    drawKnobs(root, dial);
    show(root, dial);
  }
  if (isNew) window.addEventListener("dvt-set", dial.onSet);
  return () => {
    clearTimeout(dial.timer);
    window.removeEventListener("dvt-set", dial.onSet);
    dials.delete(parentElement);
  };
}
