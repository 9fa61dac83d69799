// @ts-check
import { effect } from "../../vendor/signals-core/signals-core.js";
import { onLang } from "../../words/words.js";
import { byId, keepFocus, showText } from "../ui/dom.js";
import { countsText } from "./counts.js";

/** @typedef {import("../../client/xinflight.js").Xinflight} Xinflight */
/** @typedef {import("../store/store.js").Store} Store */

/** The board beside the sheet: what is in flight, and what is done to all of it. */
export class Board {
  #store;
  #board = byId("board", HTMLElement);
  #counts = byId("counts", HTMLElement);
  #cancelAll = byId("cancel-all", HTMLButtonElement);

  /**
   * @param {Xinflight} client
   * @param {Store} store
   */
  constructor(client, store) {
    this.#store = store;
    this.#cancelAll.addEventListener("click", () => client.cancelAll());
    effect(() => this.#render());
    onLang(() => this.#render());
  }

  #render() {
    const { generations, unfinished, live, more, queue } = this.#store;
    for (const { revision } of unfinished.value) revision.value;
    const states = generations.value.flatMap(({ outputs }) => outputs.map(({ state }) => state));
    showText(this.#counts, countsText(states, { live: live.value, more: more.value === true }));
    const hide = () => {
      this.#cancelAll.hidden = unfinished.value.length === 0;
      this.#board.hidden = unfinished.value.length === 0 && !queue.value.paused;
    };
    keepFocus(this.#board, hide, () => byId("gallery", HTMLElement));
  }
}
