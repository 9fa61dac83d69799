// @ts-check
import { effect } from "../../vendor/signals-core/signals-core.js";
import { onLang, percent, t } from "../../words/words.js";

/** The document's title: the total progress, and what finished while the page was hidden. */
export class Title {
  #name = document.title;
  #store;
  #ready = 0;
  #failed = 0;

  /** @param {import("../store/store.js").Store} store */
  constructor(store) {
    this.#store = store;
    effect(() => this.render());
    onLang(() => this.render());
    document.addEventListener("visibilitychange", () => {
      this.#ready = this.#failed = 0;
      this.render();
    });
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
    const { left, percent: part, estimate } = this.#store.overall.value;
    if (left) return t("title.busy", { percent: (estimate ? "≈ " : "") + percent(part), n: left, name });
    if (this.#failed) return t("title.problem", { n: this.#failed, name });
    if (this.#ready) return t("title.ready", { n: this.#ready, name });
    return name;
  }
}
