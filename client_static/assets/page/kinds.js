// @ts-check

/** @typedef {import("../client/xinflight.js").GenerateKind} GenerateKind */
/** @typedef {import("../client/xinflight.js").ModelInfo} ModelInfo */

/** What a request starts from, beside its prompt. @typedef {{image: boolean, mask: boolean}} Given */

/** @type {Readonly<Given>} */
export const NOTHING = Object.freeze({ image: false, mask: false });

/** What a request may be, by what it starts from; of several that a model can do, the first. */
const FROM_TEXT = /** @type {const} */ (["text2image", "video"]);
const FROM_IMAGE = /** @type {const} */ (["image2image", "edit", "video"]);
const FROM_MASK = /** @type {const} */ (["inpainting"]);

/**
 * Return the kinds that a request may be, the one that people most likely want first.
 * @param {Given} given
 * @returns {readonly GenerateKind[]}
 */
export function kindsFor({ image, mask }) {
  return image && mask ? FROM_MASK : image ? FROM_IMAGE : FROM_TEXT;
}

/**
 * Return what a model makes of a request, or null if it can't do it.
 * @param {ModelInfo} model
 * @param {Given} given
 * @returns {GenerateKind | null}
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
 * @param {GenerateKind} kind
 * @param {Given} given
 */
function takes({ starts_from: starts }, kind, { image }) {
  return kind !== "video" || !starts || starts.includes(image ? "image" : "text");
}

/** Whether `strength` changes what a kind does. @param {GenerateKind | null} kind */
export function hasStrength(kind) {
  return kind === "image2image" || kind === "inpainting";
}

/**
 * Whether one may ask for a size: an edit model has one of its own, whatever it is asked.
 * @param {GenerateKind | null} kind
 */
export function hasSize(kind) {
  return kind !== "edit";
}
