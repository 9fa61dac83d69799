// @ts-check

/** @typedef {import("../../client/xinflight.js").GenerateParams} GenerateParams */
/** @typedef {"steps" | "guidance_scale" | "seed" | "model"} AxisField */
/** One side of a grid: the parameter that differs, and its values. @typedef {{field: AxisField, values: (string | number)[]}} Axis */

/** The parameters that an axis of a grid can have. */
export const AXES = /** @type {const} */ (["steps", "guidance_scale", "seed", "model"]);

/** The most images of one grid: enough for 8 x 8, few enough not to be asked for by accident. */
export const MOST_CELLS = 64;

/**
 * Return the numbers of a text like `4, 8, 12`, without repeated ones; null if a part of it is no number in bounds.
 * @param {string} text
 * @param {{min: number, max: number, whole: boolean}} bounds
 * @returns {number[] | null} at least one
 */
export function numbersOf(text, { min, max, whole }) {
  const parts = text.split(/[\s,;，、；]+/).filter(Boolean);
  const values = parts.map(Number);
  const good = values.every((value) => value >= min && value <= max && (!whole || Number.isInteger(value)));
  return good && values.length ? [...new Set(values)] : null;
}

/**
 * Return the requests of a grid, row by row. All share one group, which tells the axes, and one seed, unless a seed is
 * what differs.
 * @param {GenerateParams} params what all have in common
 * @param {Axis[]} axes one or two: of the rows, or of rows and columns
 * @param {{id: string, seed: number}} own of this grid: an id, and the seed if `params` has none
 * @returns {GenerateParams[]}
 */
export function gridRequests(params, axes, { id, seed }) {
  const group = ["grid", ...axes.map(({ field }) => field), id].join(":");
  let requests = [{ ...params, n: undefined, seed: params.seed ?? seed, group }];
  for (const { field, values } of axes) {
    requests = requests.flatMap((request) => values.map((value) => ({ ...request, [field]: value })));
  }
  return requests;
}
