// @ts-check
import { byId, part } from "./dom.js";

/** Asks once before something is gone for good. Escape and the keyboard's first stop keep it. */
export class Confirm {
  #dialog = byId("confirm", HTMLDialogElement);
  #title = byId("confirm-title", HTMLElement);
  #text = byId("confirm-text", HTMLElement);
  /** @type {(yes: boolean) => void} */
  #answer = () => {};

  constructor() {
    const close = (/** @type {string} */ name, /** @type {string} */ value) =>
      part(this.#dialog, name, HTMLButtonElement).addEventListener("click", () => this.#dialog.close(value));
    close("keep", "");
    close("delete", "yes");
    this.#dialog.addEventListener("click", (event) => {
      if (event.target === this.#dialog) this.#dialog.close("");
    });
    this.#dialog.addEventListener("close", () => this.#answer(this.#dialog.returnValue === "yes"));
  }

  /**
   * @param {string} title
   * @param {string} text
   * @returns {Promise<boolean>} whether to go on
   */
  ask(title, text) {
    this.#title.textContent = title;
    this.#text.textContent = text;
    this.#dialog.returnValue = "";
    this.#dialog.showModal();
    return new Promise((resolve) => (this.#answer = resolve));
  }
}
