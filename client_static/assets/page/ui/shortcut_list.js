// @ts-check
import { keepLocal } from "../store/storage.js";
import { byId } from "./dom.js";
import { KEYS_OFF, keysOn } from "./shortcuts.js";

/** The list of all keys. Single keys can be turned off there, because who dictates may press them unawares (WCAG 2.1.4). */
export class ShortcutList {
  #dialog = byId("shortcuts", HTMLDialogElement);

  constructor() {
    const on = byId("shortcuts-on", HTMLInputElement);
    on.checked = keysOn();
    on.addEventListener("change", () => keepLocal(KEYS_OFF, on.checked ? null : true));
    byId("shortcuts-close", HTMLButtonElement).addEventListener("click", () => this.#dialog.close());
  }

  open() {
    if (!this.#dialog.open) this.#dialog.showModal();
  }
}
