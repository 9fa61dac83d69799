// @ts-check

/** An aspect ratio to choose; `size` is empty for the model's own size. @typedef {{name: string, size: string}} ShapeChip */

/** The aspect ratios that are offered beside a list of all sizes, in their order. */
const SHAPES = [[1, 1], [3, 2], [2, 3], [16, 9], [9, 16]];

/** How far a size may be off its aspect ratio, because its sides are rounded to the model's steps. */
const OFF = 0.03;

/**
 * Return the aspect ratios that can be offered, each with one size.
 * @param {string} own the model's own size, WIDTHxHEIGHT
 * @param {string[]} presets the other sizes that can be asked for, the preferred ones first
 * @returns {ShapeChip[]}
 */
export function shapeChips(own, presets) {
  return SHAPES.flatMap(([width = 1, height = 1]) => {
    const size = [own, ...presets].find((each) => Math.abs(ratioOf(each) / (width / height) - 1) < OFF);
    return size === undefined ? [] : [{ name: `${width}:${height}`, size: size === own ? "" : size }];
  });
}

/**
 * Return the width of a size over its height; 1 for what is no size.
 * @param {string | undefined} size WIDTHxHEIGHT
 */
export function ratioOf(size) {
  const [width = 1, height = 1] = (size || "1x1").split("x").map(Number);
  return width / height || 1;
}
