// @ts-check

/** @typedef {import("../store/generation_state.js").GenerationOutput} GenerationOutput */

/** What precedes an image, and the group of a grid, in the address. */
export const IMAGE = "#image=";
export const GRID = "#grid=";

/** Return the address of an image within the page. @param {GenerationOutput} output */
export function addressOf({ generation, index }) {
  return `${IMAGE}${encodeURIComponent(generation.task.id)}/${index}`;
}

/**
 * Return which image an address names; null if it names none.
 * @param {string} hash the address's part from `#` on
 */
export function readAddress(hash) {
  const [, id = "", index = ""] = /^#image=([^/]+)\/(\d{1,4})$/.exec(hash) ?? [];
  if (id === "") return null;
  try {
    return { taskId: decodeURIComponent(id), index: Number(index) };
  } catch {
    // Not what `addressOf` made.
    return null;
  }
}
