// @ts-check

/** What changes of tags. @typedef {{added?: readonly string[], removed?: readonly string[]}} TagChange */

/**
 * Return tags after a change.
 * @param {readonly string[]} tags
 * @param {TagChange} change
 */
export function withChanges(tags, { added = [], removed = [] }) {
  return [...new Set([...tags, ...added])].filter((tag) => !removed.includes(tag));
}

/**
 * Return what changes from some tags to others.
 * @param {readonly string[]} before
 * @param {readonly string[]} after
 */
export function changesOf(before, after) {
  return { added: after.filter((tag) => !before.includes(tag)), removed: before.filter((tag) => !after.includes(tag)) };
}
