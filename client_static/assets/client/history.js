// @ts-check

/** @typedef {import("./protocol.js").End} End */
/** @typedef {import("./protocol.js").Progress} Progress */
/** @typedef {import("./protocol.js").TaskEvent} TaskEvent */
/** @typedef {import("./protocol.js").TaskInfo} TaskInfo */

/**
 * The events that bring a task from nothing to where a list says that it is. Without numbers, so they may be taken by
 * a task that saw some of them already.
 * @param {TaskInfo} info
 * @returns {Generator<TaskEvent, void, undefined>}
 */
export function* eventsOf(info) {
  const { task_id, params, created, data = [], failed = [], cancelled = [] } = info;
  yield { type: "accepted", task_id, params, timestamp: created };
  for (const picture of data) yield { type: "picture", task_id, ...picture };
  if (info.ended !== undefined) {
    yield endOf(info);
    return;
  }
  for (const index of failed) yield pictureEnd(task_id, index, "failed");
  for (const index of cancelled) yield pictureEnd(task_id, index, "cancelled");
}

/** @param {TaskInfo} info of a task that has ended @returns {End} */
function endOf({ task_id, state, created, ended = created, data = [], failed, cancelled, code }) {
  if (state === "completed") {
    return { type: "result", task_id, data: { created: Math.floor(ended), data }, failed, cancelled };
  }
  if (state === "cancelled") return { type: "cancelled", task_id, data };
  return { type: "error", task_id, state, code: code ?? "internal" };
}

/**
 * How one picture of several ended, as its last snapshot would tell.
 * @param {string} task_id
 * @param {number} index
 * @param {"failed" | "cancelled"} state
 * @returns {Progress}
 */
function pictureEnd(task_id, index, state) {
  return { type: "progress", task_id, index, state, progress: 0, step: "queued", source: "estimate" };
}
