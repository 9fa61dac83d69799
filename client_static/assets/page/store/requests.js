// @ts-check

/** @typedef {import("../../client/xinflight.js").GenerateParams} GenerateParams */
/** @typedef {import("./generation_state.js").GenerationOutput} GenerationOutput */
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

/**
 * Return the requests that make some outputs of a generation again, with the same seeds: one for those that follow each
 * other, since the seeds of a request do.
 * @param {GenerationState} generation
 * @param {GenerationOutput[]} outputs in the order of their indices
 * @returns {GenerateParams[]}
 */
export function requestsFor({ params }, outputs) {
  const request = requestOf(params);
  const { seed } = params;
  if (seed === undefined) return [{ ...request, n: outputs.length }];
  /** @type {number[][]} */
  const runs = [];
  for (const { index } of outputs) {
    const last = runs.at(-1);
    if (last && last.at(-1) === index - 1) last.push(index);
    else runs.push([index]);
  }
  return runs.map((run) => ({ ...request, n: run.length, seed: seed + (run[0] ?? 0) }));
}
