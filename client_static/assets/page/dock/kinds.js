// @ts-check

/** @typedef {import("../../client/xinflight.js").Kind} Kind */
/** @typedef {import("../../client/xinflight.js").ModelInfo} ModelInfo */

/** What a request starts from, beside its prompt; `chat`: from messages. @typedef {{image: boolean, mask: boolean, chat?: boolean}} Given */

/** @type {Readonly<Given>} */
export const NOTHING = Object.freeze({ image: false, mask: false });
/** @type {Readonly<Given>} */
export const MESSAGES = Object.freeze({ image: false, mask: false, chat: true });

/** What a request may be, by what it starts from; of several that a model can do, the first. */
const FROM_TEXT = /** @type {const} */ (["text2image", "video"]);
const FROM_IMAGE = /** @type {const} */ (["image2image", "edit", "video"]);
const FROM_MASK = /** @type {const} */ (["inpainting"]);
const FROM_MESSAGES = /** @type {const} */ (["chat"]);

/**
 * Return the kinds that a request may be, the one that people most likely want first.
 * @param {Given} given
 * @returns {readonly Kind[]}
 */
export function kindsFor({ image, mask, chat }) {
  if (chat) return FROM_MESSAGES;
  return image && mask ? FROM_MASK : image ? FROM_IMAGE : FROM_TEXT;
}

/**
 * Return what a model makes of a request, or null if it can't do it.
 * @param {ModelInfo} model
 * @param {Given} given
 * @returns {Kind | null}
 */
export function kindOf(model, given) {
  return kindsFor(given).find((kind) => model.kinds.includes(kind) && takes(model, kind, given)) ?? null;
}

/** Whether a model has a use for a start image at all. @param {ModelInfo} model */
export function startsFromImages(model) {
  return kindOf(model, { image: true, mask: false }) !== null;
}

/**
 * Some video models need an image to start from, others take none.
 * @param {ModelInfo} model
 * @param {Kind} kind
 * @param {Given} given
 */
function takes({ starts_from: starts }, kind, { image }) {
  return kind !== "video" || !starts || starts.includes(image ? "image" : "text");
}

/** Whether `strength` changes what a kind does. @param {Kind | null} kind */
export function hasStrength(kind) {
  return kind === "image2image" || kind === "inpainting";
}

/**
 * Whether one may ask for a size: an edit model has one of its own, whatever it is asked.
 * @param {Kind | null} kind
 */
export function hasSize(kind) {
  return kind !== "edit";
}
