// @ts-check
import { byId, part } from "./dom.js";

/** The confirmation dialog before a deletion. Escape, a click outside and the button focused first all cancel. */
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
   * Open the dialog and wait for the answer.
   * @param {string} title
   * @param {string} text
   * @returns {Promise<boolean>} true if the person confirmed
   */
  ask(title, text) {
    this.#title.textContent = title;
    this.#text.textContent = text;
    this.#dialog.returnValue = "";
    this.#dialog.showModal();
    return new Promise((resolve) => (this.#answer = resolve));
  }

  /** Cancel, and drop what was asked. */
  close() {
    this.#dialog.close("");
    this.#title.textContent = this.#text.textContent = "";
  }
}
