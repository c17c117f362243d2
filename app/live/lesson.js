// The lesson's bar: a dot per step, back and next. PageUp and PageDown, which presenters' remotes
// send, move it unless someone is typing; the other keys belong first to what has the focus.

const bars = new WeakMap();
const BACK = ["ArrowLeft", "PageUp"];
const NEXT = ["ArrowRight", "PageDown"];
const PAGED = ["PageUp", "PageDown"];
const LOST_MS = 10000; // after this long a press that the page did not follow was lost on the way
const UNTYPED = ["range", "checkbox", "radio", "button", "submit", "reset", "color", "file", "image"];
const TYPED = "input, textarea, select, [contenteditable], [role=slider], [role=combobox], "
  + "[role=listbox], [role=radiogroup], [role=tablist], [role=dialog], [role=menu], [role=grid]";

// The step a key leads to, or null for a key that is not ours.
export function stepAfter(key, number, count) {
  if (NEXT.includes(key)) return Math.min(number + 1, count);
  if (BACK.includes(key)) return Math.max(number - 1, 1);
  if (key === "Home") return 1;
  if (key === "End") return count;
  return null;
}

// The same page at another step, as a link to copy.
export function stepLink(address, number) {
  const url = new URL(address);
  url.searchParams.set("step", number);
  return url.pathname + url.search;
}

// Whether text is typed or chosen in this element.
function isText(node) {
  if (node.localName === "input") return !UNTYPED.includes(node.type);
  return ["textarea", "select"].includes(node.localName) || Boolean(node.isContentEditable);
}

// Whether the element that has the focus, or one around it, uses this key itself.
export function isTaken(path, key) {
  if (PAGED.includes(key)) return path.some(isText);
  return path.some((node) => node.matches?.(TYPED));
}

// Where the focus really is: inside components, too.
function focusPath() {
  const path = [];
  let node = document.activeElement;
  while (node?.shadowRoot?.activeElement) node = node.shadowRoot.activeElement;
  for (; node; node = node.parentNode ?? node.host) path.push(node);
  return path;
}

function node(tag, attributes, ...children) {
  const made = Object.assign(document.createElement(tag), attributes);
  made.append(...children);
  return made;
}

class Bar {
  constructor(root) {
    this.root = root;
    this.asked = null; // the step of the last press, until the page has followed
    this.onKey = (event) => {
      if (!PAGED.includes(event.key)) this.press(event);
    };
    this.onPage = (event) => {
      if (PAGED.includes(event.key)) this.press(event);
    };
    document.addEventListener("keydown", this.onKey);
    document.addEventListener("keydown", this.onPage, true); // before a slider or a map sees it
  }

  close() {
    document.removeEventListener("keydown", this.onKey);
    document.removeEventListener("keydown", this.onPage, true);
  }

  take(data, send) {
    const isMoved = this.data && this.data.number !== data.number;
    if (data.number === this.asked || Date.now() - this.askedAt > LOST_MS) this.asked = null;
    // What was on its way before the last press must not take it back.
    if (!this.data || (isMoved && this.asked === null)) this.number = data.number;
    Object.assign(this, { data, send });
    this.draw();
    if (isMoved) window.dispatchEvent(new CustomEvent("dvt-step", { detail: data.number }));
    if (isMoved) this.root.getRootNode().host?.scrollIntoView?.({ block: "nearest" });
  }

  draw() {
    const { titles, words, presenting } = this.data;
    const parts = [];
    if (titles.length) {
      const dots = titles.map((title, i) => node("li", {}, this.dot(title, i + 1)));
      const list = node("ol", { className: "dots" }, ...dots);
      list.setAttribute("aria-label", words.steps);
      parts.push(this.arrow("‹", words.back, "ArrowLeft"), list, this.arrow("›", words.next, "ArrowRight"));
      const place = words.place.replace("{number}", this.number).replace("{count}", titles.length);
      parts.push(node("span", { className: "place", role: "status" }, place));
    }
    if (presenting) {
      const leave = node("button", { type: "button", className: "leave" }, words.leave);
      leave.onclick = () => this.send("leave");
      parts.push(leave);
    }
    this.root.replaceChildren(node("div", { className: "steps" }, ...parts));
  }

  dot(title, number) {
    const link = node("a", { href: stepLink(window.location.href, number), title }, String(number));
    link.setAttribute("aria-label", `${number}. ${title}`);
    if (number === this.number) link.setAttribute("aria-current", "step");
    link.onclick = (event) => {
      if (event.metaKey || event.ctrlKey || event.shiftKey) return; // a new tab, as links do
      event.preventDefault();
      this.go(number);
    };
    return link;
  }

  arrow(sign, name, key) {
    const to = stepAfter(key, this.number, this.data.titles.length);
    const button = node("button", { type: "button", title: name, disabled: to === this.number }, sign);
    button.setAttribute("aria-label", name);
    button.onclick = () => this.go(to);
    return button;
  }

  go(number) {
    if (number === this.number) return;
    this.number = this.asked = number; // at once, so that two quick presses are two steps
    this.askedAt = Date.now();
    this.draw();
    this.send(number);
  }

  press(event) {
    if (event.defaultPrevented || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
    const { data } = this;
    if (event.key === "Escape") {
      const path = focusPath();
      if (isTaken(path, event.key)) path[0].blur(); // a slider gives the keys back first
      else if (data.presenting) this.send("leave");
      return;
    }
    const to = data.titles.length ? stepAfter(event.key, this.number, data.titles.length) : null;
    if (to === null || isTaken(focusPath(), event.key)) return;
    event.preventDefault();
    event.stopPropagation();
    this.go(to);
  }
}

export default function (component) {
  const { data: { page: data }, parentElement, setTriggerValue } = component;
  const root = parentElement.querySelector(".root");
  let bar = bars.get(parentElement);
  if (bar?.root !== root) {
    bar?.close();
    bar = new Bar(root);
    bars.set(parentElement, bar);
  }
  bar.take(data, (asked) => setTriggerValue("go", asked));
  return () => {
    bars.get(parentElement)?.close();
    bars.delete(parentElement);
  };
}
