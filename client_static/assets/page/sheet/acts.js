// @ts-check
import { requestOf, requestsFor } from "../store/requests.js";

/** @typedef {import("../../client/xinflight.js").GenerateParams} GenerateParams */
/** @typedef {import("../../client/xinflight.js").XinflightError} XinflightError */
/** @typedef {import("../../client/xinflight.js").Xinflight} Xinflight */
/** @typedef {import("../dock/start_image.js").Known} Known */
/** @typedef {import("../store/generation_state.js").GenerationOutput} GenerationOutput */
/** @typedef {import("../store/store.js").Store} Store */
/** @typedef {import("./tile.js").TileAction} TileAction */

/** How many variations are asked for at once. */
const VARIATIONS = 4;
/** How much of an image its variations change, where the model can start from one. */
export const VARIED = 0.6;

/**
 * @typedef {object} ActsHost
 * @property {(params: GenerateParams, image: Known | undefined) => void} reuse fill the form; `image`: its start image
 * @property {(image: Known) => void} start start another generation from an image
 * @property {import("./keeping.js").Keeping} keeping stars, tags and deletes
 * @property {(error: XinflightError) => void} problem
 * @property {() => void} asked called after more was asked for
 */

/** What people do with an image or a generation, wherever its button is. */
export class Acts {
  #client;
  #store;
  #cancelling;
  #host;

  /**
   * @param {Xinflight} client
   * @param {Store} store
   * @param {import("../board/cancelling.js").Cancelling} cancelling
   * @param {ActsHost} host
   */
  constructor(client, store, cancelling, host) {
    this.#client = client;
    this.#store = store;
    this.#cancelling = cancelling;
    this.#host = host;
  }

  /**
   * @param {TileAction} action
   * @param {GenerationOutput} output
   */
  do(action, output) {
    if (action === "cancel") this.#cancelling.one(output);
    else if (action === "retry") this.retry(output);
    else if (action === "vary") this.vary(output);
    else if (action === "star") this.star(output);
    else if (action === "remove") this.remove(output);
    else this.reuse(output);
  }

  /** Fill the form with what made an output, its seed included. @param {GenerationOutput} output */
  reuse({ generation: { params }, state }) {
    const made = this.#store.generations.value.flatMap(({ outputs }) => outputs);
    const image = made.map(knownImage).find((known) => known?.id === params.image);
    const { seed = params.seed } = state.output ?? {};
    this.#host.reuse({ ...requestOf(params), n: state.output ? 1 : params.n, seed }, image ?? undefined);
  }

  /** Start another generation from an image. @param {GenerationOutput} output */
  start(output) {
    const image = knownImage(output);
    if (image) this.#host.start(image);
  }

  /** Ask for one more with the same prompt and another seed. @param {GenerationOutput} output */
  another({ generation: { params } }) {
    this.#ask({ ...requestOf(params), n: 1 });
  }

  /**
   * Ask for variations: of the image where its model starts from one, else of the prompt. All other settings stay, the
   * seeds are new.
   * @param {GenerationOutput} output
   */
  vary(output) {
    const { params } = output.generation;
    const image = this.variesImage(output) ? knownImage(output)?.id : undefined;
    const varied = image === undefined ? {} : { kind: /** @type {const} */ ("image2image"), image, strength: VARIED };
    const most = this.#client.welcome?.limits.outputs ?? VARIATIONS;
    for (let left = VARIATIONS; left > 0; left -= most) {
      this.#ask({ ...requestOf(params), ...varied, n: Math.min(left, most) });
    }
  }

  /** Whether variations of an output start from it: not where its own start image says what it is of. @param {GenerationOutput} output */
  variesImage(output) {
    const { params } = output.generation;
    const model = this.#client.welcome?.models.find(({ id }) => id === params.model);
    return params.image === undefined && knownImage(output) !== null && model?.kinds.includes("image2image") === true;
  }

  /**
   * Ask again for what failed of a generation, and for nothing else. If nothing else is there of it, the new one takes its
   * place.
   * @param {GenerationOutput} output
   */
  retry({ generation }) {
    const { failed, outputs } = generation;
    if (failed.length === outputs.length && generation.ended) this.#client.delete(generation.task.id).catch(this.#host.problem);
    for (const request of requestsFor(generation, failed)) this.#ask(request);
  }

  /** Star an image, or no longer. @param {GenerationOutput} output */
  star(output) {
    if (output.state.output) this.#host.keeping.star(output);
  }

  /**
   * Give an image these tags and no others.
   * @param {GenerationOutput} output
   * @param {string[]} tags
   */
  tag(output, tags) {
    this.#host.keeping.tag(output, tags);
  }

  /** Delete an image, or a generation that has none; return whether it is gone. @param {GenerationOutput} output */
  remove(output) {
    return this.#host.keeping.remove(output);
  }

  /** @param {GenerateParams} params */
  #ask(params) {
    this.#client.generate({ ...params, lang: this.#client.lang });
    this.#host.asked();
  }
}

/** Return what the form needs to start from an image; null if it is none. @param {GenerationOutput} output @returns {Known | null} */
function knownImage({ state: { output }, isVideo }) {
  if (!output?.output_id || isVideo) return null;
  const { output_id: id, url, width, height } = output;
  return { id, url, width, height };
}
