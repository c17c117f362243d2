// Every image of a test set in its lane: where it leaves, how it fares, how near it is to leaving
// elsewhere. The definitions are those of dvt_core.outcomes; what an outcome is, is looked up in the
// table that Python sends. tests/ui/test_easy_hard.py compares all of it with Python.

const ROW_BITS = 2 ** 20;  // an order key is group, then value, then row: below 2 ** 53
const STEPS = 2 ** 20 - 1;  // a value in [0, 1] is ordered in steps of a millionth

export const SORTS = ["near", "far", "sure", "unsure", "number"];

// What Python sends -> typed arrays, and room for what each frame works out.
export function makeBoard(data) {
  const table = makeTable(data.table), { n } = table;
  const said = unpack(data.said, Uint16Array);
  return {
    n, table, exits: data.table.exit_macs.length, outcomes: data.outcomes,
    last: unpack(data.last, Float32Array),
    labels: unpack(data.labels, Uint16Array),
    said: Array.from(data.table.exit_macs, (_, e) => said.subarray(e * n, (e + 1) * n)),
    numbers: unpack(data.numbers, Int32Array),
    lookup: unpack(data.lookup, Uint8Array),
    exitOf: new Uint8Array(n), outcomeOf: new Uint8Array(n), marginOf: new Float64Array(n),
    order: new Float64Array(n),
  };
}

// Exit, outcome and margin of every image under these thresholds.
export function settle(board, thresholds) {
  const { n, table, lookup, exitOf, outcomeOf, marginOf } = board, gates = thresholds.length;
  const width = 2 ** board.exits;
  for (let i = 0; i < n; i++) {
    let e = 0, margin = Infinity;
    for (; e < gates; e++) {
      const above = table.rows[e][i] - thresholds[e];
      const distance = above < 0 ? -above : above;
      if (distance < margin) margin = distance;
      if (above >= 0) break;
    }
    exitOf[i] = e;
    outcomeOf[i] = lookup[e * width + table.right[i]];
    marginOf[i] = margin;
  }
  return board;
}

export function confidenceOf(board, i, e) {
  return e < board.table.rows.length ? board.table.rows[e][i] : board.last[i];
}

// Whether a filter keeps every image; the order is no filter.
export function isOpen(filter) {
  return filter.label < 0 && filter.outcome < 0 && filter.low <= 0 && filter.high >= 1
    && filter.exits.every(Boolean);
}

// The images that pass the filters, sorted: per lane its groups (one per outcome, in order), and
// where each stands in `board.order`. A filter: {label, exits, low, high, outcome, sort}; label and
// outcome are -1 for all, exits one boolean per lane, low and high confidences 0..1, both included.
export function arrange(board, filter) {
  const { n, exits, outcomes, exitOf, outcomeOf, labels, order } = board;
  const counts = new Int32Array(exits * outcomes);
  const high = filter.high >= 1 ? Infinity : filter.high;
  const value = valueOf(board, filter.sort);
  let kept = 0;
  for (let i = 0; i < n; i++) {
    if (filter.label >= 0 && labels[i] !== filter.label) continue;
    const e = exitOf[i];
    const confidence = confidenceOf(board, i, e);
    if (confidence < filter.low || confidence > high) continue;
    const group = e * outcomes + outcomeOf[i];
    counts[group]++;
    if (!filter.exits[e] || (filter.outcome >= 0 && outcomeOf[i] !== filter.outcome)) continue;
    order[kept++] = (group * (STEPS + 1) + value(i)) * ROW_BITS + i;
  }
  order.subarray(0, kept).sort();
  return { counts, kept, lanes: lanesOf(board, filter, counts) };
}

function valueOf(board, sort) {
  const step = (x) => Math.round(STEPS * Math.min(Math.max(x, 0), 1));
  const sure = (i) => step(confidenceOf(board, i, board.exitOf[i]));
  return {
    near: (i) => step(board.marginOf[i]), far: (i) => STEPS - step(board.marginOf[i]),
    sure: (i) => STEPS - sure(i), unsure: sure, number: () => 0,
  }[sort];
}

function lanesOf(board, filter, counts) {
  const lanes = [];
  let start = 0;
  for (let e = 0; e < board.exits; e++) {
    const groups = [];
    for (let o = 0; o < board.outcomes; o++) {
      const isShown = filter.exits[e] && (filter.outcome < 0 || o === filter.outcome);
      const count = isShown ? counts[e * board.outcomes + o] : 0;
      if (count) groups.push({ outcome: o, start, count });
      start += count;
    }
    lanes.push(groups);
  }
  return lanes;
}

// The image at a place of the order.
export function imageAt(board, place) {
  return board.order[place] % ROW_BITS;
}

// The images of every group, as lists; for tests.
export function listed(data, thresholds, filter) {
  const board = settle(makeBoard(data), thresholds), { counts, lanes } = arrange(board, filter);
  return {
    counts, outcomes: board.outcomeOf, exits: board.exitOf, margins: board.marginOf,
    lanes: lanes.map((groups) => groups.map(({ outcome, start, count }) => (
      { outcome, images: Array.from({ length: count }, (_, k) => imageAt(board, start + k)) }))),
  };
}

// Heights of a lane's groups when each has a headline and then rows of `columns` cards.
export function layout(groups, columns, head, card) {
  let top = 0;
  const places = groups.map((group) => {
    const place = { ...group, top, rows: Math.ceil(group.count / columns) };
    top += head + place.rows * card;
    return place;
  });
  return { places, height: top };
}

// The places of the order that lie between two heights: [[group, first, last + 1], ...].
export function inSight(places, columns, head, card, from, to) {
  const seen = [];
  for (const group of places) {
    const first = Math.max(0, Math.floor((from - group.top - head) / card));
    const after = Math.min(group.rows, Math.ceil((to - group.top - head) / card));
    if (after > first) seen.push([group, first * columns, Math.min(after * columns, group.count)]);
  }
  return seen;
}
