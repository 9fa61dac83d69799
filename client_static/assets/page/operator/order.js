// @ts-check

/** @typedef {import("./data.js").OwnerLoad} OwnerLoad */

/** Add a count up over all pools. @param {OwnerLoad} load @param {"tasks" | "running" | "waiting" | "paused"} what */
export function total({ pools }, what) {
  return pools.reduce((sum, pool) => sum + (pool[what] ?? 0), 0);
}

/**
 * Order owners by how much waits, then by how much runs. What is in use keeps its order, so that nothing moves below a
 * pointer: then those that are new come last.
 * @param {OwnerLoad[]} owners
 * @param {string[]} before names in the order that is shown
 * @param {boolean} inUse
 */
export function busiestFirst(owners, before, inUse) {
  const sorted = owners.toSorted(
    (a, b) => total(b, "waiting") - total(a, "waiting") || total(b, "running") - total(a, "running"),
  );
  if (!inUse) return sorted;
  const placeOf = (/** @type {OwnerLoad} */ { owner }) => {
    const at = before.indexOf(owner);
    return at < 0 ? before.length : at;
  };
  return sorted.toSorted((a, b) => placeOf(a) - placeOf(b));
}
