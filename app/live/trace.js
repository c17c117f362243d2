// The exit trace of one picture. Python sends what the computed stages said (app/trace.py); which
// exit answers, and all words that depend on it, are worked out here from the dial's thresholds,
// so that they follow it while it is dragged. Put after rule.js.

const FACTORS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000];
const SHOW_MS = 4000; // a replay computes for about this long, on top of the pauses
const GROW_MS = 600;
const READ_MS = 900;
const QUIET_MS = 500; // a screen reader hears a change when the dial has rested this long

// One word per lane. on: not sure enough; stop, last: answers here; pending: the rule goes on to
// a lane that is not computed; unknown: after such a lane; spared: not computed, not needed;
// unneeded: computed for another threshold; asked: computed because someone asked.
export function laneStates(confidences, thresholds, exits, asked) {
  const known = confidences.length;
  const exit = firstExit(confidences, thresholds.slice(0, known)); // `known` where none fires
  const isPending = exit >= known;
  const states = Array.from({ length: exits }, (_, i) => {
    if (i < exit) return "on";
    if (i === exit) return isPending ? "pending" : i === exits - 1 ? "last" : "stop";
    if (isPending) return "unknown";
    if (i >= known) return "spared";
    return asked ? "asked" : "unneeded";
  });
  return { exit, states };
}

// [verdict, remark] of lane i; `names` are the exits', `lanes` what Python sent.
export function laneWords(states, exit, i, lanes) {
  const lane = lanes[i];
  const answers = lanes[exit].name;
  const cost = lane.said && (lane.said.time ? `+${lane.cost}, ${lane.said.time}` : `+${lane.cost}`);
  const spent = i ? say("{cost} · {total} so far", { cost, total: lane.total }) : cost;
  switch (states[i]) {
    case "on":
      return [say("Not sure enough, go on."), spent];
    case "stop":
      return [say("Sure enough, stop: {exit}.", { exit: answers }), spent];
    case "last":
      return [say("Last exit, it always answers: {exit}.", { exit: answers }), spent];
    case "pending":
      return [say("Will be computed when you let go."), say("{cost} more.", lane)];
    case "unknown":
      return [say("Not computed: {exit} comes first.", { exit: answers }), say("{cost} more if needed.", lane)];
    case "spared":
      return [
        say("Not computed: the model stopped at {exit}.", { exit: answers }),
        say("{cost} spared.", lane),
      ];
    case "asked":
      return [
        say("Not part of the answer."),
        say("Computed because you asked, for {cost} more. The model stopped at {exit}.", {
          cost: lane.cost, exit: answers,
        }),
      ];
    default:
      return [
        say("Computed, not needed at this threshold."),
        say("The model stops at {exit}: {cost} spared.", { cost: lane.cost, exit: answers }),
      ];
  }
}

// What a lane's bar is compared with; null for the last exit.
export function ruleWords(threshold) {
  if (threshold === null) return say("no threshold: the last exit always answers");
  if (threshold > 1) return say("threshold above 100 %: never leave here");
  return say("threshold {percent}", { percent: percent(threshold) });
}

// The line above the lanes.
export function statusText(states, exit, thresholds, lanes) {
  const { said, total, name } = lanes[exit], isPending = states[exit] === "pending";
  const told = {
    exit: name, total, word: said?.word, percent: said?.percent,
    thresholds: thresholdsText(thresholds).replaceAll(say("always"), "0"),
  };
  if (!thresholds.length && !isPending)
    return say("This picture leaves at {exit}: {word}, {percent} sure, {total}.", told);
  return isPending
    ? say("At {thresholds} this picture goes on to {exit}, which is computed when you let go.", told)
    : say("At {thresholds} this picture leaves at {exit}: {word}, {percent} sure, {total}.", told);
}

// How many times slower than measured a replay of `ms` milliseconds is played.
export function slowdown(ms) {
  return FACTORS.findLast((factor) => factor * ms <= SHOW_MS) ?? 1;
}

// When each visited lane starts computing, knows its confidence, and has been read, in ms.
export function schedule(times, factor) {
  let at = 0;
  return times.map((ms) => {
    const from = at;
    const grow = from + ms * factor;
    const done = grow + GROW_MS;
    at = done + READ_MS;
    return { from, grow, done, end: at };
  });
}

// The part of a lane's replay that is shown t ms after the start.
export function phaseAt(step, t) {
  if (!step || t < step.from) return "wait";
  if (t < step.grow) return "run";
  return t < step.done ? "grow" : "";
}

const SVG = "http://www.w3.org/2000/svg";
const instances = new WeakMap();

function make(tag, className, ...children) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.append(...children);
  return node;
}

function gridOf(edges, side) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", `0 0 ${side} ${side}`);
  svg.setAttribute("aria-hidden", "true");
  const inner = edges.slice(1, -1);
  const lines = inner.map((at) => `M${at} 0V${side}M0 ${at}H${side}`).join("");
  for (const kind of ["dark", "light"]) {
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("d", lines);
    path.setAttribute("class", kind);
    svg.append(path);
  }
  return svg;
}

function arrowOf(words) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 16");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", words ? "M1 5H16M1 11H16M14 1L22 8L14 15" : "M1 8H21M15 2L22 8L15 14");
  svg.append(path);
  svg.setAttribute("aria-hidden", "true");
  const node = make("div", "arrow", svg, make("span", "", words || ""));
  return node;
}

function barOf(className) {
  const fill = make("i");
  const tick = make("b");
  const bar = make("span", className, fill, tick);
  bar.setAttribute("aria-hidden", "true");
  return { bar, fill, tick };
}

function laneOf(lane, data) {
  const img = make("img");
  Object.assign(img, { src: data.picture, alt: lane.alt });
  if (data.side <= 128) img.className = "pixels";
  const progress = make("i", "progress");
  const badge = make("span", "badge", lane.name);
  badge.style.cssText = `background:${lane.colour};color:${lane.ink}`;
  const { bar, fill, tick } = barOf("bar");
  const part = {
    fill,
    tick,
    progress,
    verdict: make("p", "verdict"),
    number: make("strong"),
    rule: make("small"),
    top: make("ol", "top"),
    remark: make("p", "remark"),
  };
  part.top.setAttribute("aria-label", say("most probable classes"));
  part.sure = make("div", "sure", make("span", "", say("confidence"), " ", part.number), bar, part.rule);
  const head = make("div", "head", badge, make("span", "", lane.title));
  const seen = make("div", "seen", img, gridOf(lane.edges, data.side), progress);
  // What moves with the dial stands first, so that it is in sight while the dial is dragged.
  const rule = make("div", "facts", part.sure, part.verdict);
  part.node = make("section", "lane", head, rule, seen, make("div", "facts", part.top, part.remark));
  part.node.setAttribute("aria-label", `${lane.stage}, ${lane.name}`);
  part.node.style.setProperty("--exit", lane.colour);
  return part;
}

function rowOf(entry) {
  const word = make("span", "", entry.word);
  word.title = entry.full;
  const { bar, fill } = barOf("bar thin");
  fill.style.width = `${100 * entry.share}%`;
  return make("li", "", word, bar, make("em", "", entry.percent));
}

class Trace {
  constructor(root) {
    this.root = root;
    root.classList.add("trace");
    root.setAttribute("role", "group");
    this.status = make("p", "status");
    this.spoken = make("p", "spoken");
    this.spoken.setAttribute("aria-live", "polite");
    this.button = make("button");
    this.button.type = "button";
    this.button.onclick = () => this.press();
    this.pace = make("small", "pace");
    const player = make("div", "player", this.button, this.pace);
    this.lanes = make("div", "lanes");
    root.replaceChildren(make("div", "line", this.status, player), this.spoken, this.lanes);
    this.onDial = (event) => this.follow(event.detail?.thresholds);
    window.addEventListener("dvt-dial", this.onDial);
    // All traces of the page, so that two are replayed together and equally slowed.
    (window.dvtTraces ??= new Set()).add(this);
  }

  close() {
    window.removeEventListener("dvt-dial", this.onDial);
    window.dvtTraces.delete(this);
    this.stop();
    clearTimeout(this.timer);
  }

  take(data) {
    const shape = JSON.stringify([data.picture, data.lanes.map((lane) => [lane.title, lane.edges])]);
    const isFirst = !this.data;
    this.data = data;
    this.stop();
    this.button.textContent = say("replay");
    this.root.setAttribute("aria-label", data.title);
    if (shape !== this.shape) this.build();
    this.shape = shape;
    data.lanes.forEach((lane, i) => this.fill(lane, this.parts[i]));
    const live = window.dvtDial?.thresholds;
    this.thresholds = this.fits(live) ? live : data.thresholds;
    this.draw();
    if (isFirst) clearTimeout(this.timer); // nothing changed yet: nothing to be said
  }

  build() {
    this.parts = this.data.lanes.map((lane) => laneOf(lane, this.data));
    this.arrows = this.parts.slice(1).map(() => arrowOf(this.data.reuse));
    const nodes = this.parts.flatMap((part, i) => (i ? [this.arrows[i - 1], part.node] : part.node));
    this.lanes.replaceChildren(...nodes);
    this.lanes.classList.toggle("many", nodes.length > 7);
  }

  fill({ said }, part) {
    part.node.classList.toggle("silent", !said);
    part.number.textContent = said ? said.percent : "";
    part.fill.style.width = said ? `${100 * said.confidence}%` : 0;
    part.top.replaceChildren(...(said ? said.top.map(rowOf) : []));
  }

  fits(thresholds) {
    return Array.isArray(thresholds) && thresholds.length === this.data.lanes.length - 1;
  }

  follow(thresholds) {
    if (!this.fits(thresholds)) return;
    this.stop();
    this.thresholds = thresholds;
    this.draw();
  }

  draw() {
    const { lanes, asked } = this.data;
    const confidences = lanes.filter((lane) => lane.said).map((lane) => lane.said.confidence);
    const { exit, states } = laneStates(confidences, this.thresholds, lanes.length, asked);
    Object.assign(this, { exit, states });
    states.forEach((state, i) => this.drawLane(state, i));
    this.arrows.forEach((arrow, i) => arrow.classList.toggle("faint", i + 1 > exit));
    const visited = states[exit] === "pending" ? [] : lanes.slice(0, exit + 1);
    this.times = visited.map((lane) => lane.said.ms);
    this.say(statusText(states, exit, this.thresholds, lanes), QUIET_MS);
    for (const trace of window.dvtTraces) trace.note();
  }

  drawLane(state, i) {
    const part = this.parts[i];
    const threshold = i < this.thresholds.length ? this.thresholds[i] : null;
    const [verdict, remark] = laneWords(this.states, this.exit, i, this.data.lanes);
    part.node.dataset.state = state;
    part.node.dataset.phase = "";
    part.verdict.textContent = verdict;
    part.remark.textContent = remark;
    part.rule.textContent = ruleWords(threshold);
    part.tick.hidden = threshold === null;
    part.tick.style.left = `${100 * Math.min(threshold ?? 0, 1)}%`;
  }

  say(words, after = 0) {
    this.status.textContent = words;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => (this.spoken.textContent = words), after);
  }

  total() {
    return (this.times ?? []).reduce((sum, ms) => sum + ms, 0);
  }

  note() {
    const slow = slowdown(Math.max(...[...window.dvtTraces].map((trace) => trace.total())));
    this.button.disabled = !this.times?.length;
    const told = { times: slow.toLocaleString("en"), ms: fixed(this.total(), 1) };
    this.pace.textContent = !this.times?.length ? "" : slow === 1
      ? say("at the speed measured; measured {ms} ms on this computer", told)
      : say("slowed {times} times; measured {ms} ms on this computer", told);
  }

  press() {
    const traces = [...window.dvtTraces];
    if (this.playing) return traces.forEach((trace) => trace.finish());
    const factor = slowdown(Math.max(...traces.map((trace) => trace.total())));
    traces.forEach((trace) => trace.play(factor));
  }

  play(factor) {
    if (!this.times?.length) return;
    const steps = schedule(this.times, factor);
    const began = performance.now();
    const isCalm = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.root.classList.toggle("calm", isCalm);
    this.button.textContent = say("stop");
    let heard = "";
    const frame = (now) => {
      const t = now - began;
      if (t >= steps.at(-1).end) return this.finish();
      this.playing = requestAnimationFrame(frame);
      const phases = this.parts.map((_, i) => phaseAt(steps[i], t));
      const at = Math.max(0, phases.findLastIndex((phase) => phase !== "wait"));
      phases.forEach((phase, i) => this.pose(phase, i, (t - steps[i]?.from) / factor, isCalm));
      const words = this.narrate(phases[at], at);
      if (words !== heard) this.say((heard = words));
    };
    this.playing = requestAnimationFrame(frame);
  }

  narrate(phase, i) {
    const lane = this.data.lanes[i];
    if (phase) return say("{stage} is computing {tokens} tokens: +{cost}.", lane);
    const [verdict] = laneWords(this.states, this.exit, i, this.data.lanes);
    const { word, percent } = lane.said;
    return say("{exit}: {word}, {percent} sure. {verdict}", { exit: lane.name, word, percent, verdict });
  }

  pose(phase, i, ms, isCalm) {
    const part = this.parts[i];
    if (part.node.dataset.phase !== phase) {
      part.node.dataset.phase = phase;
      if (phase === "wait") part.verdict.textContent = say("Not computed yet.");
      if (!phase) part.verdict.textContent = laneWords(this.states, this.exit, i, this.data.lanes)[0];
      const said = this.data.lanes[i].said;
      const isShort = phase === "wait" || phase === "run";
      part.fill.style.width = said && !isShort ? `${100 * said.confidence}%` : 0;
      if (isCalm && phase === "run") part.verdict.textContent = say("Computing.");
    }
    if (phase !== "run" || isCalm) return;
    part.verdict.textContent = say("Computing: {ms} ms.", { ms: fixed(ms, 1) });
    part.progress.style.width = `${(100 * ms) / this.times[i]}%`;
  }

  stop() {
    if (!this.playing) return;
    cancelAnimationFrame(this.playing);
    this.playing = null;
    this.button.textContent = say("replay");
    this.data.lanes.forEach((lane, i) => this.fill(lane, this.parts[i]));
  }

  finish() {
    if (!this.playing) return;
    this.stop();
    this.draw();
  }
}

export default function (component) {
  const { data: { page: data }, parentElement } = component;
  speak(data);
  const root = parentElement.querySelector(".root");
  let trace = instances.get(parentElement);
  if (trace?.root !== root) {
    trace?.close();
    trace = new Trace(root);
    instances.set(parentElement, trace);
  }
  trace.take(data);
  return () => {
    instances.get(parentElement)?.close();
    instances.delete(parentElement);
  };
}
