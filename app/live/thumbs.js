// A row of thumbnails, one of them chosen. Their pictures are in the data, or in a style sheet that
// the browser keeps (app/intake/sample_sheet.py). A press is told once, as `pick`, and marked at
// once; the server's word counts as soon as it is another than before.

const rows = new WeakMap();

// Where a key leads to from a place in the row, or null for a key that is not ours.
export function placeAfter(key, place, count) {
  if (key === "ArrowRight") return Math.min(place + 1, count - 1);
  if (key === "ArrowLeft") return Math.max(place - 1, 0);
  if (key === "Home") return 0;
  if (key === "End") return count - 1;
  return null;
}

// Where to scroll a row that is `room` wide so that a thumbnail is in its middle; null if it is in
// sight as it is.
export function scrolledTo({ left, width }, from, room) {
  if (left >= from && left + width <= from + room) return null;
  return Math.max(0, left - (room - width) / 2);
}

class Row {
  constructor(root) {
    this.root = root;
    this.buttons = [];
    root.setAttribute("role", "toolbar"); // one stop of the Tab key; arrows move within
    root.onkeydown = (event) => this.move(event);
    this.link = Object.assign(document.createElement("link"), { rel: "stylesheet" });
  }

  take(data, send) {
    this.send = send;
    this.root.setAttribute("aria-label", data.label);
    const shape = JSON.stringify(data.thumbs.map(({ id, title }) => [id, title]));
    const isNew = shape !== this.shape;
    if (isNew) this.build(data);
    const isOther = data.chosen !== this.told && data.chosen !== this.chosen;
    if (isNew || isOther) {
      this.mark(data.chosen);
      this.reveal();
    }
    Object.assign(this, { shape, told: data.chosen });
  }

  build({ thumbs, sheet }) {
    const address = sheet && new URL(sheet, document.baseURI).href;
    if (this.link.href !== address) this.link.href = address;
    this.buttons = thumbs.map((thumb, i) => this.button(thumb, i));
    this.root.replaceChildren(...(sheet ? [this.link] : []), ...this.buttons);
  }

  button({ id, word, title, image }, place) {
    const button = document.createElement("button");
    const words = document.createElement("span");
    words.textContent = word;
    Object.assign(button, { type: "button", title, ariaLabel: title });
    button.dataset.id = id;
    if (image) button.style.backgroundImage = `url(data:image/jpeg;base64,${image})`;
    button.append(words);
    button.onclick = () => this.pick(id);
    button.onfocus = () => this.stopAt(place);
    return button;
  }

  // The only button that the Tab key stops at.
  stopAt(place) {
    this.place = place;
    this.buttons.forEach((button, i) => (button.tabIndex = i === place ? 0 : -1));
  }

  mark(id) {
    this.chosen = id;
    for (const button of this.buttons) button.setAttribute("aria-pressed", button.dataset.id === id);
    this.stopAt(Math.max(0, this.buttons.findIndex((button) => button.dataset.id === id)));
  }

  // Not scrollIntoView: that moves the page, too.
  reveal() {
    const { offsetLeft: left, offsetWidth: width } = this.buttons[this.place];
    const to = scrolledTo({ left, width }, this.root.scrollLeft, this.root.clientWidth);
    if (to !== null) this.root.scrollLeft = to;
  }

  pick(id) {
    if (id === this.chosen && id === this.told) return; // it is on the page
    this.mark(id);
    this.send(id);
  }

  move(event) {
    if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
    const to = placeAfter(event.key, this.place, this.buttons.length);
    if (to === null) return;
    event.preventDefault();
    this.buttons[to].focus();
  }
}

export default function (component) {
  const { data: { page: data }, parentElement, setTriggerValue } = component;
  const root = parentElement.querySelector(".root");
  let row = rows.get(parentElement);
  if (row?.root !== root) {
    row = new Row(root);
    rows.set(parentElement, row);
  }
  row.take(data, (id) => setTriggerValue("pick", id));
  return () => rows.delete(parentElement);
}
