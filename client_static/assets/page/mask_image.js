// @ts-check

/** @typedef {import("./strokes.js").Strokes} Strokes */

/** Rows of pixels that are read at once: those of a large photo would take a hundred megabytes. */
const ROWS = 256;

/**
 * Return the strokes as a PNG of the image's own size: white where the image is repainted, black elsewhere. Null if
 * nothing is repainted, since all that was painted was erased again.
 * @param {Strokes} strokes
 * @param {number} width
 * @param {number} height
 * @returns {Promise<Blob | null>}
 */
export async function maskImage(strokes, width, height) {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", { willReadFrequently: true }));
  strokes.draw(context, 1, "#fff");
  let painted = false;
  for (let top = 0; top < height; top += ROWS) {
    const rows = context.getImageData(0, top, width, Math.min(ROWS, height - top));
    painted = toBlackAndWhite(rows.data) || painted;
    context.putImageData(rows, 0, top);
  }
  if (!painted) return null;
  return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
}

/**
 * Turn what is painted into opaque white and the rest into opaque black: a grey edge would be repainted in part.
 * Returns whether anything is painted.
 * @param {Uint8ClampedArray} pixels RGBA
 */
export function toBlackAndWhite(pixels) {
  let painted = false;
  for (let at = 0; at < pixels.length; at += 4) {
    const white = /** @type {number} */ (pixels[at + 3]) >= 128;
    painted ||= white;
    pixels.fill(white ? 255 : 0, at, at + 3);
    pixels[at + 3] = 255;
  }
  return painted;
}
