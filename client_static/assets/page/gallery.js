// @ts-check
import { countsText } from "./counts.js";
import { byId, keepFocus, showText } from "./dom.js";
import { Generation } from "./generation.js";
import { More } from "./more.js";
import { onLang } from "../words/words.js";

/** @typedef {import("./picture_state.js").PictureState} PictureState */
/** @typedef {import("../client/xinflight.js").GenerateParams} GenerateParams */
/** @typedef {import("../client/xinflight.js").XinflightError} XinflightError */
/** @typedef {import("../client/xinflight.js").Task} Task */
/** @typedef {import("./tile.js").Tile} Tile */
/** @typedef {import("../client/xinflight.js").Xinflight} Xinflight */

/**
 * @typedef {object} GalleryHost
 * @property {(params: GenerateParams) => void} reuse fill the form
 * @property {(tile: Tile, all: Tile[]) => void} open show a picture in full size
 * @property {(tile: Tile, what: "ready" | "failed" | "cancelled" | "progress") => void} news
 * @property {(states: PictureState[]) => void} changed with all pictures of unfinished generations
 * @property {(prompt: string, pictures: number) => Promise<boolean>} mayDelete
 * @property {(error: XinflightError) => void} problem
 * @property {(n: number) => void} grown older generations were fetched
 */

/** Every generation that is known here, the newest first. */
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
    client.on("task", (task) => this.#add(task));
    client.on("forgotten", (task) => this.#drop(task));
    client.on("history", () => this.#later());
    client.on("status", ({ state }) => this.#connection(state === "live"));
    this.#cancelAll.addEventListener("click", () => client.cancelAll());
    onLang(() => this.#render(this.#generations));
    setInterval(() => this.#tick(), 1000);
  }

  /** @param {Task} task */
  #add(task) {
    const generation = new Generation(task, this.#generationHost(), this.#live);
    const after = this.#generations.findIndex(({ created }) => created < generation.created);
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
      reuse: (generation, tile) => this.#reuse(generation, tile),
      retry: (generation, tile) => this.#retry(generation, tile),
      remove: (generation) => this.#remove(generation),
      open: (tile) => this.#host.open(tile, this.#finished()),
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
    for (const { ended, tiles } of this.#generations) if (!ended) tiles.forEach((tile) => tile.tick(now));
  }

  /** Bring the newest generation into view, where the form has pushed it out. */
  showNewest() {
    this.#generations[0]?.element.scrollIntoView({ block: "nearest" });
  }

  /** @param {Generation} generation whose news are to be shown */
  #soon(generation) {
    this.#later();
    this.#stale.add(generation);
  }

  /**
   * Show what is new with the next frame's worth of other news. No animation frame: a hidden page has none, and its
   * title must still change.
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
    const unfinished = this.#generations.filter(({ ended }) => !ended);
    for (const generation of unfinished) generation.offerOthers(unfinished.length > 1);
    this.#empty.hidden = this.#generations.length > 0 || this.#more.there !== false;
    const hide = () => (this.#cancelAll.hidden = unfinished.length === 0);
    keepFocus(this.#cancelAll, hide, () => this.#generations[0]?.element ?? this.#root);
    const states = this.#tiles().map(({ state }) => state);
    showText(this.#counts, countsText(states, { live: this.#live, more: this.#more.there === true }));
    this.#host.changed(unfinished.flatMap(({ tiles }) => tiles.map(({ state }) => state)));
  }

  #tiles() {
    return this.#generations.flatMap(({ tiles }) => tiles);
  }

  #finished() {
    return this.#tiles().filter(({ state }) => state.picture !== null);
  }

  /**
   * All that is needed to make it again.
   * @param {Generation} generation
   * @param {Tile | null} tile one picture of it
   */
  #reuse({ params }, tile) {
    const { prompt, negative_prompt, model, n, size, steps, guidance_scale } = params;
    const seed = tile?.state.picture?.seed ?? params.seed;
    this.#host.reuse({ prompt, negative_prompt, model, n: tile ? 1 : n, size, steps, guidance_scale, seed });
  }

  /**
   * Ask again for a picture that is not there; when it was the only one, in its place.
   * @param {Generation} generation
   * @param {Tile} tile
   */
  #retry(generation, tile) {
    const { prompt, negative_prompt, model, size, steps, guidance_scale, seed } = generation.params;
    const own = seed === undefined ? undefined : seed + tile.index;
    const { lang } = this.#client;
    if (generation.tiles.length === 1) this.#remove(generation);
    this.#client.generate({ prompt, negative_prompt, model, size, steps, guidance_scale, seed: own, lang });
    this.#generations[0]?.element.focus();
  }

  /** Delete a generation for good; pictures are asked about. @param {Generation} generation */
  async #remove({ task, tiles }) {
    const pictures = tiles.filter(({ state }) => state.picture !== null).length;
    if (pictures && !(await this.#host.mayDelete(task.request.prompt, pictures))) return;
    await this.#client.delete(task.id).catch(this.#host.problem);
  }

  /** Take a task off the page. @param {Task} task */
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
