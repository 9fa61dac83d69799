// @ts-check

/** The place of a tile below the top of its section, in CSS pixels. @typedef {{left: number, top: number, width: number, height: number}} Box */

/** Bounds of width to height: a panorama or a column is cropped on the sheet, and whole in the view. */
const NARROWEST = 0.45;
const WIDEST = 3;
/** How much higher than wanted a row may be before it is rather lower: large images are why people look at the sheet. */
const TALLEST = 1.4;

/**
 * Lay tiles out in rows, edge to edge and in order, each row about as high as wanted. The last row is not stretched.
 * @param {(number | null)[]} ratios width to height of each tile; null: a strip over the whole width
 * @param {{width: number, row: number, gap: number, strip: number}} space in pixels; `strip`: the height of a strip
 * @returns {{boxes: Box[], height: number}}
 */
export function justify(ratios, { width, row, gap, strip }) {
  /** @type {Box[]} */
  const boxes = [];
  let top = 0;
  /** @type {number[]} */
  let pending = [];
  let sum = 0;
  const fit = (/** @type {number} */ total, /** @type {number} */ count) => (width - gap * (count - 1)) / total;
  const close = (/** @type {number} */ height) => {
    let left = 0;
    for (const ratio of pending) {
      boxes.push({ left, top, width: ratio * height, height });
      left += ratio * height + gap;
    }
    if (pending.length) top += height + gap;
    pending = [];
    sum = 0;
  };
  const closeRest = () => close(Math.min(row, fit(sum, pending.length)));
  for (const asked of ratios) {
    if (asked === null) {
      closeRest();
      boxes.push({ left: 0, top, width, height: strip });
      top += strip + gap;
      continue;
    }
    const ratio = Math.min(Math.max(asked, NARROWEST), WIDEST);
    const without = fit(sum, pending.length);
    const within = fit(sum + ratio, pending.length + 1);
    if (pending.length && within < row && (without <= row * TALLEST || without - row < row - within)) close(without);
    pending.push(ratio);
    sum += ratio;
    if (fit(sum, pending.length) <= row) close(fit(sum, pending.length));
  }
  closeRest();
  return { boxes, height: Math.max(0, top - gap) };
}
