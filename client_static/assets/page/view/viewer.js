// @ts-check
import { byId, part } from "../ui/dom.js";
import { downloadUrl } from "../ui/downloads.js";
import { ShareLinks } from "./share.js";

/** @typedef {import("../sheet/tile.js").Tile} Tile */

/** The full-size view: fitted to the window, or at actual size after a click. Arrow keys move between images. */
export class Viewer {
  #dialog = byId("viewer", HTMLDialogElement);
  #image = /** @type {HTMLImageElement} */ (this.#dialog.querySelector("img"));
  #download = /** @type {HTMLAnchorElement} */ (this.#dialog.querySelector("a"));
  #caption = byId("viewer-caption", HTMLElement);
  #shareLinks = new ShareLinks(this.#dialog);
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
   * Open the view.
   * @param {Tile} tile the one to show first
   * @param {Tile[]} all tiles to move between
   */
  open(tile, all) {
    this.#tiles = all;
    this.#at = all.indexOf(tile);
    this.#go(0);
    this.#dialog.showModal();
  }

  /** Close the view and drop what it showed. */
  close() {
    this.#dialog.close();
    this.#tiles = [];
    this.#shareLinks.use("", 0);
    this.#image.removeAttribute("src");
    this.#image.alt = this.#caption.textContent = "";
    this.#download.removeAttribute("href");
  }

  /** @param {number} by */
  #go(by) {
    const tile = this.#tiles[this.#at + by];
    if (!tile?.state.output) return;
    this.#at += by;
    const { url, seed, width, height } = tile.state.output;
    this.#dialog.classList.remove("actual");
    this.#image.src = url;
    this.#image.alt = tile.name;
    this.#download.href = downloadUrl(url);
    this.#caption.textContent = `${tile.output.generation.prompt} · ${width} × ${height} · ${seed}`;
    this.#shareLinks.use(tile.output.generation.task.id, tile.output.index);
    this.#previous.disabled = this.#at === 0;
    this.#next.disabled = this.#at === this.#tiles.length - 1;
  }
}
