// @ts-check

/** @typedef {import("../store/generation_state.js").GenerationOutput} GenerationOutput */

/** What precedes an image, and the group of a grid, in the address. */
export const IMAGE = "#image=";
export const GRID = "#grid=";

/**
 * Remember with the entry of an image or a grid in the browser's history what it was opened from, so that leaving it leads
 * there also after a reload.
 * @param {string} behind an address within the page
 */
export function keepBehind(behind) {
  history.replaceState({ behind }, "");
}

/** Return the address within the page from which what it names was opened; empty if it was the sheet, or a link. */
export function readBehind() {
  const { behind } = /** @type {{behind?: unknown}} */ (history.state ?? {});
  return typeof behind === "string" ? behind : "";
}

/** Go to the address of another image in place of this one. @param {GenerationOutput} output */
export function walkTo(output) {
  history.replaceState(history.state, "", addressOf(output));
}

/**
 * Leave the address of an image or a grid.
 * @param {boolean} entered whether going back leads to where it was opened
 */
export function leave(entered) {
  const behind = readBehind();
  if (entered) history.back();
  else if (behind) location.replace(behind);
  else history.replaceState(null, "", location.pathname + location.search);
}

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
