// @ts-check
import { percent, t } from "./words.js";

/** @typedef {import("./tile.js").Tile} Tile */

/** The window's title: how far the pictures are, and what was finished while nobody looked. */
export class Title {
  #name = document.title;
  /** @type {Tile[]} */
  #tiles = [];
  #ready = 0;
  #failed = 0;

  constructor() {
    document.addEventListener("visibilitychange", () => {
      this.#ready = this.#failed = 0;
      this.render();
    });
  }

  /** @param {Tile[]} tiles of unfinished generations */
  show(tiles) {
    this.#tiles = tiles;
    this.render();
  }

  /** @param {"ready" | "failed"} what became of a picture */
  count(what) {
    if (!document.hidden) return;
    if (what === "ready") this.#ready += 1;
    else this.#failed += 1;
  }

  render() {
    document.title = this.#text();
  }

  #text() {
    const name = this.#name;
    const n = this.#tiles.filter(({ state }) => !state.ended).length;
    const sum = this.#tiles.reduce((so_far, { state }) => so_far + (state.ended ? 100 : state.shown), 0);
    if (n) return t("title.busy", { percent: percent(Math.floor(sum / this.#tiles.length)), n, name });
    if (this.#failed) return t("title.problem", { n: this.#failed, name });
    if (this.#ready) return t("title.ready", { n: this.#ready, name });
    return name;
  }
}
