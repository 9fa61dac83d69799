// @ts-check
import { AXES } from "../dock/grid.js";

/** @typedef {import("../dock/grid.js").Axis} Axis */
/** @typedef {import("../dock/grid.js").AxisField} AxisField */

/**
 * Return the axes that the group of a grid tells; null for any other group.
 * @param {string | undefined} group
 * @returns {AxisField[] | null}
 */
export function axesOf(group) {
  const [kind, ...names] = (group ?? "").split(":");
  const fields = AXES.filter((field) => names.slice(0, -1).includes(field));
  if (kind !== "grid" || fields.length === 0) return null;
  return fields.toSorted((a, b) => names.indexOf(a) - names.indexOf(b));
}

/**
 * A grid as it can be shown: `cells` has for each row what stands in its columns; undefined where nothing does.
 * @template T
 * @typedef {{rows: Axis, columns: Axis | null, cells: (T | undefined)[][]}} Grid
 */

/**
 * Arrange the tasks of one grid. Of several for one cell, the last one counts.
 * @template {{params: Partial<Record<AxisField, string | number>>}} T
 * @param {AxisField[]} axes as `axesOf` returned them
 * @param {T[]} tasks in the order in which they were asked for
 * @returns {Grid<T>}
 */
export function gridOf([down = "steps", across], tasks) {
  const rows = axisOf(down, tasks);
  const columns = across ? axisOf(across, tasks) : null;
  const cells = rows.values.map((row) =>
    (columns?.values ?? [null]).map((column) =>
      tasks.findLast(({ params }) => params[down] === row && (!across || params[across] === column)),
    ),
  );
  return { rows, columns, cells };
}

/**
 * @param {AxisField} field
 * @param {{params: Partial<Record<AxisField, string | number>>}[]} tasks
 * @returns {Axis}
 */
function axisOf(field, tasks) {
  return { field, values: [...new Set(tasks.flatMap(({ params }) => params[field] ?? []))] };
}
