// Thumbnails of the images in sight: one request for many, none for what was never seen.

const SHEET_IMAGES = 64, SHEET_COLUMNS = 8, AT_ONCE = 2;  // as in app/intake/thumbnail_route.py

// `address` is what the rows are put behind; `onLoad` is called when a sheet has come.
export function makeSheets(address, onLoad) {
  const found = new Map();  // number of the image -> {url, x, y, lines}, or null if it has none
  let wanted = [], open = 0;

  function next() {
    while (open < AT_ONCE && wanted.length) {
      const numbers = wanted.splice(0, SHEET_IMAGES);
      const url = new URL(`${address}${numbers.join(",")}.jpg`, document.baseURI).href;
      const lines = Math.ceil(numbers.length / SHEET_COLUMNS), picture = new Image();
      const end = (isThere) => {
        open--;
        numbers.forEach((number, k) => found.set(number, isThere
          ? { url, x: k % SHEET_COLUMNS, y: Math.floor(k / SHEET_COLUMNS), lines } : null));
        if (isThere) onLoad();
        next();
      };
      open++;
      numbers.forEach((number) => found.set(number, undefined));
      picture.onload = () => end(true);
      picture.onerror = () => end(false);
      picture.src = url;
    }
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
