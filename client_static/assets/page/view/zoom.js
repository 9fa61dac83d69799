// @ts-check

/** The most that an image is enlarged, in image pixels to CSS pixels. */
const MOST = 8;

/**
 * How an image lies in its frame: `scale` is 1 when all of it is seen, `x` and `y` move its middle, in CSS pixels.
 * @typedef {{scale: number, x: number, y: number}} Lie
 */

/** @typedef {{width: number, height: number}} Size */

/** @type {Readonly<Lie>} */
export const WHOLE = Object.freeze({ scale: 1, x: 0, y: 0 });

/** Return the scale at which an image has its own size. @param {Size} frame @param {Size} image */
export function actual(frame, image) {
  return Math.max(1, 1 / fitting(frame, image));
}

/**
 * Enlarge around a point, which stays where it is; an image that fits stands in the middle.
 * @param {Lie} lie
 * @param {number} factor
 * @param {{x: number, y: number}} point from the middle of the frame, in CSS pixels
 * @param {Size} frame
 * @param {Size} image
 * @returns {Lie}
 */
export function zoomed({ scale, x, y }, factor, point, frame, image) {
  const to = Math.min(Math.max(scale * factor, 1), Math.max(actual(frame, image), MOST));
  const grown = to / scale;
  return moved({ scale: to, x: point.x - (point.x - x) * grown, y: point.y - (point.y - y) * grown }, 0, 0, frame, image);
}

/**
 * Move an image, no further than its edges.
 * @param {Lie} lie
 * @param {number} dx
 * @param {number} dy
 * @param {Size} frame
 * @param {Size} image
 * @returns {Lie}
 */
export function moved({ scale, x, y }, dx, dy, frame, image) {
  const fit = fitting(frame, image) * scale;
  const room = (/** @type {number} */ shown, /** @type {number} */ there) => Math.max(0, (shown * fit - there) / 2);
  const within = (/** @type {number} */ value, /** @type {number} */ most) => Math.min(Math.max(value, -most), most) || 0;
  return {
    scale,
    x: within(x + dx, room(image.width, frame.width)),
    y: within(y + dy, room(image.height, frame.height)),
  };
}

/** @param {Size} frame @param {Size} image */
function fitting(frame, image) {
  return Math.min(frame.width / image.width, frame.height / image.height, 1);
}
