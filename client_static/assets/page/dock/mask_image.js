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
  // As whole words, since a photo has millions of pixels. Browsers run on little-endian machines only: A is on top.
  const words = new Uint32Array(pixels.buffer, pixels.byteOffset, pixels.length / 4);
  let painted = false;
  for (let at = 0; at < words.length; at += 1) {
    const white = /** @type {number} */ (words[at]) >>> 31 === 1;
    painted ||= white;
    words[at] = white ? 0xffffffff : 0xff000000;
  }
  return painted;
}
