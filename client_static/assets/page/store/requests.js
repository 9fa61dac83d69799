// @ts-check

/** @typedef {import("../../client/xinflight.js").GenerateParams} GenerateParams */
/** @typedef {import("./generation_state.js").GenerationState} GenerationState */

/**
 * Return what of a generation's parameters makes the same again, but for its number and seed.
 * @param {GenerationState["params"]} params
 * @returns {GenerateParams}
 */
export function requestOf({ kind, prompt, negative_prompt, model, image, images, mask, strength, size, frames, fps, ...others }) {
  const { steps, guidance_scale } = others;
  const settings = { negative_prompt, model, strength, size, frames, fps, steps, guidance_scale };
  return { prompt, kind: kind === "chat" ? undefined : kind, image, images, mask, ...settings };
}
