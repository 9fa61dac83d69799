// @ts-check
import { Overall } from "./overall.js";
import { percent, t } from "../words/words.js";

/** @typedef {import("./output_state.js").OutputState} OutputState */

/** The document's title: the total progress, and what finished while the page was hidden. */
export class Title {
  #name = document.title;
  #overall = new Overall();
  #ready = 0;
  #failed = 0;

  constructor() {
    document.addEventListener("visibilitychange", () => {
      this.#ready = this.#failed = 0;
      this.render();
    });
  }

  /** @param {OutputState[]} states of all outputs of unfinished generations */
  show(states) {
    this.#overall.update(states, performance.now());
    this.render();
  }

  /** Count an output that ended while the page is hidden. @param {"ready" | "failed"} what */
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
    const { left, percent: part, estimate } = this.#overall;
    if (left) return t("title.busy", { percent: (estimate ? "≈ " : "") + percent(part), n: left, name });
    if (this.#failed) return t("title.problem", { n: this.#failed, name });
    if (this.#ready) return t("title.ready", { n: this.#ready, name });
    return name;
  }
}
