// Thumbnails of the images in sight: one request for many, none for what was never seen.

const SHEET_IMAGES = 64, SHEET_COLUMNS = 8, AT_ONCE = 2;  // as in app/intake/thumbnail_route.py
const TRIES = 4, RETRY_MS = 2000;  // the server may be busy, or the network away, for a moment

// Milliseconds until a sheet is asked for again that failed `failures` times; null: given up.
// Pages that were refused together do not come back together: `chance` is in [0, 1).
export function retryAfter(failures, chance) {
  return failures >= TRIES ? null : RETRY_MS * 2 ** (failures - 1) * (0.5 + chance);
}

// `address` is what the rows are put behind; `onLoad` is called when a sheet has come.
export function makeSheets(address, onLoad) {
  const found = new Map();  // number of the image -> {url, x, y, lines}, or null if it has none
  let wanted = [], open = 0;

  function next() {
    while (open < AT_ONCE && wanted.length) {
      // Sorted: whoever scrolls from below asks for the same sheet as whoever comes from above.
      const numbers = wanted.splice(0, SHEET_IMAGES).sort((a, b) => a - b);
      const url = new URL(`${address}${numbers.join(",")}.jpg`, document.baseURI).href;
      open++;
      numbers.forEach((number) => found.set(number, undefined));
      load(url, numbers, 0);
    }
  }

  function load(url, numbers, failures) {
    const picture = new Image();
    picture.onload = () => end(url, numbers, true);
    picture.onerror = () => {
      const wait = retryAfter(failures + 1, Math.random());
      if (wait === null) end(url, numbers, false);
      else setTimeout(() => load(url, numbers, failures + 1), wait);
    };
    picture.src = url;
  }

  function end(url, numbers, isThere) {
    const lines = Math.ceil(numbers.length / SHEET_COLUMNS);
    open--;
    numbers.forEach((number, k) => found.set(number, isThere
      ? { url, x: k % SHEET_COLUMNS, y: Math.floor(k / SHEET_COLUMNS), lines } : null));
    if (isThere) onLoad();
    next();
  }

  return {
    find: (number) => found.get(number),
    // What is in sight now; what was wanted before and has not been asked for is not any more.
    want(numbers) {
      wanted = numbers.filter((number) => !found.has(number));
      next();
    },
  };
}

// Shows an image of a sheet as the background of an element `size` pixels wide.
export function showThumb(element, place, size) {
  element.style.backgroundImage = `url("${place.url}")`;
  element.style.backgroundSize = `${SHEET_COLUMNS * size}px ${place.lines * size}px`;
  element.style.backgroundPosition = `${-place.x * size}px ${-place.y * size}px`;
}
