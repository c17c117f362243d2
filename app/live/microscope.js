// The reuse microscope: for one token of one stage its own logits, what was reused, the sum and
// the softmax, drawn on the picture; then all heads, shares, where a coarse cell lands, rollout and
// the reused features. Everything is drawn here; the server hears of a choice once it rests.
// Put after microscope_math.js and microscope_map.js.

const SEND_MS = 300;
const KINDS = ["attention", "own", "reused", "sum"];
const ARROWS = ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home"];
const microscopes = new WeakMap();

function chips(name, legend, onPick) {
  const room = node("div", { className: "chips" });
  const box = node("fieldset", {}, node("legend", {}, legend), room);
  const offer = (options, chosen) => {
    const key = JSON.stringify(options);
    if (room.dataset.key !== key) {
      room.dataset.key = key;
      room.replaceChildren(...options.map(({ value, text, help = "", badge }) => {
        const radio = node("input", { type: "radio", name, value: String(value) });
        radio.onchange = () => onPick(value);
        const shown = node("span", {}, text);
        if (badge) shown.style.cssText = `border-bottom: 3px solid ${badge}`;
        return node("label", { title: help }, radio, shown);
      }));
    }
    for (const radio of room.querySelectorAll("input")) radio.checked = radio.value === String(chosen);
  };
  return { box, offer };
}

class Microscope {
  constructor(root) {
    this.root = root;
    root.classList.add("micro");
    this.key = null; // the token that is looked at; null: the one with the largest attention
    this.coarse = null;
    this.kind = KINDS[0];
    this.through = 0.2;
    this.isCentred = false;
  }

  take(data) {
    this.data = data;
    const isOther = this.id !== data.id;
    if (isOther) {
      this.id = data.id;
      this.stages = data.stages.map(openStage);
      if (!this.fits(this.choice)) this.choice = { ...data.choice };
      this.sent = JSON.stringify(this.choice);
      this.key = this.coarse = null;
      this.build();
    }
    if (data.part) this.adopt(data.part);
    if (!isOther) return this.draw();
    this.picture = null;
    loadPicture(data.picture, data.side).then((picture) => {
      if (this.id !== data.id) return;
      this.picture = picture;
      this.draw();
    });
  }

  adopt(part) {
    const opened = openStage({ ...this.data.stages[part.stage], own: part.own, reused: part.reused });
    this.stages[part.stage] = { ...opened, first: part.layer };
  }

  fits(choice) {
    const stage = choice && this.stages[choice.stage];
    return Boolean(stage) && choice.layer < stage.depth && choice.head < stage.heads && choice.query < stage.n;
  }

  // A part of the choice changes; another stage has other patches, so the same place is looked up.
  choose(part) {
    const next = { ...this.choice, ...part };
    const [from, to] = [this.stages[this.choice.stage], this.stages[next.stage]];
    if (from !== to) {
      next.query = sameplace(next.query, from.grid, to.grid);
      next.layer = Math.min(next.layer, to.depth - 1);
      next.head = Math.min(next.head, to.heads - 1);
      this.key = null;
    }
    if (next.query !== this.choice.query) this.coarse = null;
    this.choice = next;
    this.draw();
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      const text = JSON.stringify(this.choice);
      if (text !== this.sent) this.send(JSON.parse((this.sent = text)));
    }, SEND_MS);
  }

  // --- what stands on the page ---------------------------------------------------------------

  build() {
    const { words } = this.data;
    const pick = (name) => (value) => this.choose({ [name]: value });
    this.chips = {
      stage: chips("stage", words.stage, pick("stage")),
      layer: chips("layer", words.layer, pick("layer")),
      head: chips("head", words.head, pick("head")),
      scope: chips("scope", words.scope, pick("scope")),
      kind: chips("kind", words.kind, (kind) => { this.kind = kind; this.draw(); }),
    };
    const centre = node("input", { type: "checkbox", checked: this.isCentred });
    centre.onchange = () => { this.isCentred = centre.checked; this.draw(); };
    const through = node("input", { type: "range", min: 0, max: 80, value: 100 * this.through });
    through.oninput = () => { this.through = through.value / 100; this.draw(); };
    const look = node("div", { className: "look" },
      node("label", { title: words.centred_help }, centre, words.centred),
      node("label", {}, words.through, through));
    const { stage, layer, head, scope, kind } = this.chips;
    this.parts = {
      where: node("p", { className: "where" }),
      panels: this.buildPanels(),
      reading: node("p", { className: "reading" }),
      bars: node("div", { className: "scales" }),
      glance: node("div", { className: "glance" }),
      shares: node("div", { className: "shares" }),
      lands: node("p", { className: "note" }),
      rollouts: node("div", { className: "row" }),
      norms: node("div", { className: "row" }),
      unread: node("p", { className: "note", textContent: words.norms_unread }),
    };
    this.parts.reading.setAttribute("aria-live", "polite");
    this.glanced = "";
    const block = (title, note, ...children) =>
      node("section", {}, node("h4", {}, title), node("p", { className: "note" }, note), ...children);
    const p = this.parts;
    this.blocks = {
      lands: block(words.lands_title, words.lands_note, this.buildLands(), p.lands),
      norms: block(words.norms_title, words.norms_note, p.norms, p.unread),
    };
    this.root.replaceChildren(
      node("div", { className: "bar" }, stage.box, layer.box, head.box, scope.box, look),
      p.where, p.panels, p.reading, p.bars,
      node("div", { className: "pair" },
        block(words.glance_title, this.data.part ? words.glance_layer : words.glance_note, kind.box, p.glance),
        block(words.shares_title, words.shares_note, p.shares)),
      node("div", { className: "pair" },
        this.blocks.lands, block(words.rollout_title, words.rollout_note, p.rollouts)),
      this.blocks.norms);
  }

  buildPanels() {
    const ask = (token, isPressed) => { if (isPressed || token === 0) this.choose({ query: token }); };
    const onAsk = (event) => this.onArrow(event, (key, grid) =>
      this.choose({ query: step(this.choice.query, key, grid) }));
    const look = (token) => { this.key = token; this.drawPanels(); };
    const onLook = (event) => this.onArrow(event, (key, grid) => look(step(this.keyNow(), key, grid)));
    this.maps = { query: new TokenMap({ onToken: ask, onKey: onAsk, isButton: true }) };
    for (const kind of ["own", "reused", "sum", "attention"]) {
      this.maps[kind] = new TokenMap({ onToken: look, onKey: onLook, isButton: true });
    }
    this.maps.query.canvas.classList.add("picker");
    const { query, own, reused, sum, attention } = this.maps;
    const sign = (text) => node("span", { className: "sign", ariaHidden: "true" }, text);
    return node("div", { className: "panels" }, query.node, sign(""), own.node, sign("+"), reused.node,
      sign("="), sum.node, sign("→"), attention.node);
  }

  buildLands() {
    const pickCoarse = (token) => { this.coarse = token; this.drawLands(); };
    const onCoarse = (event) => this.onArrow(event, (key) =>
      pickCoarse(step(this.coarseNow(), key, this.stages[this.choice.stage - 1].grid)));
    const ask = (token, isPressed) => { if (isPressed) this.choose({ query: token }); };
    const onAsk = (event) => this.onArrow(event, (key, grid) =>
      this.choose({ query: step(this.choice.query, key, grid) }));
    this.from = new TokenMap({ onToken: pickCoarse, onKey: onCoarse });
    this.onto = new TokenMap({ onToken: ask, onKey: onAsk });
    return node("div", { className: "lands" }, this.from.node,
      node("span", { className: "sign", ariaHidden: "true" }, "→"), this.onto.node);
  }

  onArrow(event, move) {
    if (!ARROWS.includes(event.key)) return;
    event.preventDefault();
    move(event.key, this.stages[this.choice.stage].grid);
  }

  // --- words -----------------------------------------------------------------------------------

  nameOf(token, grid) {
    const { words } = this.data;
    if (token === 0) return words.class_token;
    const [row, column] = [Math.floor((token - 1) / grid) + 1, ((token - 1) % grid) + 1];
    return fill(words.patch, { row, column });
  }

  gridName(stage) {
    return `${stage.grid}x${stage.grid}`;
  }

  // --- drawing -----------------------------------------------------------------------------------

  draw() {
    if (!this.picture) return;
    const { choice, stages, data } = this, { words } = data, stage = stages[choice.stage];
    const count = (number) => Array.from({ length: number }, (_, i) => ({ value: i, text: String(i + 1) }));
    this.chips.stage.offer(stages.map((one, i) => ({
      value: i, text: `${i + 1} · ${this.gridName(one)}`, badge: one.colour,
    })), choice.stage);
    this.chips.layer.offer(count(stage.depth), choice.layer);
    this.chips.head.offer(count(stage.heads), choice.head);
    this.chips.scope.offer(["map", "stage", "all"].map((value) => ({
      value, text: words.scopes[value], help: words.scope_help[value],
    })), choice.scope);
    const kinds = stage.is_reusing ? KINDS : ["attention", "own"];
    if (!kinds.includes(this.kind)) this.kind = "attention";
    this.chips.kind.offer(kinds.map((value) => ({ value, text: words.kinds[value] })), this.kind);
    this.drawPanels();
    this.drawGlance();
    this.drawShares();
    this.drawLands();
    this.drawRollouts();
    this.drawNorms();
  }

  rows(layer = this.choice.layer, head = this.choice.head) {
    const rows = rowsOf(this.stages[this.choice.stage], layer, head, this.choice.query);
    if (!rows) return null;
    const shown = { ...rows, raw: rows };
    if (this.isCentred) for (const kind of ["own", "reused", "sum"]) shown[kind] = centred(rows[kind]);
    return shown;
  }

  keyNow() {
    return this.key ?? largest(this.rows()?.attention ?? [0]);
  }

  // [r, g, b] for each value of a kind under a limit.
  colourer(kind, limit) {
    const map = this.data.colours[kind === "logits" ? "logits" : "attention"];
    const low = kind === "logits" ? -limit : 0;
    return (value) => map[shade(value, low, limit, map.length)];
  }

  drawPanels() {
    const { choice, data, stages, picture, maps, parts } = this, { words } = data;
    const stage = stages[choice.stage], rows = this.rows();
    const token = this.nameOf(choice.query, stage.grid);
    parts.where.textContent = fill(words.where, {
      stage: choice.stage + 1, layer: choice.layer + 1, head: choice.head + 1, token,
    });
    const paint = (map, options) => map.paint(picture, data.side, stage.edges, options);
    const query = [choice.query, "query"];
    maps.query.say(words.query_title, token, fill(words.query_label, { token }));
    paint(maps.query, { colour: true, marks: [query] });
    maps.query.paintToken(words.class_token, null);
    maps.query.token.setAttribute("aria-pressed", choice.query === 0);
    this.root.classList.toggle("waiting", !rows);
    if (!rows) return void (parts.reading.textContent = words.waiting);
    const key = this.keyNow();
    const logits = limitOf(choice.scope, "logits", stages, choice.stage, [rows.own, rows.reused, rows.sum]);
    const most = limitOf(choice.scope, "attention", stages, choice.stage, [rows.attention]);
    const ofClass = { ...triple(rows.own[0], rows.sum[0]), attention: percent(rows.attention[0]) };
    for (const kind of ["own", "reused", "sum", "attention"]) {
      const isEmpty = kind === "reused" && !stage.is_reusing;
      const colour = this.colourer(kind === "attention" ? kind : "logits", kind === "attention" ? most : logits);
      const shown = rows[kind].map((value) => (isEmpty ? null : colour(value)));
      const note = isEmpty ? words.nothing : fill(words.notes[kind], {
        grid: choice.stage ? this.gridName(stages[choice.stage - 1]) : "",
      });
      maps[kind].say(words.titles[kind], note);
      paint(maps[kind], { cells: shown.slice(1), through: this.through, marks: [query, [key, "key"]] });
      maps[kind].paintToken(isEmpty ? words.class_token : `${words.class_token} ${ofClass[kind]}`, shown[0]);
      maps[kind].token.setAttribute("aria-pressed", key === 0);
    }
    const { own, sum, attention } = rows.raw, said = triple(own[key], sum[key]);
    parts.reading.textContent = fill(stage.is_reusing ? words.reading : words.reading_own, {
      token, key: this.nameOf(key, stage.grid), own: said.own, reused: said.added, sum: said.sum,
      share: percent(attention[key]),
    });
    this.drawScales(logits, most);
  }

  drawScales(logits, most) {
    const { words, colours } = this.data;
    const bar = (map, ...ends) => {
      const stops = [0, 0.25, 0.5, 0.75, 1].map((s) => `rgb(${map[Math.round(s * (map.length - 1))].join(" ")})`);
      return node("span", { className: "scale" }, ends[0],
        node("i", { style: `background:linear-gradient(90deg,${stops.join(",")})` }), ends[1]);
    };
    this.parts.bars.replaceChildren(
      node("span", {}, words.scale_logits), bar(colours.logits, written(-logits, 1), signed(logits, 1)),
      node("span", {}, words.scale_attention), bar(colours.attention, "0 %", percent(most)),
      node("span", { className: "frames" }, words.frames));
  }

  drawGlance() {
    const { choice, stages, data, parts } = this, { words } = data, stage = stages[choice.stage];
    const layers = Array.from({ length: stage.depth }, (_, l) => l)
      .filter((l) => rowsOf(stage, l, 0, 0));
    const shape = JSON.stringify([choice.stage, layers, stage.heads]);
    if (this.glanced !== shape) {
      this.glanced = shape;
      parts.glance.style.gridTemplateColumns = `auto repeat(${stage.heads}, minmax(0, 5.5rem))`;
      this.thumbs = layers.map((l) => Array.from({ length: stage.heads }, (_, h) => {
        const map = new TokenMap({ px: 96 });
        const button = node("button", { type: "button", className: "thumb" }, map.canvas);
        button.setAttribute("aria-label", fill(words.thumb, { layer: l + 1, head: h + 1 }));
        button.onclick = () => this.choose({ layer: l, head: h });
        return { map, button, layer: l, head: h };
      }));
      const heads = this.thumbs[0]?.map(({ head }) => node("small", {}, fill(words.head_name, { head: head + 1 }))) ?? [];
      parts.glance.replaceChildren(node("span"), ...heads, ...this.thumbs.flatMap((row, i) => [
        node("small", { className: "side" }, fill(words.layer_name, { layer: layers[i] + 1 })),
        ...row.map(({ button }) => button)]));
    }
    const kind = this.kind === "attention" ? "attention" : "logits";
    for (const { map, button, layer, head } of this.thumbs.flat()) {
      const row = this.rows(layer, head)[this.kind];
      const colour = this.colourer(kind, limitOf(choice.scope, kind, stages, choice.stage, [row]));
      map.paint(this.picture, data.side, stage.edges, {
        cells: row.slice(1).map(colour), through: 0, lines: false, marks: [[choice.query, "query"]],
      });
      button.setAttribute("aria-pressed", layer === choice.layer && head === choice.head);
    }
  }

  drawShares() {
    const { choice, stages, data, parts } = this, { words } = data, stage = stages[choice.stage];
    if (!stage.is_reusing) return parts.shares.replaceChildren(node("p", {}, words.nothing_long));
    const bar = (share) => node("span", { className: "track" }, node("i", { style: `width:${100 * share}%` }));
    parts.shares.replaceChildren(node("span"), node("small", {}, words.share), node("small", {}, words.moved),
      ...stage.share.flatMap((share, l) => {
        const mark = l === choice.layer ? "now" : "";
        return [node("span", { className: mark }, fill(words.layer_name, { layer: l + 1 })),
          node("span", { className: "share" }, bar(share), percent(share, 0)),
          node("span", { className: "share" }, bar(stage.moved[l]), percent(stage.moved[l], 0))];
      }));
  }

  coarseNow() {
    return this.coarse ?? largest(takes(this.stages[this.choice.stage], this.choice.query));
  }

  drawLands() {
    const { choice, stages, data, parts, picture } = this, { words } = data;
    const stage = stages[choice.stage], before = stages[choice.stage - 1];
    this.blocks.lands.classList.toggle("none", !before);
    if (!before) return;
    const coarse = this.coarseNow();
    const from = takes(stage, choice.query), onto = landsOn(stage, coarse);
    const numbers = (shares) => shares.slice(1).map((share) => (share > 0 ? fixed(100 * share, 0) : ""));
    const window = closeUp(coarse || 1, before.edges, data.side);
    // Each grid also shows the other's cell at its true place and size.
    const frames = (token, of, kind) => (token > 0 ? [[boxOf(token, of.edges), kind]] : []);
    const names = { token: this.nameOf(choice.query, stage.grid), cell: this.nameOf(coarse, before.grid) };
    this.from.say(fill(words.from_title, { stage: choice.stage, grid: this.gridName(before) }), words.from_note);
    this.from.paint(picture, data.side, before.edges, {
      window, shares: from.slice(1), texts: numbers(from),
      frames: [...frames(coarse, before, "key"), ...frames(choice.query, stage, "query")],
    });
    this.onto.say(fill(words.onto_title, { stage: choice.stage + 1, grid: this.gridName(stage) }), words.onto_note);
    this.onto.paint(picture, data.side, stage.edges, {
      window, shares: onto.slice(1), texts: numbers(onto),
      frames: [...frames(coarse, before, "key"), ...frames(choice.query, stage, "query")],
    });
    const cells = onto.filter((share) => share > 0).length;
    parts.lands.textContent = choice.query === 0 ? words.lands_class : fill(words.lands_reading, {
      ...names, parts: from.filter((share) => share > 0).length, cells,
    });
  }

  // A row of small maps, made anew only when their number changes.
  smallMaps(room, number) {
    if (room.maps?.length !== number) {
      room.maps = Array.from({ length: number }, () => new TokenMap({ px: 200 }));
      room.replaceChildren(...room.maps.map((map) => map.node));
    }
    return room.maps;
  }

  drawRollouts() {
    const { choice, stages, data, parts, picture } = this, { words } = data, stage = stages[choice.stage];
    const maps = this.smallMaps(parts.rollouts, choice.stage + 1);
    maps.forEach((map, i) => {
      const k = choice.stage - i, of = stages[k];
      const row = Array.from(stage.rollouts[k].subarray(choice.query * of.n, (choice.query + 1) * of.n));
      const isOwn = k === choice.stage;  // the token itself keeps most by its shortcut
      const others = row.filter((_, j) => j > 0 && !(isOwn && j === choice.query));
      const colour = this.colourer("attention", reach([others]));
      map.say(fill(isOwn ? words.rollout_own : words.rollout_before, { stage: k + 1, grid: this.gridName(of) }),
        isOwn ? fill(words.rollout_self, { share: percent(row[choice.query], 0) }) : "");
      map.paint(picture, data.side, of.edges, {
        cells: row.slice(1).map(colour), through: this.through, marks: isOwn ? [[choice.query, "query"]] : [],
      });
      map.paintToken(`${words.class_token} ${percent(row[0])}`, colour(row[0]));
    });
  }

  drawNorms() {
    const { choice, stages, data, parts, picture } = this, { words } = data, stage = stages[choice.stage];
    this.blocks.norms.classList.toggle("none", !stage.norms);
    if (!stage.norms) return;
    parts.unread.hidden = !stage.is_unread;
    this.smallMaps(parts.norms, stage.depth).forEach((map, l) => {
      const row = Array.from(stage.norms.subarray(l * stage.n, (l + 1) * stage.n));
      const most = limitOf(choice.scope, "norms", stages, choice.stage, [row]);
      const colour = this.colourer("attention", most);
      map.say(fill(words.layer_name, { layer: l + 1 }), fill(words.norms_range, {
        low: fixed(Math.min(...row.slice(1)), 2), high: fixed(reach([row]), 2),
      }));
      map.paint(picture, data.side, stage.edges, {
        cells: row.slice(1).map(colour), through: this.through, marks: [[choice.query, "query"]],
      });
      map.token.hidden = true;
    });
  }
}

export default function (component) {
  const { data: { page: data }, parentElement, setStateValue } = component;
  const root = parentElement.querySelector(".root");
  let microscope = microscopes.get(parentElement);
  if (microscope?.root !== root) {
    microscope = new Microscope(root);
    microscopes.set(parentElement, microscope);
  }
  microscope.send = (choice) => setStateValue("choice", choice);
  microscope.take(data);
  return () => {
    clearTimeout(microscope.timer);
    microscopes.delete(parentElement);
  };
}
