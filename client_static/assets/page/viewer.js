// @ts-check
import { byId, part } from "./dom.js";

/** @typedef {import("./tile.js").Tile} Tile */

/** Pictures in full size: fitted to the window, a click shows every pixel; arrow keys go on to the next. */
export class Viewer {
  #dialog = byId("viewer", HTMLDialogElement);
  #image = /** @type {HTMLImageElement} */ (this.#dialog.querySelector("img"));
  #download = /** @type {HTMLAnchorElement} */ (this.#dialog.querySelector("a"));
  #caption = byId("viewer-caption", HTMLElement);
  #previous = part(this.#dialog, "previous", HTMLButtonElement);
  #next = part(this.#dialog, "next", HTMLButtonElement);
  /** @type {Tile[]} */
  #tiles = [];
  #at = 0;

  constructor() {
    this.#previous.addEventListener("click", () => this.#go(-1));
    this.#next.addEventListener("click", () => this.#go(1));
    part(this.#dialog, "close", HTMLButtonElement).addEventListener("click", () => this.#dialog.close());
    this.#image.addEventListener("click", () => this.#dialog.classList.toggle("actual"));
    this.#dialog.addEventListener("click", (event) => {
      if (event.target === this.#dialog || event.target === this.#image.parentElement) this.#dialog.close();
    });
    this.#dialog.addEventListener("keydown", (event) => {
      if (event.key === "ArrowLeft") this.#go(-1);
      if (event.key === "ArrowRight") this.#go(1);
    });
  }

  /**
   * @param {Tile} tile
   * @param {Tile[]} all those one may go on to
   */
  open(tile, all) {
    this.#tiles = all;
    this.#at = all.indexOf(tile);
    this.#go(0);
    this.#dialog.showModal();
  }

  /** @param {number} by */
  #go(by) {
    const tile = this.#tiles[this.#at + by];
    if (!tile?.state.picture) return;
    this.#at += by;
    const { url, seed, width, height, media_type } = tile.state.picture;
    this.#dialog.classList.remove("actual");
    this.#image.src = url;
    this.#image.alt = tile.name;
    this.#download.href = url;
    this.#download.download = fileName(seed, media_type);
    this.#caption.textContent = `${tile.prompt} · ${width} × ${height} · ${seed}`;
    this.#previous.disabled = this.#at === 0;
    this.#next.disabled = this.#at === this.#tiles.length - 1;
  }
}

/**
 * What a downloaded picture is called.
 * @param {number} seed
 * @param {string} mediaType
 */
export function fileName(seed, mediaType) {
  return `xinflight-${seed}.${mediaType.replace("image/", "").replace("jpeg", "jpg")}`;
}
