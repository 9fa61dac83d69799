// @ts-check
import { onLang } from "../words/words.js";
import { isChat } from "./conversation.js";
import { countsText } from "./counts.js";
import { byId, keepFocus, showText } from "./dom.js";
import { Generation } from "./generation.js";
import { More } from "./more.js";

/** @typedef {import("./output_state.js").OutputState} OutputState */
/** @typedef {import("../client/xinflight.js").GenerateParams} GenerateParams */
/** @typedef {import("./start_image.js").Known} Known */
/** @typedef {import("../client/xinflight.js").XinflightError} XinflightError */
/** @typedef {import("../client/xinflight.js").Task} Task */
/** @typedef {import("./tile.js").Tile} Tile */
/** @typedef {import("../client/xinflight.js").Xinflight} Xinflight */

/**
 * @typedef {object} GalleryHost
 * @property {(params: GenerateParams, image: Known | undefined) => void} reuse fill the form; `image`: its start image
 * @property {(image: Known) => void} start start another generation from an image
 * @property {(tile: Tile, all: Tile[]) => void} open show an image in full size
 * @property {(tile: Tile, what: "ready" | "failed" | "cancelled" | "progress") => void} news
 * @property {(states: OutputState[]) => void} changed called with the states of all outputs of unfinished generations
 * @property {(prompt: string, outputs: number) => Promise<boolean>} mayDelete ask for confirmation
 * @property {(error: XinflightError) => void} problem
 * @property {(n: number) => void} grown called after older generations were fetched
 */

/** The list of all loaded generations, newest first. */
export class Gallery {
  /** @type {Generation[]} */
  #generations = [];
  #client;
  #host;
  #root = byId("gallery", HTMLElement);
  #empty = byId("empty", HTMLElement);
  #counts = byId("counts", HTMLElement);
  #cancelAll = byId("cancel-all", HTMLButtonElement);
  #more;
  #live = false;
  /** @type {Set<Generation>} */
  #stale = new Set();
  /** @type {number | undefined} */
  #timer;

  /**
   * @param {Xinflight} client
   * @param {GalleryHost} host
   */
  constructor(client, host) {
    this.#client = client;
    this.#host = host;
    this.#more = new More(client, {
      oldest: () => this.#generations.at(-1)?.element ?? this.#root,
      grown: host.grown,
      problem: host.problem,
    });
    client.on("task", (task) => {
      if (!isChat(task)) this.#add(task);
    });
    client.on("removed", (task) => this.#drop(task));
    client.on("history", () => this.#later());
    client.on("queue", () => this.#later());
    client.on("status", ({ state }) => this.#connection(state === "live"));
    this.#cancelAll.addEventListener("click", () => client.cancelAll());
    onLang(() => this.#render(this.#generations));
    setInterval(() => this.#tick(), 1000);
  }

  /** @param {Task} task */
  #add(task) {
    const generation = new Generation(task, this.#generationHost(), this.#live);
    // Of several that the server has not accepted yet, too, the last one asked for is the newest.
    const pending = generation.created === Infinity;
    const after = this.#generations.findIndex(({ created }) => pending || created < generation.created);
    const at = after < 0 ? this.#generations.length : after;
    this.#root.insertBefore(generation.element, this.#generations[at]?.element ?? null);
    this.#generations.splice(at, 0, generation);
    this.#later();
  }

  /** @returns {import("./generation.js").GenerationHost} */
  #generationHost() {
    return {
      cancel: ({ task }, index) => this.#client.cancel(task.id, { index }),
      cancelOthers: ({ task }) => this.#client.cancelAll({ except: [task.id] }),
      first: ({ task }) => void this.#client.move(task.id, { to: "first" }).catch(this.#host.problem),
      reuse: (generation, tile) => this.#reuse(generation, tile),
      retry: (generation, tile) => this.#retry(generation, tile),
      remove: (generation) => this.#remove(generation),
      open: (tile) => this.#host.open(tile, this.#images()),
      start: (tile) => knownImages([tile]).forEach((image) => this.#host.start(image)),
      changed: (generation) => this.#soon(generation),
      news: this.#host.news,
    };
  }

  /** @param {boolean} live */
  #connection(live) {
    if (live === this.#live) return;
    this.#live = live;
    this.#root.classList.toggle("offline", !live);
    for (const generation of this.#generations) if (!generation.ended) generation.connection(live);
    this.#later();
  }

  #tick() {
    const now = performance.now();
    const tiles = this.#unfinished().flatMap((generation) => generation.tiles);
    for (const tile of tiles) tile.tick(now);
    if (tiles.length) this.#host.changed(tiles.map(({ state }) => state));
  }

  /** Scroll the newest generation into view: on a narrow screen the form may have pushed it out. */
  showNewest() {
    this.#generations[0]?.element.scrollIntoView({ block: "nearest" });
  }

  /** Schedule a render of one generation. @param {Generation} generation */
  #soon(generation) {
    this.#later();
    this.#stale.add(generation);
  }

  /**
   * Schedule one render for all changes of the next 16 ms. A timer, not an animation frame: a hidden page gets no
   * frames, and its title must still change.
   */
  #later() {
    this.#timer ??= setTimeout(() => this.#render(this.#stale), 16);
  }

  /** @param {Iterable<Generation>} stale */
  #render(stale) {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (const generation of stale) generation.render();
    this.#stale.clear();
    const unfinished = this.#unfinished();
    const next = this.#client.queue.outputs[0]?.task_id;
    for (const generation of unfinished) {
      generation.offerOthers(unfinished.length > 1);
      generation.offerFirst(this.#live && generation.waits && next !== undefined && generation.task.id !== next);
    }
    this.#empty.hidden = this.#generations.length > 0 || this.#more.there !== false;
    const hide = () => (this.#cancelAll.hidden = unfinished.length === 0);
    keepFocus(this.#cancelAll, hide, () => this.#generations[0]?.element ?? this.#root);
    const states = this.#tiles().map(({ state }) => state);
    showText(this.#counts, countsText(states, { live: this.#live, more: this.#more.there === true }));
    this.#host.changed(unfinished.flatMap(({ tiles }) => tiles.map(({ state }) => state)));
  }

  #unfinished() {
    return this.#generations.filter(({ ended }) => !ended);
  }

  #tiles() {
    return this.#generations.flatMap(({ tiles }) => tiles);
  }

  #images() {
    return this.#tiles().filter(({ isVideo, state }) => state.output !== null && !isVideo);
  }

  /**
   * Fill the form with the parameters of a generation.
   * @param {Generation} generation
   * @param {Tile | null} tile one image of it, to reuse its seed
   */
  #reuse({ params }, tile) {
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
    const { params } = generation;
    const seed = params.seed === undefined ? undefined : params.seed + tile.index;
    const { lang } = this.#client;
    if (generation.tiles.length === 1) this.#remove(generation);
    this.#client.generate({ ...requestOf(params), seed, lang });
    this.#generations[0]?.element.focus();
  }

  /** Delete a generation permanently; asks for confirmation if it has images. @param {Generation} generation */
  async #remove({ prompt, task, tiles }) {
    const outputs = tiles.filter(({ state }) => state.output !== null).length;
    if (outputs && !(await this.#host.mayDelete(prompt, outputs))) return;
    await this.#client.delete(task.id).catch(this.#host.problem);
  }

  /** Remove a deleted task from the page. @param {Task} task */
  #drop(task) {
    const at = this.#generations.findIndex((other) => other.task === task);
    const [generation] = this.#generations.splice(at, 1);
    if (!generation) return;
    const next = this.#generations[at] ?? this.#generations[at - 1];
    const nearby = next?.element ?? byId("prompt", HTMLTextAreaElement);
    const { element } = generation;
    if (element.contains(document.activeElement)) nearby.focus();
    element.remove();
    this.#stale.delete(generation);
    this.#later();
  }
}

/**
 * Return what of a generation's parameters makes the same again, but for its number and seed.
 * @param {import("./generation.js").Generation["params"]} params
 * @returns {GenerateParams}
 */
function requestOf({ kind, prompt, negative_prompt, model, image, images, mask, strength, size, frames, fps, ...others }) {
  const { steps, guidance_scale } = others;
  const settings = { negative_prompt, model, strength, size, frames, fps, steps, guidance_scale };
  return { prompt, kind: kind === "chat" ? undefined : kind, image, images, mask, ...settings };
}

/** Return those images of tiles that can be started from. @param {Tile[]} tiles @returns {Known[]} */
function knownImages(tiles) {
  return tiles.flatMap(({ state: { output } }) => {
    if (!output?.output_id) return [];
    const { output_id: id, url, width, height } = output;
    return [{ id, url, width, height }];
  });
}
