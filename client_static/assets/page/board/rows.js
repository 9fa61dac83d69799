// @ts-check

/** @typedef {import("../../client/xinflight.js").QueuedOutput} QueuedOutput */

/**
 * What the order of an output in flight depends on; `left`: seconds until it is ready, null if unknown.
 * @typedef {object} InFlight
 * @property {string} key an id that no other output has
 * @property {string} taskId
 * @property {number} index
 * @property {boolean} waiting whether it is not being computed yet
 * @property {string} phase as `OutputState` has it
 * @property {boolean} nearly as `OutputState` has it
 * @property {number | null} left
 */

/** Seconds by which a running output must be sooner to overtake another: estimates waver, and rows must not. */
const SOONER = 2;

/** The order of what waits without a place in the queue: acknowledged, sent, not sent. */
const UNPLACED = ["active", "accepted", "sending", "offline"];

/**
 * Order outputs as they will be made: what runs, by the time left; what waits, as the queue tells; then what the server
 * has not queued yet, as it was asked for.
 * @template {InFlight} T
 * @param {T[]} outputs as they were asked for
 * @param {QueuedOutput[]} queue the next one first
 * @param {T[]} before the order that was shown last
 * @returns {T[]}
 */
export function inOrder(outputs, queue, before) {
  const places = new Map(queue.map(({ task_id, index }, place) => [`${task_id} ${index}`, place]));
  const placeOf = (/** @type {T} */ { taskId, index }) => places.get(`${taskId} ${index}`) ?? Infinity;
  const waiting = outputs.filter(({ waiting }) => waiting);
  const queued = waiting.toSorted(
    (a, b) => compare(placeOf(a), placeOf(b)) || UNPLACED.indexOf(a.phase) - UNPLACED.indexOf(b.phase),
  );
  return [...running(outputs.filter(({ waiting }) => !waiting), before), ...queued];
}

/**
 * Order what runs by the time left, and change what was shown only for a clear reason.
 * @template {InFlight} T
 * @param {T[]} outputs
 * @param {T[]} before
 */
function running(outputs, before) {
  const now = new Map(outputs.map((output) => [output.key, output]));
  const shown = before.flatMap(({ key }) => now.get(key) ?? []);
  for (const { key } of shown) now.delete(key);
  const order = [...shown, ...now.values()];
  for (let i = 1; i < order.length; i += 1) {
    for (let at = i; at > 0 && sooner(order[at], order[at - 1]); at -= 1) {
      order.splice(at - 1, 2, .../** @type {T[]} */ ([order[at], order[at - 1]]));
    }
  }
  return order;
}

/**
 * @param {InFlight | undefined} a
 * @param {InFlight | undefined} b
 */
function sooner(a, b) {
  if (!a || !b) return false;
  if (a.left === null || b.left === null) return a.left !== null && !b.nearly;
  return a.left + SOONER < b.left;
}

/**
 * Compare two places, of which both may be infinite.
 * @param {number} a
 * @param {number} b
 */
function compare(a, b) {
  return a === b ? 0 : a - b;
}

/**
 * Return the seconds until all outputs are ready, or null if that is unknown for one of them.
 * @param {Pick<InFlight, "left">[]} outputs
 */
export function allDone(outputs) {
  if (outputs.length === 0 || outputs.some(({ left }) => left === null)) return null;
  return Math.max(...outputs.map(({ left }) => left ?? 0));
}
