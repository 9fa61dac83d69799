// @ts-check
import { byId, keepFocus, showText } from "./dom.js";
import { Generation } from "./generation.js";
import { onLang, t } from "./words.js";

/** @typedef {import("./protocol.js").GenerateParams} GenerateParams */
/** @typedef {import("./tile.js").Tile} Tile */
/** @typedef {import("./xinflight.js").Xinflight} Xinflight */

/**
 * @typedef {object} GalleryHost
 * @property {(params: GenerateParams) => void} reuse fill the form
 * @property {(tile: Tile, all: Tile[]) => void} open show a picture in full size
 * @property {(tile: Tile, what: "ready" | "failed" | "cancelled" | "progress") => void} news
 * @property {(tiles: Tile[]) => void} changed with the tiles of unfinished generations
 */

/** Every generation of this page, the newest first. */
export class Gallery {
  /** @type {Generation[]} */
  #generations = [];
  #client;
  #host;
  #root = byId("gallery", HTMLElement);
  #empty = byId("empty", HTMLElement);
  #counts = byId("counts", HTMLElement);
  #cancelAll = byId("cancel-all", HTMLButtonElement);
  /** @type {Set<Generation>} */
  #stale = new Set();

  /**
   * @param {Xinflight} client
   * @param {GalleryHost} host
   */
  constructor(client, host) {
    this.#client = client;
    this.#host = host;
    client.on("task", (task) => this.#add(task));
    client.on("status", ({ state }) => {
      this.#root.classList.toggle("offline", state !== "live");
      for (const generation of this.#generations) generation.connection(state === "live");
    });
    this.#cancelAll.addEventListener("click", () => client.cancelAll());
    onLang(() => this.#render(this.#generations));
    setInterval(() => this.#tiles().forEach((tile) => tile.tick(performance.now())), 1000);
  }

  /** @param {import("./task.js").Task} task */
  #add(task) {
    const host = {
      cancel: (/** @type {Generation} */ { task }, /** @type {number | undefined} */ index) =>
        this.#client.cancel(task.id, { index }),
      cancelOthers: (/** @type {Generation} */ { task }) => this.#client.cancelAll({ except: [task.id] }),
      reuse: (/** @type {Generation} */ generation, /** @type {Tile | null} */ tile) => this.#reuse(generation, tile),
      retry: (/** @type {Generation} */ generation, /** @type {Tile} */ tile) => this.#retry(generation, tile),
      dismiss: (/** @type {Generation} */ generation, /** @type {Tile} */ tile) => this.#dismiss(generation, tile),
      open: (/** @type {Tile} */ tile) => this.#host.open(tile, this.#finished()),
      changed: (/** @type {Generation} */ generation) => this.#soon(generation),
      news: this.#host.news,
    };
    const generation = new Generation(task, host, this.#client.status.state === "live");
    this.#generations.unshift(generation);
    this.#root.prepend(generation.element);
    this.#render([]);
  }

  /** Bring the newest generation into view, where the form has pushed it out. */
  showNewest() {
    this.#generations[0]?.element.scrollIntoView({ block: "nearest" });
  }

  /**
   * Show a generation's news with the next frame's worth of others. No animation frame: a hidden page has none, and
   * its title must still change.
   * @param {Generation} generation
   */
  #soon(generation) {
    if (this.#stale.size === 0) setTimeout(() => this.#render(this.#stale), 16);
    this.#stale.add(generation);
  }

  /** @param {Iterable<Generation>} stale */
  #render(stale) {
    for (const generation of stale) generation.render();
    this.#stale.clear();
    const unfinished = this.#generations.filter(({ ended }) => !ended);
    for (const generation of unfinished) generation.offerOthers(unfinished.length > 1);
    this.#empty.hidden = this.#generations.length > 0;
    const hide = () => (this.#cancelAll.hidden = unfinished.length === 0);
    keepFocus(this.#cancelAll, hide, () => this.#generations[0]?.element ?? this.#root);
    showText(this.#counts, this.#countsText());
    this.#host.changed(unfinished.flatMap(({ tiles }) => tiles));
  }

  #countsText() {
    const open = this.#tiles().filter(({ state }) => !state.ended);
    const waiting = open.filter(({ state }) => state.waiting).length;
    const ready = this.#finished().length;
    const parts = [];
    if (open.length > waiting) parts.push(t("counts.running", { n: open.length - waiting }));
    if (waiting) parts.push(t("counts.queued", { n: waiting }));
    if (ready) parts.push(t("counts.ready", { n: ready }));
    return parts.join(" · ");
  }

  #tiles() {
    return this.#generations.flatMap(({ tiles }) => tiles);
  }

  #finished() {
    return this.#tiles().filter(({ state }) => state.picture !== null);
  }

  /**
   * @param {Generation} generation
   * @param {Tile | null} tile its seed too, when one is named
   */
  #reuse({ params }, tile) {
    const { prompt, negative_prompt, model, n, size, steps, guidance_scale } = params;
    const seed = tile?.state.picture?.seed;
    this.#host.reuse({ prompt, negative_prompt, model, n: tile ? 1 : n, size, steps, guidance_scale, seed });
  }

  /**
   * Ask for the same picture again, in place of the one that is not there.
   * @param {Generation} generation
   * @param {Tile} tile
   */
  #retry(generation, tile) {
    const { prompt, negative_prompt, model, size, steps, guidance_scale, seed } = generation.params;
    const own = seed === undefined ? undefined : seed + tile.index;
    this.#dismiss(generation, tile);
    this.#client.generate({ prompt, negative_prompt, model, size, steps, guidance_scale, seed: own, lang: this.#client.lang });
    this.#generations[0]?.element.focus();
  }

  /**
   * Take a tile off the page, and its generation when it was the last.
   * @param {Generation} generation
   * @param {Tile} tile
   */
  #dismiss(generation, tile) {
    tile.element.hidden = true;
    if (!generation.tiles.every(({ element }) => element.hidden)) {
      generation.element.focus();
      return;
    }
    const next = generation.element.nextElementSibling ?? generation.element.previousElementSibling;
    this.remove(generation.task);
    if (next instanceof HTMLElement) next.focus();
  }

  /** Take a task off the page. @param {import("./task.js").Task} task */
  remove(task) {
    const generation = this.#generations.find((other) => other.task === task);
    generation?.element.remove();
    this.#generations = this.#generations.filter((other) => other !== generation);
    this.#render([]);
  }
}
