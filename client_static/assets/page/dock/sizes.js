// @ts-check

/** @typedef {import("../../client/xinflight.js").Limits} Limits */

const SHAPES = [[1, 1], [4, 3], [3, 4], [3, 2], [2, 3], [16, 9], [9, 16]];

/**
 * Return the preset sizes for a model: common aspect ratios with about as many pixels as the model's own size, and
 * small squares for quick tests. The model's own size is not among them.
 * @param {string} own WIDTHxHEIGHT
 * @param {Limits} limits
 * @returns {string[]}
 */
export function presets(own, limits) {
  const [width = 1024, height = 1024] = own.split("x").map(Number);
  const area = width * height;
  const wanted = SHAPES.map(([w = 1, h = 1]) => [Math.sqrt((area * w) / h), Math.sqrt((area * h) / w)]);
  for (const part of [2, 4]) wanted.push([Math.sqrt(area) / part, Math.sqrt(area) / part]);
  const sizes = wanted.map((sides) => sides.map((side) => snap(side, limits.size_multiple)));
  const allowed = sizes.filter((sides) => sides.every((side) => sideAllowed(side, limits)));
  return [...new Set(allowed.map((sides) => sides.join("x")))].filter((size) => size !== own);
}

/**
 * Tell whether a width or height is within the server's limits.
 * @param {number} side
 * @param {Limits} limits
 */
export function sideAllowed(side, { size_min, size_max, size_multiple }) {
  return side >= size_min && side <= size_max && side % size_multiple === 0;
}

/**
 * Round a side to the nearest allowed multiple.
 * @param {number} side
 * @param {number} multiple
 */
function snap(side, multiple) {
  return Math.round(side / multiple) * multiple;
}
