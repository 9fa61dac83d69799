// @ts-check

/** Where a waiting task goes, as `move` of the client takes it. @typedef {{before?: string, to?: "first" | "last"}} Where */

/**
 * Where a waiting task goes if it is moved by some tasks, as the parameters of `move`; null if it can't go there.
 * @param {string[]} queue ids of the waiting tasks, each once, the next one first
 * @param {string} taskId
 * @param {number} by negative to be made sooner
 * @returns {Where | null}
 */
export function moved(queue, taskId, by) {
  const from = queue.indexOf(taskId);
  const to = Math.min(Math.max(from + by, 0), queue.length - 1);
  if (from < 0 || to === from) return null;
  const before = queue.filter((id) => id !== taskId)[to];
  return before === undefined ? { to: "last" } : { before };
}
