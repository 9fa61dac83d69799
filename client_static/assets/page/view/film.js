// @ts-check
import { html, nothing, render } from "../../vendor/lit-html/lit-html.js";
import { repeat } from "../../vendor/lit-html/directives/repeat.js";
import { addressOf } from "./address.js";

/** @typedef {import("../sheet/posters.js").Held} Held */
/** @typedef {import("../store/generation_state.js").GenerationOutput} GenerationOutput */

/** The film strip of the view: what stands before and behind an image on the sheet, of videos their first frames. */
export class Film {
  #root;
  #hold;
  #go;
  /** @type {Map<GenerationOutput, {held: Held, url: string | null}>} those of the videos that are shown */
  #posters = new Map();
  /** @type {GenerationOutput[]} */
  #outputs = [];
  /** @type {GenerationOutput | null} */
  #current = null;

  /**
   * @param {HTMLElement} root
   * @param {import("../sheet/tile.js").HoldPoster} hold
   * @param {(output: GenerationOutput) => void} go show another image
   */
  constructor(root, hold, go) {
    this.#root = root;
    this.#hold = hold;
    this.#go = go;
  }

  /**
   * @param {GenerationOutput[]} outputs
   * @param {GenerationOutput} current the one in the view
   */
  show(outputs, current) {
    this.#outputs = outputs;
    this.#current = current;
    for (const [output, { held }] of this.#posters) {
      if (outputs.includes(output)) continue;
      held.release();
      this.#posters.delete(output);
    }
    for (const output of outputs) {
      if (output.isVideo && output.state.output && !this.#posters.has(output)) this.#load(output, this.#hold(output.state.output));
    }
    this.#render();
    this.#root.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
  }

  /** Show nothing, and let the posters go. */
  clear() {
    for (const { held } of this.#posters.values()) held.release();
    this.#posters.clear();
    this.#outputs = [];
    this.#render();
  }

  /**
   * @param {GenerationOutput} output
   * @param {Held} held
   */
  async #load(output, held) {
    const poster = { held, url: /** @type {string | null} */ (null) };
    this.#posters.set(output, poster);
    poster.url = await held.url;
    if (this.#posters.get(output) === poster) this.#render();
  }

  #render() {
    const item = (/** @type {GenerationOutput} */ output) => {
      const { url, thumbnail_url } = output.state.output ?? {};
      const shown = output.isVideo ? this.#posters.get(output)?.url : (thumbnail_url ?? url);
      const go = (/** @type {Event} */ event) => {
        event.preventDefault();
        this.#go(output);
      };
      return html`<li><a class=${output.isVideo ? "video" : ""} href=${addressOf(output)} aria-label=${output.name}
        aria-current=${output === this.#current} @click=${go}>
        <img src=${shown ?? nothing} alt="" loading="lazy" decoding="async" /></a></li>`;
    };
    render(repeat(this.#outputs, ({ key }) => key, item), this.#root);
  }
}
