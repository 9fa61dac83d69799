// @ts-check

/** @typedef {import("./justify.js").Box} Box */

/** Which way each key goes: `x` along the order, `y` up or down, by rows or by windows; `to` at an end. */
const WAYS = /** @type {Record<string, {x?: number, y?: number, windows?: number, to?: 0 | -1}>} */ ({
  ArrowLeft: { x: -1 },
  ArrowRight: { x: 1 },
  ArrowUp: { y: -1 },
  ArrowDown: { y: 1 },
  PageUp: { y: -1, windows: 1 },
  PageDown: { y: 1, windows: 1 },
  Home: { to: 0 },
  End: { to: -1 },
});

/**
 * Walk from tile to tile of the sheet by arrow keys, Home, End, Page Up and Page Down.
 * @param {import("./sheet.js").Sheet} sheet
 * @param {HTMLElement} root what has the tiles
 */
export function walkByKeys(sheet, root) {
  root.addEventListener("keydown", (event) => {
    const { focused } = sheet;
    if (!focused || event.ctrlKey || event.metaKey || event.altKey || event.shiftKey || event.defaultPrevented) return;
    if (!(event.key in WAYS)) return;
    const { places } = sheet;
    const to = neighbour(event.key, places, places.findIndex(({ output }) => output === focused), innerHeight);
    const next = places[to];
    if (!next) return;
    event.preventDefault();
    sheet.focus(next.output);
  });
}

/**
 * Return which tile a key leads to; -1 if it leads nowhere: then the browser may scroll. Up and down it is the one in the
 * next row, or a window away, that stands most nearly above or below.
 * @param {string} key as in `KeyboardEvent.key`
 * @param {Box[]} boxes in the order of the tiles
 * @param {number} at where it begins
 * @param {number} window the height of it, in pixels
 */
export function neighbour(key, boxes, at, window) {
  const way = WAYS[key];
  const from = boxes[at];
  if (!way || !from) return -1;
  if (way.x !== undefined) return at + way.x < boxes.length ? at + way.x : -1;
  if (way.to !== undefined) return way.to === 0 ? 0 : boxes.length - 1;
  const { y = 1, windows = 0 } = way;
  const middle = from.left + from.width / 2;
  const row = from.top + y * windows * window;
  let best = -1;
  let [far, aside] = [Infinity, Infinity];
  for (const [each, { left, top, width }] of boxes.entries()) {
    // Tiles of one row begin at the same height.
    if ((top - from.top) * y < 1) continue;
    const by = Math.round(Math.abs(top - row));
    const beside = Math.max(left - middle, middle - left - width, 0);
    if (by > far || (by === far && beside >= aside)) continue;
    [best, far, aside] = [each, by, beside];
  }
  return best;
}
