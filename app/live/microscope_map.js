// One map on the picture: a canvas with cells, marks, and the class token's value below it.

const MAP_PX = 288;

// Grey and coloured copies of the picture, ready to be drawn.
export function loadPicture(source, side) {
  return new Promise((resolve) => {
    const image = new Image();
    image.onload = () => {
      const [colour, grey] = [0, 1].map(() => Object.assign(document.createElement("canvas"),
        { width: side, height: side }));
      colour.getContext("2d").drawImage(image, 0, 0, side, side);
      const context = grey.getContext("2d");
      context.drawImage(image, 0, 0, side, side);
      const pixels = context.getImageData(0, 0, side, side);
      for (let at = 0; at < pixels.data.length; at += 4) {
        const [r, g, b] = pixels.data.subarray(at, at + 3);
        pixels.data.fill(0.299 * r + 0.587 * g + 0.114 * b, at, at + 3);
      }
      context.putImageData(pixels, 0, 0);
      resolve({ colour, grey });
    };
    image.src = source;
  });
}

export function node(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  const { className, dataset, style, ...rest } = properties;
  if (className) made.className = className;
  if (style) made.style.cssText = style;
  Object.assign(made.dataset, dataset);
  for (const [name, value] of Object.entries(rest)) {
    if (name.startsWith("on") || name in made) made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

export class TokenMap {
  // `onToken(token)` is called when a cell is pointed at, `onKey(event)` for keys on the map.
  constructor({ px = MAP_PX, onToken, onKey, isButton = false } = {}) {
    this.canvas = node("canvas", { width: px, height: px });
    this.title = node("b");
    this.note = node("small");
    this.token = node(isButton ? "button" : "span", { className: "token" });
    if (isButton) this.token.type = "button";
    this.token.onclick = isButton ? () => onToken?.(0) : null;
    this.node = node("figure", {}, node("figcaption", {}, this.title, this.note), this.canvas, this.token);
    if (!onToken) return;
    this.canvas.tabIndex = 0;
    this.canvas.onpointerdown = (event) => {
      // A finger that scrolls is not a finger that points: only mouse and pen drag.
      if (event.pointerType !== "touch") this.canvas.setPointerCapture(event.pointerId);
      onToken(this.tokenOf(event), true);
    };
    this.canvas.onpointermove = (event) => {
      if (event.pointerType === "touch") return;
      onToken(this.tokenOf(event), event.buttons > 0);
    };
    this.canvas.onkeydown = onKey;
  }

  tokenOf(event) {
    const box = this.canvas.getBoundingClientRect();
    const [x, y, size] = this.window, scale = size / box.width;
    return tokenAt(x + (event.clientX - box.left) * scale, y + (event.clientY - box.top) * scale, this.edges);
  }

  say(title, note, label) {
    this.title.textContent = title;
    this.note.textContent = note;
    this.canvas.setAttribute("aria-label", label ?? `${title}. ${note}`);
    this.canvas.setAttribute("role", "img");
  }

  // Options: cells, one [r, g, b] or null per patch, and how far the picture shows through; or
  // shares, 0..1 per patch, and texts on them; marks, [[token, "query" | "key"], ...]; frames, the
  // same with [x, y, width, height] in pixels of the picture; colour, the picture not in grey;
  // window, the square [x, y, size] of the picture that is shown; lines, whether the grid is.
  paint(picture, side, edges, options) {
    const { cells, through = 0.2, colour, marks = [], frames = [], lines = true, texts, shares } = options;
    Object.assign(this, { side, edges, window: options.window ?? [0, 0, side] });
    const context = this.canvas.getContext("2d");
    const [left, top, size] = this.window, scale = this.canvas.width / side;
    this.zoom = side / size;
    context.setTransform(this.zoom, 0, 0, this.zoom, -left * scale * this.zoom, -top * scale * this.zoom);
    context.globalAlpha = 1;
    context.imageSmoothingEnabled = side > 128;
    context.drawImage(colour ? picture.colour : picture.grey, 0, 0, this.canvas.width, this.canvas.height);
    const place = (patch) => boxOf(patch + 1, edges).map((at) => at * scale);
    if (shares) this.paintShares(context, picture, shares, place, scale);
    if (cells) {
      context.globalAlpha = 1 - through;
      cells.forEach((rgb, patch) => {
        if (!rgb) return;
        context.fillStyle = `rgb(${rgb.join(" ")})`;
        context.fillRect(...place(patch));
      });
      context.globalAlpha = 1;
    }
    if (lines) this.paintGrid(context, edges, scale);
    for (const [token, kind] of marks) if (token > 0) this.paintMark(context, place(token - 1), kind, 3.5);
    for (const [box, kind] of frames) this.paintMark(context, box.map((at) => at * scale), kind, 0);
    if (texts) this.paintTexts(context, texts, place);
  }

  // Cells show the picture's own colours as strongly as their share says, the rest is dim.
  paintShares(context, picture, shares, place, scale) {
    context.fillStyle = "rgba(0, 0, 0, 0.6)";
    context.fillRect(0, 0, this.canvas.width, this.canvas.height);
    shares.forEach((share, patch) => {
      if (share <= 0) return;
      const box = place(patch);
      context.globalAlpha = 0.35 + 0.65 * share;
      context.drawImage(picture.colour, ...box.map((at) => at / scale), ...box);
    });
    context.globalAlpha = 1;
  }

  paintGrid(context, edges, scale) {
    const size = this.canvas.width;
    for (const [width, style] of [[3, "rgba(0, 0, 0, 0.35)"], [1, "rgba(255, 255, 255, 0.7)"]]) {
      context.lineWidth = width / this.zoom;
      context.strokeStyle = style;
      context.beginPath();
      for (const edge of edges.slice(1, -1)) {
        context.moveTo(edge * scale, 0);
        context.lineTo(edge * scale, size);
        context.moveTo(0, edge * scale);
        context.lineTo(size, edge * scale);
      }
      context.stroke();
    }
  }

  paintTexts(context, texts, place) {
    context.textAlign = "center";
    context.textBaseline = "middle";
    texts.forEach((text, patch) => {
      const [x, y, width, height] = place(patch);
      if (!text) return;
      const room = Math.min(24 / this.zoom, width / (0.62 * text.length + 0.4));
      context.font = `700 ${room}px sans-serif`;
      context.lineWidth = 4 / this.zoom;
      context.strokeStyle = "#000000";
      context.fillStyle = "#ffffff";
      context.strokeText(text, x + width / 2, y + height / 2);
      context.fillText(text, x + width / 2, y + height / 2);
    });
  }

  // The query has a full double frame, the key a dashed one: shapes, not colours.
  paintMark(context, [x, y, width, height], kind, inset) {
    for (const [line, style] of [[7, "#000000"], [3, "#ffffff"]]) {
      context.lineWidth = line / this.zoom;
      context.strokeStyle = style;
      context.setLineDash(kind === "key" && line === 3 ? [7 / this.zoom, 6 / this.zoom] : []);
      context.strokeRect(x + inset, y + inset, Math.max(1, width - 2 * inset), Math.max(1, height - 2 * inset));
    }
    context.setLineDash([]);
  }

  // The class token's own cell: it has no place on the picture.
  paintToken(words, rgb) {
    this.token.replaceChildren(...(rgb ? [node("i", { style: `background:rgb(${rgb.join(" ")})` })] : []), words);
  }
}
