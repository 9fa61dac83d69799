// @ts-check

/** @typedef {import("./protocol.js").End} End */
/** @typedef {import("./protocol.js").OutputMarks} OutputMarks */
/** @typedef {import("./protocol.js").OutputRef} OutputRef */
/** @typedef {import("./protocol.js").Progress} Progress */
/** @typedef {import("./protocol.js").TaskEvent} TaskEvent */
/** @typedef {import("./protocol.js").TaskInfo} TaskInfo */

/**
 * Convert a task of a list into the events that lead to its state. They carry no seq, so a task that already received
 * some of them is not confused.
 * @param {TaskInfo} info
 * @returns {Generator<TaskEvent, void, undefined>}
 */
export function* eventsOf(info) {
  const { task_id, params, created, metadata, data = [], failed = [], cancelled = [] } = info;
  yield { type: "accepted", task_id, params, timestamp: created, ...(metadata === undefined ? {} : { metadata }) };
  for (const output of data) yield* made(task_id, output);
  const running = info.ended === undefined;
  // The end of a cancelled task does not tell what of it had failed before.
  if (running || info.state === "cancelled") for (const index of failed) yield outputEnd(task_id, index, "failed");
  if (running) for (const index of cancelled) yield outputEnd(task_id, index, "cancelled");
  else yield endOf(info);
}

/** Return the marks of a listed task's outputs, as far as they have any. @param {TaskInfo} info @returns {OutputMarks[]} */
export function marksOf({ data = [], deleted = [] }) {
  const noted = data.filter(({ starred, tags }) => starred || tags?.length);
  return [
    ...noted.map(({ index, starred = false, tags = [] }) => ({ index, starred, tags })),
    ...deleted.map((index) => ({ index, deleted: true })),
  ];
}

/** Return the final event of an ended task. @param {TaskInfo} info @returns {End} */
function endOf({ task_id, state, created, ended = created, data = [], failed, failures, cancelled, code }) {
  if (state === "completed") {
    return { type: "result", task_id, data: { created: Math.floor(ended), data }, failed, failures, cancelled };
  }
  if (state === "cancelled") return { type: "cancelled", task_id, data };
  return { type: "error", task_id, state, code: code ?? "internal", data };
}

/**
 * Return what tells of an output: of a text that broke off or still grows, its text so far.
 * @param {string} task_id
 * @param {OutputRef} output
 * @returns {Generator<TaskEvent, void, undefined>}
 */
function* made(task_id, output) {
  const { index, text = "", reasoning = "", incomplete = false } = output;
  if (!incomplete) yield { type: "output", task_id, ...output };
  else {
    if (reasoning) yield { type: "delta", task_id, index, offset: 0, text: reasoning, channel: "reasoning" };
    if (text) yield { type: "delta", task_id, index, offset: 0, text };
  }
}

/**
 * Return the last snapshot of an output that failed or was cancelled while its task goes on.
 * @param {string} task_id
 * @param {number} index
 * @param {"failed" | "cancelled"} state
 * @returns {Progress}
 */
function outputEnd(task_id, index, state) {
  return { type: "progress", task_id, index, state, progress: 0, step: "queued", source: "estimate" };
}
