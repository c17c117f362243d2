// The whole test set in lanes, one per exit. Cards change lane while the dial is dragged: every
// frame sorts all images anew, and only the cards in sight are in the document.

const boards = new WeakMap();
const HEAD = 30, GAP = 8, WORD = 20;  // pixels: a group's headline, between cards, a card's words
const PICTURE_WIDTH = 74, WORDS_WIDTH = 118, WORDS_HEIGHT = 60;  // at least; cards fill the lane
const REST_MS = 700;  // a dial that stood still so long starts a new move
const LOAD_MS = 70, PATIENCE_MS = 300;  // pictures are asked for when the cards stand still
const EVERYTHING = { label: -1, low: 0, high: 1, outcome: -1, sort: "near" };

function outcomeNames() {
  return [say("right at once"), say("right, but unsure at first"), say("rescued by a later stage"),
    say("confident and wrong early"), say("right, then wrong"), say("never right")];
}

function outcomeMeanings() {
  return [
    say("Left at exit 1, with the right answer."),
    say("Right. Exit 1 had the same right answer but was not sure enough, so more was computed."),
    say("Right, at a later exit. Exit 1 would have been wrong."),
    say("Left before the last exit with a wrong answer. A later exit would have been right."),
    say("Wrong, though an exit that it passed had the right answer (overthinking)."),
    say("No exit has the right answer. No threshold changes that."),
  ];
}

const isRight = (outcome) => outcome < 3;
const sign = (outcome) => (isRight(outcome) ? "✓" : "✗");
const grouped3 = (n) => String(n).replace(/\B(?=(\d{3})+(?!\d))/g, ",");

function make(tag, properties = {}, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}

export default function (component) {
  const { data: { page: data }, parentElement, setTriggerValue } = component;
  speak(data);
  const root = parentElement.querySelector(".root");
  let page = boards.get(parentElement);
  const isNew = !page;
  if (isNew) boards.set(parentElement, (page = { root, frames: 0, moved: 0, baseline: null }));
  // For the dial that stays in sight above: outside a component the page knows no such colour.
  document.documentElement.style.setProperty("--dvt-background",
    getComputedStyle(root).getPropertyValue("--st-background-color"));
  page.pick = (row) => setTriggerValue("picked", row);
  const signature = [data.signature, data.language, data.thumbs?.address].join(" ");
  if (page.signature !== signature) {
    const isSame = page.data?.signature === data.signature;
    const board = isSame ? page.board : makeBoard(data);
    Object.assign(page, { signature, data, board, now: null, baseline: null });
    build(page);
  }
  if (isNew) {
    page.onDial = () => onDial(page);
    page.onClass = ({ detail }) => setFilter(page, { label: detail.label });
    window.addEventListener("dvt-dial", page.onDial);
    window.addEventListener("dvt-class", page.onClass);
    page.watcher = new ResizeObserver(() => measure(page));
    page.watcher.observe(root);
  }
  return () => {
    remember(page);
    window.removeEventListener("dvt-dial", page.onDial);
    window.removeEventListener("dvt-class", page.onClass);
    page.watcher.disconnect();
    clearTimeout(page.loading);
    clearTimeout(page.saying);
    boards.delete(parentElement);
  };
}

// --- what is kept while other pages are looked at ------------------------------------------

function remember(page) {
  window.dvtLanes = { signature: page.data.signature, filter: page.filter,
    scrolled: page.lanes.map((lane) => lane.box.scrollTop) };
}

function recall(page) {
  const kept = window.dvtLanes?.signature === page.data.signature ? window.dvtLanes : null;
  const exits = new Array(page.board.exits).fill(true);
  page.filter ??= kept ? kept.filter : { ...EVERYTHING, exits };
  if (page.filter.exits.length !== exits.length || page.filter.label >= page.data.words.length) {
    page.filter = { ...EVERYTHING, exits };
  }
  page.scrolled = kept?.scrolled;
}

// --- building ------------------------------------------------------------------------------

function build(page) {
  const { root, data } = page;
  recall(page);
  page.sheets = data.thumbs ? makeSheets(data.thumbs.address, () => draw(page, true)) : null;
  root.innerHTML = `<div class="counts" role="group"></div>
    <details class="meanings"><summary><span class="sum"></span> <u></u></summary><dl></dl></details>
    <div class="filters" role="group"></div><p class="shown" role="status"></p>
    <div class="lanes"></div>`;
  root.classList.toggle("pictures", Boolean(page.sheets));
  page.names = outcomeNames();
  buildCounts(page);
  buildFilters(page);
  page.lanes = Array.from({ length: page.board.exits }, (_, e) => buildLane(page, e));
  root.querySelector(".lanes").replaceChildren(...page.lanes.map((lane) => lane.node));
  measure(page);
  onDial(page);
}

function buildCounts(page) {
  const box = page.root.querySelector(".counts"), meanings = outcomeMeanings();
  box.setAttribute("aria-label", say("Outcomes; press one to see only these images"));
  const list = page.root.querySelector(".meanings dl");
  page.root.querySelector(".meanings u").textContent = say("What the words mean");
  page.chips = page.names.map((name, o) => {
    const count = make("strong"), mark = make("i", { textContent: sign(o), ariaHidden: "true" });
    const chip = make("button", { type: "button", title: meanings[o], hidden: !isPossible(page, o) },
      make("span", {}, mark, ` ${name}`), count);
    chip.dataset.outcome = page.data.outcome_ids[o];
    chip.onclick = () => setFilter(page, { outcome: page.filter.outcome === o ? -1 : o });
    box.append(chip);
    if (!chip.hidden) {
      list.append(make("dt", { textContent: `${sign(o)} ${name}` }),
        make("dd", { textContent: meanings[o] }));
    }
    return { chip, count };
  });
}

// Whether any image can have this outcome at this exit, or at any.
function isPossible(page, outcome, exit = -1) {
  const { lookup, exits } = page.board, width = 2 ** exits;
  const part = exit < 0 ? lookup : lookup.subarray(exit * width, (exit + 1) * width);
  return part.includes(outcome);
}

function buildFilters(page) {
  const box = page.root.querySelector(".filters"), { words } = page.data;
  box.setAttribute("aria-label", say("Which images are shown"));
  const label = make("select");
  label.append(make("option", { value: -1, textContent: say("every class") }));
  const sorted = words.map((word, c) => [word, c]).sort(([a], [b]) => a.localeCompare(b));
  for (const [word, c] of sorted) label.append(make("option", { value: c, textContent: word }));
  label.onchange = () => setFilter(page, { label: Number(label.value) });

  const order = make("select");
  const sorts = { near: say("nearest to the threshold"), far: say("farthest from the threshold"),
    sure: say("surest first"), unsure: say("least sure first"), number: say("by number") };
  for (const key of SORTS) order.append(make("option", { value: key, textContent: sorts[key] }));
  order.onchange = () => setFilter(page, { sort: order.value });

  const exits = page.data.colours.map(({ name, colour, ink }, e) => {
    const chip = make("button", { type: "button", className: "exit", textContent: name });
    chip.style.cssText = `--exit:${colour};--ink:${ink}`;
    chip.onclick = () => setFilter(page, {
      exits: page.filter.exits.map((on, k) => (k === e ? !on : on)) });
    return chip;
  });
  const low = range(say("Confidence from"), (x) => ({ low: x }));
  const high = range(say("up to"), (x) => ({ high: x }));
  for (const end of [low, high]) {
    end.slider.oninput = () => setFilter(page, end.part(Number(end.slider.value) / 100));
  }
  const reset = make("button", { type: "button", textContent: say("show all again") });
  reset.onclick = () => setFilter(page,
    { ...EVERYTHING, exits: page.filter.exits.map(() => true) });
  box.append(named(say("Images of"), label), named(say("Sorted"), order),
    make("div", { className: "named" }, make("span", { textContent: say("Leaving at") }),
      make("div", { className: "exits" }, ...exits)), low.node, high.node, reset);
  page.controls = { label, order, exits, low, high, reset };
}

function named(name, control) {
  return make("label", { className: "named" }, make("span", { textContent: name }), control);
}

function range(name, part) {
  const slider = make("input", { type: "range", min: 0, max: 100, step: 1 });
  const shown = make("output");
  const node = make("label", { className: "named" },
    make("span", {}, `${name} `, shown), slider);
  return { node, slider, shown, part };
}

function buildLane(page, e) {
  const { colour, ink, name } = page.data.colours[e];
  const badge = make("span", { className: "badge", textContent: name });
  badge.style.cssText = `background:${colour};color:${ink}`;
  const count = make("strong"), share = make("small");
  const jumps = make("div", { className: "jumps" });
  const lane = { e, count, share, jumps: [], cards: [], heads: [], active: 0, drawn: 0,
    columns: 1, width: WORDS_WIDTH, height: WORDS_HEIGHT, top: 0, sight: 0 };
  for (let o = 0; o < page.board.outcomes; o++) {
    if (!isPossible(page, o, e)) continue;
    const number = make("b");
    const jump = make("button", { type: "button", title: say("Go to these images") },
      make("span", {}, `${sign(o)} ${page.names[o]}`), number);
    jump.onclick = () => goTo(page, lane, o);
    jumps.append(jump);
    lane.jumps.push({ o, jump, number });
  }
  lane.room = make("div", { className: "room" });
  lane.box = make("div", { className: "box", tabIndex: 0 }, lane.room);
  lane.box.setAttribute("role", "group");
  lane.box.onscroll = () => {
    lane.top = lane.box.scrollTop;
    drawLane(page, lane);
  };
  lane.box.onkeydown = (event) => onKey(page, lane, event);
  lane.none = make("p", { className: "none", textContent: say("No image here.") });
  lane.samples = make("div", { className: "samples" });
  lane.node = make("section", { className: "lane" },
    make("header", {}, badge, count, share), jumps, lane.samples, lane.box, lane.none);
  lane.node.style.setProperty("--exit", colour);
  lane.node.dataset.exit = e + 1;
  return lane;
}

// --- what a person asks --------------------------------------------------------------------

function setFilter(page, part) {
  page.filter = { ...page.filter, ...part };
  if (!page.filter.exits.includes(true)) page.filter.exits = page.filter.exits.map(() => true);
  if ("low" in part) page.filter.high = Math.max(page.filter.high, part.low);
  if ("high" in part) page.filter.low = Math.min(page.filter.low, part.high);
  for (const lane of page.lanes) lane.box.scrollTop = lane.top = lane.active = 0;
  if (page.now) refresh(page);
}

function showFilter(page) {
  const { controls, filter, chips } = page;
  controls.label.value = filter.label;
  controls.order.value = filter.sort;
  controls.exits.forEach((chip, e) => chip.setAttribute("aria-pressed", filter.exits[e]));
  for (const end of ["low", "high"]) {
    controls[end].slider.value = Math.round(100 * filter[end]);
    controls[end].shown.textContent = percent(filter[end], 0);
  }
  chips.forEach(({ chip }, o) => chip.setAttribute("aria-pressed", filter.outcome === o));
  controls.reset.hidden = isOpen(filter);
}

// --- frames --------------------------------------------------------------------------------

function onDial(page) {
  const known = window.dvtDial, { board, data } = page;
  const fits = known && known.model === data.model && known.thresholds.length === board.exits - 1;
  const thresholds = fits ? known.thresholds : board.exits === 1 ? [] : null;
  if (!thresholds) return;
  const began = performance.now(), text = thresholds.join();
  if (page.now && text === page.now.text) return;
  // Cards remember the lane they were in when this move began.
  if (!page.baseline) settle(board, thresholds);
  if (!page.baseline || began - page.moved > REST_MS) page.baseline = board.exitOf.slice();
  page.moved = began;
  page.now = { thresholds, text };
  refresh(page);
}

function refresh(page) {
  const began = performance.now(), { board, filter } = page;
  // Read before anything is written: the browser would lay out the page for each later look.
  for (const lane of page.lanes) lane.top = lane.box.scrollTop;
  settle(board, page.now.thresholds);
  page.found = arrange(board, filter);
  if (page.shown !== filter) showFilter(page);
  page.shown = filter;
  showCounts(page);
  for (const lane of page.lanes) placeLane(page, lane);
  draw(page, false);
  page.frames += 1;
  page.root.dataset.frames = page.frames;
  page.root.dataset.frameMs = (performance.now() - began).toFixed(2);
  window.dvtBoard = { model: page.data.model, board, label: filter.label };
  window.dispatchEvent(new CustomEvent("dvt-board", { detail: window.dvtBoard }));
  if (page.scrolled) {
    page.lanes.forEach((lane, e) => { lane.box.scrollTop = lane.top = page.scrolled[e] ?? 0; });
    page.scrolled = null;
  }
}

function showCounts(page) {
  const { board, found, filter } = page, { counts } = found, of = board.outcomes;
  const sums = new Array(of).fill(0);
  let total = 0;
  for (let e = 0; e < board.exits; e++) {
    for (let o = 0; o < of; o++) {
      if (!filter.exits[e]) continue;
      sums[o] += counts[e * of + o];
      total += counts[e * of + o];
    }
  }
  page.chips.forEach(({ count }, o) => { count.textContent = grouped3(sums[o]); });
  const all = { count: grouped3(total), n: grouped3(board.n) };
  page.root.querySelector(".sum").textContent = total === board.n
    ? say("Each image counts once: together {count}, the whole test set.", all)
    : say("Each image counts once: together {count} of the {n} test images.", all);
  for (const lane of page.lanes) {
    const part = counts.subarray(lane.e * of, (lane.e + 1) * of);
    const sum = part.reduce((a, b) => a + b, 0);
    lane.count.textContent = grouped3(sum);
    lane.share.textContent = say("{share} of the test set", { share: percent(sum / board.n) });
    for (const { o, number, jump } of lane.jumps) {
      number.textContent = grouped3(part[o]);
      jump.disabled = !part[o] || (filter.outcome >= 0 && filter.outcome !== o);
    }
  }
  clearTimeout(page.saying);  // not on every frame: readers of the screen would never stop
  page.saying = setTimeout(() => sayMoves(page), 150);
}

function sayMoves(page) {
  const { board, baseline, found } = page;
  let on = 0, back = 0;
  for (let i = 0; i < board.n; i++) {
    if (board.exitOf[i] > baseline[i]) on++;
    else if (board.exitOf[i] < baseline[i]) back++;
  }
  const kept = { count: grouped3(found.kept), n: grouped3(board.n) };
  const shown = found.kept === board.n ? say("All {n} images are shown.", kept)
    : say("{count} of {n} images are shown.", kept);
  const moves = say("With the last move of the dial {on} went on to a later exit and {back} left earlier; a dot has the colour of the exit they come from.",
    { on: grouped3(on), back: grouped3(back) });
  page.root.querySelector(".shown").textContent = on || back ? `${shown} ${moves}` : shown;
}

function measure(page) {
  for (const lane of page.lanes ?? []) {
    const width = lane.box.clientWidth;
    if (!width) continue;
    lane.sight = lane.box.clientHeight;
    const least = page.sheets ? PICTURE_WIDTH : WORDS_WIDTH;
    lane.columns = Math.max(1, Math.floor((width + GAP) / (least + GAP)));
    lane.width = Math.floor((width + GAP) / lane.columns - GAP);
    lane.height = page.sheets ? lane.width + WORD : WORDS_HEIGHT;
    lane.room.style.setProperty("--side", `${lane.width}px`);
    if (page.found) placeLane(page, lane);
  }
  if (page.found) draw(page, true);
}

function placeLane(page, lane) {
  const groups = page.found.lanes[lane.e], isShown = page.filter.exits[lane.e];
  if (lane.node.hidden === isShown) {
    lane.node.hidden = !isShown;
    lane.isNew = true;
  }
  const { places, height } = layout(groups, lane.columns, HEAD, lane.height + GAP);
  lane.places = places;
  lane.length = groups.reduce((sum, group) => sum + group.count, 0);
  lane.room.style.height = `${height}px`;
  lane.none.hidden = lane.length > 0;
  lane.box.hidden = lane.length === 0;
  lane.box.setAttribute("aria-label", say("{exit}: {n} images, arrow keys go from card to card",
    { exit: page.data.colours[lane.e].name, n: grouped3(lane.length) }));
  lane.active = Math.min(lane.active, Math.max(lane.length - 1, 0));
}

function draw(page, isLayout) {
  if (!page.found) return;
  if (page.lanes.some((lane) => lane.isNew) && !isLayout) {
    page.lanes.forEach((lane) => { lane.isNew = false; });
    measure(page);
    return;
  }
  for (const lane of page.lanes) drawLane(page, lane);
  drawSamples(page);
}

function drawLane(page, lane) {
  if (!lane.places || lane.node.hidden) return;
  const card = lane.height + GAP, { top, sight } = lane;
  const seen = inSight(lane.places, lane.columns, HEAD, card, top - card / 2, top + sight + card / 2);
  const count = seen.reduce((sum, [, first, after]) => sum + after - first, 0);
  while (lane.cards.length < count) addCard(page, lane);
  lane.drawn += 1;
  const numbers = [], base = lane.places.length ? lane.places[0].start : 0;
  for (const [group, first, after] of seen) {
    for (let k = first; k < after; k++) {
      const place = group.start + k, node = lane.cards[(place - base) % lane.cards.length];
      const x = (k % lane.columns) * (lane.width + GAP);
      const y = group.top + HEAD + Math.floor(k / lane.columns) * card;
      const i = imageAt(page.board, place);
      put(node, "transform", `translate(${x}px,${y}px)`);
      paint(page, lane, node, i, group.outcome);
      node.place = place - base;
      node.drawn = lane.drawn;
      const tab = node.place === lane.active ? 0 : -1;
      if (node.tab !== tab) node.tabIndex = node.tab = tab;
      numbers.push(page.board.numbers[i]);
    }
  }
  for (const node of lane.cards) if (node.drawn !== lane.drawn && !node.hidden) node.hidden = true;
  drawHeads(page, lane);
  lane.numbers = numbers;
  restSoon(page);
}

function put(node, name, value) {
  if (node.kept[name] === value) return;
  node.kept[name] = value;
  node.style[name] = value;
}

function addCard(page, lane) {
  const picture = make("span", { className: "picture" }), fill = make("i");
  const word = document.createTextNode(""), truth = document.createTextNode("");
  const was = make("span", { className: "was", hidden: true });
  const node = make("button", { type: "button", className: "card" }, picture,
    make("span", { className: "truth" }, truth), make("span", { className: "word" }, word),
    make("span", { className: "bar" }, fill), was);
  picture.kept = {};
  fill.kept = {};
  Object.assign(node, { picture, word, fill, truth, was, kept: {}, row: -1, isBare: false });
  node.onclick = () => { lane.active = node.place; page.pick(node.row); };
  lane.cards.push(node);
  lane.room.append(node);
  for (const each of lane.cards) each.row = -1;  // places are shared out anew
}

function paint(page, lane, node, i, outcome) {
  const { board, data } = page, { words } = data, e = lane.e;
  if (node.hidden) node.hidden = false;
  const from = page.baseline[i] === e ? -1 : page.baseline[i];
  const thumb = page.sheets?.find(board.numbers[i]);
  put(node, "width", `${lane.width}px`);
  put(node, "height", `${lane.height}px`);
  if (node.row === i && node.from === from && node.thumb === thumb && node.outcome === outcome
    && node.side === lane.width) return;
  Object.assign(node, { row: i, from, thumb, outcome, side: lane.width });
  const truth = words[board.labels[i]], said = words[board.said[e][i]];
  const confidence = confidenceOf(board, i, e);
  write(node.word, `${sign(outcome)} ${said}`);
  write(node.truth, truth);
  put(node.fill, "width", `${Math.round(100 * confidence)}%`);
  node.was.hidden = from < 0;
  if (from >= 0) node.was.style.background = data.colours[from].colour;
  if (thumb) showThumb(node.picture, thumb, lane.width);
  else put(node.picture, "backgroundImage", "none");
  if (thumb) node.picture.kept.backgroundImage = thumb.url;
  if (node.isBare !== !thumb) node.classList.toggle("bare", node.isBare = !thumb);
  node.isNamed = false;
}

function write(text, words) {
  if (text.data !== words) text.data = words;
}

// What a card says to a pointer at rest and to a reader of the screen; not while things move.
function nameCards(page) {
  const { board, data } = page;
  for (const lane of page.lanes) {
    for (const node of lane.cards) {
      if (node.isNamed || node.hidden || node.row < 0) continue;
      const i = node.row, { e } = lane;
      const text = say("Test image {number}, labelled {label}: {exit} says {answer}, {confidence} sure. {outcome}.", {
        number: board.numbers[i], label: data.words[board.labels[i]], exit: data.colours[e].name,
        answer: data.words[board.said[e][i]], confidence: percent(confidenceOf(board, i, e)),
        outcome: page.names[node.outcome],
      });
      node.title = text;
      node.setAttribute("aria-label", text);
      node.isNamed = true;
    }
  }
}

function drawHeads(page, lane) {
  while (lane.heads.length < lane.places.length) {
    const head = make("h4");
    head.kept = {};
    lane.heads.push(head);
    lane.room.append(head);
  }
  lane.heads.forEach((head, k) => {
    const group = lane.places[k];
    head.hidden = !group;
    if (!group) return;
    put(head, "transform", `translateY(${group.top}px)`);
    const text = `${sign(group.outcome)} ${page.names[group.outcome]} · ${grouped3(group.count)}`;
    if (head.textContent !== text) head.textContent = text;
  });
}

// Where the test set is not on this machine, the built-in samples are the pictures in the lanes.
function drawSamples(page) {
  const samples = page.data.samples ?? [];
  if (!samples.length || !page.now) return;
  page.sampleNodes ??= [];
  // They are no images of the test set: a filter, which asks for some of it, leaves them out.
  const isShown = isOpen(page.filter);
  for (const lane of page.lanes) lane.samples.hidden = !isShown;
  if (!isShown) return;
  samples.forEach((sample, k) => {
    let node = page.sampleNodes[k];
    if (!node?.isConnected) {
      const picture = make("img", { src: sample.picture, alt: sample.name });
      node = page.sampleNodes[k] = make("figure", {}, picture, make("figcaption"));
    }
    const e = firstExit(sample.confidences, page.now.thresholds), lane = page.lanes[e];
    const mark = sample.words[e] === sample.label ? "✓" : "✗";
    const text = `${mark} ${sample.words[e]}`;
    node.title = say("Sample {name}: {exit} says {answer}, {confidence} sure.", { name: sample.name,
      exit: page.data.colours[e].name, answer: sample.words[e], confidence: percent(sample.confidences[e]) });
    if (node.lastChild.textContent !== text) node.lastChild.textContent = text;
    if (node.parentElement !== lane.samples) lane.samples.append(node);
  });
}

// --- pictures and keys ---------------------------------------------------------------------

function restSoon(page) {
  const now = performance.now();
  page.waiting ??= now;
  clearTimeout(page.loading);
  page.loading = setTimeout(() => {
    page.waiting = null;
    nameCards(page);
    page.sheets?.want(page.lanes.flatMap((lane) => (lane.node.hidden ? [] : lane.numbers ?? [])));
  }, now - page.waiting > PATIENCE_MS ? 0 : LOAD_MS);
}

function goTo(page, lane, outcome) {
  const group = lane.places.find((each) => each.outcome === outcome);
  if (!group) return;
  lane.box.scrollTop = lane.top = group.top;
  lane.active = group.start - lane.places[0].start;
  drawLane(page, lane);
}

function onKey(page, lane, event) {
  const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: lane.columns, ArrowUp: -lane.columns };
  const step = steps[event.key];
  if (!step || !lane.length) return;
  event.preventDefault();
  const isCard = event.target !== lane.box;
  lane.active = Math.min(Math.max(lane.active + (isCard ? step : 0), 0), lane.length - 1);
  const place = lane.active + lane.places[0].start;
  const group = lane.places.find((each) => place < each.start + each.count);
  const card = lane.height + GAP;
  const y = group.top + HEAD + Math.floor((place - group.start) / lane.columns) * card;
  if (y - HEAD < lane.box.scrollTop) lane.box.scrollTop = y - HEAD;
  const bottom = lane.box.scrollTop + lane.box.clientHeight;
  if (y + card > bottom) lane.box.scrollTop += y + card - bottom;
  lane.top = lane.box.scrollTop;
  drawLane(page, lane);
  nameCards(page);  // before the focus comes, so that it is read out
  lane.cards.find((node) => !node.hidden && node.place === lane.active)?.focus({ preventScroll: true });
}
