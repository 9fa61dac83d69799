// @ts-check

/** What can be brought back, and before which waiting task it stood. @typedef {{taskId: string, before: string | null}} Place */

/**
 * Return where cancelled tasks go back to: before the next one that still waits, or null for the end. They are in the
 * order in which they have to be asked for again.
 * @param {string[]} queue ids of all waiting tasks as it was before the cancel, each once, the next one first
 * @param {ReadonlySet<string>} cancelled
 * @returns {Place[]}
 */
export function placesOf(queue, cancelled) {
  return queue.flatMap((taskId, at) => {
    if (!cancelled.has(taskId)) return [];
    return [{ taskId, before: queue.slice(at + 1).find((id) => !cancelled.has(id)) ?? null }];
  });
}
