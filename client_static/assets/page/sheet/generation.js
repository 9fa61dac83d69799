// @ts-check
import { percent, plural, t, when } from "../../words/words.js";
import { fromTemplate, keepFocus, part, showText } from "../ui/dom.js";
import { Tile } from "./tile.js";

/** @typedef {import("../store/generation_state.js").GenerationState} GenerationState */
/** @typedef {import("./tile.js").TileAction} TileAction */

/**
 * What a generation asks of its gallery.
 * @typedef {object} GenerationHost
 * @property {(generation: Generation, index?: number) => void} cancel
 * @property {(generation: Generation) => void} cancelOthers
 * @property {(generation: Generation) => void} first move before all own generations that wait
 * @property {(generation: Generation, tile: Tile | null) => void} reuse
 * @property {(generation: Generation, tile: Tile) => void} retry
 * @property {(tile: Tile) => void} open
 * @property {(tile: Tile) => void} start start another generation from its image
 * @property {(generation: Generation) => void} remove
 */

/** One task on the sheet: the tiles of its outputs, what was asked for, and what can be done with all of it. */
export class Generation {
  element = fromTemplate("generation-template");
  /** @type {Tile[]} */
  tiles = [];
  state;
  #host;
  #parts = {
    prompt: part(this.element, "prompt", HTMLElement),
    meta: part(this.element, "meta", HTMLElement),
    tiles: part(this.element, "tiles", HTMLElement),
    first: part(this.element, "first", HTMLButtonElement),
    others: part(this.element, "others", HTMLButtonElement),
    cancel: part(this.element, "cancel", HTMLButtonElement),
    reuse: part(this.element, "reuse", HTMLButtonElement),
    remove: part(this.element, "remove", HTMLButtonElement),
    when: part(this.element, "when", HTMLTimeElement),
  };

  /**
   * @param {GenerationState} state
   * @param {GenerationHost} host
   */
  constructor(state, host) {
    this.state = state;
    this.#host = host;
    this.element.dataset.task = state.task.id;
    for (const output of state.outputs) {
      const tile = new Tile(output, (action) => this.#act(action, tile));
      this.tiles.push(tile);
      this.#parts.tiles.append(tile.element);
    }
    this.element.classList.toggle("many", this.tiles.length > 1);
    this.element.dataset.count = String(this.tiles.length);
    this.#parts.cancel.addEventListener("click", () => host.cancel(this));
    this.#parts.others.addEventListener("click", () => host.cancelOthers(this));
    this.#parts.first.addEventListener("click", () => host.first(this));
    this.#parts.reuse.addEventListener("click", () => host.reuse(this, null));
    this.#parts.remove.addEventListener("click", () => host.remove(this));
  }

  /** Show or hide the button that cancels all other generations. @param {boolean} there */
  offerOthers(there) {
    keepFocus(this.element, () => (this.#parts.others.hidden = !there), () => this.element);
  }

  /** Show or hide the button that moves it before all others that wait. @param {boolean} there */
  offerFirst(there) {
    keepFocus(this.element, () => (this.#parts.first.hidden = !there), () => this.element);
  }

  render() {
    const { prompt, meta } = this.#parts;
    this.element.dataset.state = this.state.ended ? "ended" : "unfinished";
    prompt.textContent = prompt.title = this.state.prompt;
    showText(meta, this.#metaText());
    this.#showWhen();
    for (const tile of this.tiles) tile.render();
    keepFocus(this.element, () => this.#showButtons(), () => this.element);
  }

  #showWhen() {
    const { created } = this.state.task;
    const element = this.#parts.when;
    showText(element, created === null ? "" : when(created, "short"));
    if (created === null) return;
    element.dateTime = new Date(created * 1000).toISOString();
    element.title = when(created, "full");
  }

  #showButtons() {
    const { first, others, cancel, remove } = this.#parts;
    if (this.state.ended) first.hidden = others.hidden = true;
    remove.hidden = !this.state.ended;
    cancel.hidden = this.state.ended || this.tiles.length < 2;
    cancel.setAttribute("aria-disabled", String(this.state.task.wanted.has(null)));
    cancel.textContent = plural("act.cancel_generation", this.tiles.length);
  }

  #metaText() {
    const { kind = "text2image", model, size, strength, frames, fps, steps, guidance_scale: guidance } = this.state.params;
    const parts = [model, size?.replace("x", " × ")];
    if (kind !== "text2image" && kind !== "chat") parts.unshift(t(`kind.${kind}`));
    if (strength !== undefined) parts.push(t("meta.strength", { percent: percent(Math.round(strength * 100)) }));
    if (frames !== undefined) parts.push(plural("meta.frames", frames));
    if (fps !== undefined) parts.push(t("meta.fps", { n: fps }));
    if (steps !== undefined) parts.push(plural("meta.steps", steps));
    if (guidance !== undefined) parts.push(t("meta.guidance", { n: guidance }));
    return parts.flatMap((text) => text?.replaceAll(" ", "\u00a0") ?? []).join(" · ");
  }

  /**
   * @param {TileAction} action
   * @param {Tile} tile
   */
  #act(action, tile) {
    if (action === "cancel") this.#host.cancel(this, tile.output.index);
    else if (action === "retry") this.#host.retry(this, tile);
    else if (action === "open") this.#host.open(tile);
    else if (action === "start") this.#host.start(tile);
    else this.#host.reuse(this, tile);
  }
}
