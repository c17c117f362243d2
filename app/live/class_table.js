// Per class: what its images cost and how often they are right, exit by exit and now. Follows the
// lanes ("dvt-board"); a class's button shows only that class in them ("dvt-class").

const tables = new WeakMap();
const FRAME_MS = 100, SETTLED_MS = 200;  // numbers follow the drag, the order waits for its end

// Mean cost and share of right answers of every class under the exits at which the images leave.
export function classNumbers(board, classes) {
  const macs = new Float64Array(classes), right = new Float64Array(classes);
  const counts = new Int32Array(classes);
  for (let i = 0; i < board.n; i++) {
    const c = board.labels[i], e = board.exitOf[i];
    counts[c]++;
    macs[c] += board.table.macs[e];
    right[c] += (board.table.right[i] >> e) & 1;
  }
  for (let c = 0; c < classes; c++) {
    macs[c] /= counts[c];
    right[c] /= counts[c];
  }
  return { macs, accuracy: right };
}

// The same from what Python sends; for tests.
export function classesUnder(data, thresholds, classes) {
  return classNumbers(settle(makeBoard(data), thresholds), classes);
}

export default function (component) {
  const { data: { page: data }, parentElement } = component;
  speak(data);
  const root = parentElement.querySelector(".root");
  let view = tables.get(parentElement);
  const isNew = !view;
  if (isNew) tables.set(parentElement, (view = { root, sort: "macs", down: true, label: -1 }));
  const signature = `${data.signature} ${data.language}`;
  if (view.signature !== signature) {
    Object.assign(view, { signature, data, numbers: null });
    buildTable(view);
    onBoard(view, window.dvtBoard);
  }
  if (isNew) {
    view.onBoard = ({ detail }) => onBoard(view, detail);
    window.addEventListener("dvt-board", view.onBoard);
  }
  return () => {
    window.removeEventListener("dvt-board", view.onBoard);
    clearTimeout(view.timer);
    clearTimeout(view.sorting);
    tables.delete(parentElement);
  };
}

function cell(tag, properties = {}, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}

function columnsOf(data) {
  const columns = [
    { key: "name", name: say("class name"), of: (c) => data.words[c] },
    { key: "count", name: say("test images"), of: (c) => data.counts[c] },
    { key: "macs", name: say("mean cost, {unit}", { unit: data.unit.name }), live: true },
    { key: "accuracy", name: say("right as the dial stands"), live: true },
  ];
  data.colours.forEach((colour, e) => columns.push({
    key: `exit${e}`, name: say("right at {exit}", { exit: colour.name }), exit: colour,
    of: (c) => data.exit_accuracy[e][c],
  }));
  return columns;
}

function buildTable(view) {
  const { data } = view, head = cell("tr");
  view.columns = columnsOf(data);
  for (const column of view.columns) {
    const arrow = cell("i", { ariaHidden: "true" });
    const button = cell("button", { type: "button" }, column.name, arrow);
    if (column.exit) button.style.borderBottomColor = column.exit.colour;
    button.onclick = () => {
      const isSame = view.sort === column.key;
      Object.assign(view, { sort: column.key, down: isSame ? !view.down : column.key !== "name" });
      sortRows(view);
    };
    column.head = cell("th", { scope: "col" }, button);
    column.arrow = arrow;
    head.append(column.head);
  }
  view.body = cell("tbody");
  view.rows = data.words.map((word, c) => buildRow(view, word, c));
  const table = cell("table", {}, cell("caption", { textContent: say("Every class of the test set. Press a column's name to sort, a class to see only its images above.") }),
    cell("thead", {}, head), view.body);
  const scroll = cell("div", { className: "scroll", tabIndex: 0 }, table);
  scroll.setAttribute("role", "region");
  scroll.setAttribute("aria-label", say("Class by class"));
  view.root.replaceChildren(scroll);
  sortRows(view);
}

function buildRow(view, word, c) {
  const button = cell("button", { type: "button", textContent: word, title: view.data.names[c] });
  button.onclick = () => window.dispatchEvent(new CustomEvent("dvt-class",
    { detail: { label: view.label === c ? -1 : c } }));
  const row = { c, button, cells: {}, node: cell("tr", {}, cell("th", { scope: "row" }, button)) };
  for (const column of view.columns.slice(1)) {
    const td = row.cells[column.key] = cell("td");
    if (column.of) td.textContent = written(view, column.key, column.of(c));
    row.node.append(td);
  }
  return row;
}

function written(view, key, value) {
  if (value === null || Number.isNaN(value)) return "–";
  if (key === "count") return String(value).replace(/\B(?=(\d{3})+(?!\d))/g, ",");
  return key === "macs" ? macNumber(value, view.data.unit) : percent(value);
}

function valueOfRow(view, key, c) {
  const column = view.columns.find((each) => each.key === key);
  return column.of ? column.of(c) : view.numbers ? view.numbers[key][c] : 0;
}

function sortRows(view) {
  const value = (row) => valueOfRow(view, view.sort, row.c) ?? NaN, sign = view.down ? -1 : 1;
  const before = (a, b) => {
    const [x, y] = [value(a), value(b)];
    if (typeof x === "string") return sign * x.localeCompare(y) || a.c - b.c;
    if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) - Number.isNaN(y) || a.c - b.c;
    return sign * (x - y) || a.c - b.c;
  };
  const order = [...view.rows].sort(before);
  const isSame = order.every((row, k) => view.body.children[k] === row.node);
  if (!isSame) view.body.replaceChildren(...order.map((row) => row.node));
  for (const { key, head, arrow } of view.columns) {
    const isSorted = key === view.sort;
    arrow.textContent = isSorted ? (view.down ? " ▼" : " ▲") : "";
    head.setAttribute("aria-sort", !isSorted ? "none" : view.down ? "descending" : "ascending");
  }
}

function onBoard(view, told) {
  if (!told || told.model !== view.data.model) return;
  view.told = told;
  view.timer ??= setTimeout(() => {
    view.timer = null;
    showNumbers(view);
  }, view.numbers ? FRAME_MS : 0);
}

function showNumbers(view) {
  const { board, label } = view.told;
  view.numbers = classNumbers(board, view.rows.length);
  view.label = label;
  for (const { c, cells, button } of view.rows) {
    for (const key of ["macs", "accuracy"]) {
      const text = written(view, key, view.numbers[key][c]);
      if (cells[key].textContent !== text) cells[key].textContent = text;
    }
    button.setAttribute("aria-pressed", label === c);
  }
  clearTimeout(view.sorting);
  view.sorting = setTimeout(() => sortRows(view), SETTLED_MS);
}
