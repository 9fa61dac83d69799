// @ts-check
import { effect } from "../../vendor/signals-core/signals-core.js";
import { onLang } from "../../words/words.js";
import { requestOf } from "../store/requests.js";
import { byId } from "../ui/dom.js";
import { Generation } from "./generation.js";
import { More } from "./more.js";

/** @typedef {import("../../client/xinflight.js").GenerateParams} GenerateParams */
/** @typedef {import("../../client/xinflight.js").XinflightError} XinflightError */
/** @typedef {import("../../client/xinflight.js").Xinflight} Xinflight */
/** @typedef {import("../dock/start_image.js").Known} Known */
/** @typedef {import("../store/generation_state.js").GenerationState} GenerationState */
/** @typedef {import("../store/store.js").Store} Store */
/** @typedef {import("./tile.js").Tile} Tile */

/**
 * @typedef {object} GalleryHost
 * @property {(params: GenerateParams, image: Known | undefined) => void} reuse fill the form; `image`: its start image
 * @property {(image: Known) => void} start start another generation from an image
 * @property {(tile: Tile, all: Tile[]) => void} open show an image in full size
 * @property {(prompt: string, outputs: number) => Promise<boolean>} mayDelete ask for confirmation
 * @property {(error: XinflightError) => void} problem
 * @property {(n: number) => void} grown called after older generations were fetched
 */

/** The sheet: all loaded generations, newest first. */
export class Gallery {
  /** @type {Map<GenerationState, {view: Generation, stop: () => void}>} */
  #shown = new Map();
  #client;
  #store;
  #host;
  #root = byId("gallery", HTMLElement);
  #empty = byId("empty", HTMLElement);

  /**
   * @param {Xinflight} client
   * @param {Store} store
   * @param {GalleryHost} host
   */
  constructor(client, store, host) {
    this.#client = client;
    this.#store = store;
    this.#host = host;
    new More(client, {
      oldest: () => this.#views.at(-1)?.element ?? this.#root,
      grown: (n) => {
        store.flush();
        host.grown(n);
      },
      problem: host.problem,
    });
    effect(() => this.#arrange(store.generations.value));
    effect(() => void this.#root.classList.toggle("offline", !store.live.value));
    effect(() => this.#offer());
    effect(() => void (this.#empty.hidden = store.generations.value.length > 0 || store.more.value !== false));
    effect(() => {
      for (const state of store.unfinished.value) {
        for (const tile of this.#shown.get(state)?.view.tiles ?? []) tile.tick(store.now.value);
      }
    });
    onLang(() => this.#views.forEach((view) => view.render()));
  }

  get #views() {
    return this.#store.generations.peek().flatMap((state) => this.#shown.get(state)?.view ?? []);
  }

  /** Show these generations in this order; remove all others. @param {readonly GenerationState[]} generations */
  #arrange(generations) {
    const wanted = new Set(generations);
    const gone = [...this.#shown.keys()].filter((state) => !wanted.has(state));
    const focused = gone.find((state) => this.#shown.get(state)?.view.element.contains(document.activeElement));
    const nearby = focused && this.#beside(focused);
    for (const state of gone) this.#drop(state);
    /** @type {Element | null} */
    let before = this.#root.firstElementChild;
    for (const state of generations) {
      const { element } = this.#view(state);
      if (element !== before) this.#root.insertBefore(element, before);
      else before = element.nextElementSibling;
    }
    if (focused) (nearby ?? byId("prompt", HTMLTextAreaElement)).focus();
  }

  /** The element that takes the focus of a generation that goes. @param {GenerationState} state */
  #beside(state) {
    const element = this.#shown.get(state)?.view.element;
    const next = element?.nextElementSibling ?? element?.previousElementSibling;
    return next instanceof HTMLElement ? next : null;
  }

  /** @param {GenerationState} state */
  #drop(state) {
    const shown = this.#shown.get(state);
    shown?.stop();
    shown?.view.element.remove();
    this.#shown.delete(state);
  }

  /** @param {GenerationState} state */
  #view(state) {
    const known = this.#shown.get(state);
    if (known) return known.view;
    const view = new Generation(state, this.#generationHost());
    this.#shown.set(state, { view, stop: () => {} });
    const stop = effect(() => {
      state.revision.value;
      view.render();
    });
    this.#shown.set(state, { view, stop });
    return view;
  }

  /** Offer to cancel the others, and to be the next one, where there are others. */
  #offer() {
    const unfinished = this.#store.unfinished.value;
    const next = this.#store.queue.value.outputs[0]?.task_id;
    for (const state of unfinished) {
      state.revision.value;
      const view = this.#shown.get(state)?.view;
      view?.offerOthers(unfinished.length > 1);
      view?.offerFirst(this.#store.live.value && state.waits && next !== undefined && state.task.id !== next);
    }
  }

  /** Scroll the newest generation into view. */
  showNewest() {
    this.#store.flush();
    this.#views[0]?.element.scrollIntoView({ block: "nearest" });
  }

  /** @returns {import("./generation.js").GenerationHost} */
  #generationHost() {
    return {
      cancel: ({ state }, index) => this.#client.cancel(state.task.id, { index }),
      cancelOthers: ({ state }) => this.#client.cancelAll({ except: [state.task.id] }),
      first: ({ state }) => void this.#client.move(state.task.id, { to: "first" }).catch(this.#host.problem),
      reuse: (generation, tile) => this.#reuse(generation, tile),
      retry: (generation, tile) => this.#retry(generation, tile),
      remove: (generation) => this.#remove(generation),
      open: (tile) => this.#host.open(tile, this.#images()),
      start: (tile) => knownImages([tile]).forEach((image) => this.#host.start(image)),
    };
  }

  #images() {
    const tiles = this.#views.flatMap((view) => view.tiles);
    return tiles.filter(({ isVideo, state }) => state.output !== null && !isVideo);
  }

  /**
   * Fill the form with the parameters of a generation.
   * @param {Generation} generation
   * @param {Tile | null} tile one image of it, to reuse its seed
   */
  #reuse({ state: { params } }, tile) {
    const seed = tile?.state.output?.seed ?? params.seed;
    const image = knownImages(this.#images()).find(({ id }) => id === params.image);
    this.#host.reuse({ ...requestOf(params), n: tile ? 1 : params.n, seed }, image);
  }

  /**
   * Request an image again that failed or was cancelled. If it was its generation's only one, replace the generation.
   * @param {Generation} generation
   * @param {Tile} tile
   */
  #retry(generation, tile) {
    const { params } = generation.state;
    const seed = params.seed === undefined ? undefined : params.seed + tile.output.index;
    const { lang } = this.#client;
    if (generation.tiles.length === 1) this.#remove(generation);
    this.#client.generate({ ...requestOf(params), seed, lang });
    this.#store.flush();
    this.#views[0]?.element.focus();
  }

  /** Delete a generation permanently; asks for confirmation if it has images. @param {Generation} generation */
  async #remove({ state: { prompt, task, outputs } }) {
    const made = outputs.filter(({ state }) => state.output !== null).length;
    if (made && !(await this.#host.mayDelete(prompt, made))) return;
    await this.#client.delete(task.id).catch(this.#host.problem);
  }
}

/** Return those images of tiles that can be started from. @param {Tile[]} tiles @returns {Known[]} */
function knownImages(tiles) {
  return tiles.flatMap(({ state: { output } }) => {
    if (!output?.output_id) return [];
    const { output_id: id, url, width, height } = output;
    return [{ id, url, width, height }];
  });
}
