// @ts-check
import { keepLocal, readLocal } from "../store/storage.js";
import { byId } from "./dom.js";

/**
 * A key of the page. `key` is as in `KeyboardEvent.key`; `when` tells whether it does anything now.
 * @typedef {{key: string, act: () => void, when?: () => boolean}} Shortcut
 */

/** Where the choice against single keys is remembered: it is this browser's, whoever uses it. */
const OFF = "xinflight.keys_off";

/**
 * Tell whether a key press may be a shortcut: no modifier is held, nothing is being typed and no dialog is open, whose
 * keys are its own.
 * @param {Pick<KeyboardEvent, "ctrlKey" | "metaKey" | "altKey" | "defaultPrevented" | "isComposing" | "target">} event
 */
export function isPlainKey({ ctrlKey, metaKey, altKey, defaultPrevented, isComposing, target }) {
  if (ctrlKey || metaKey || altKey || defaultPrevented || isComposing) return false;
  const { closest } = /** @type {Partial<Element>} */ (target ?? {});
  return !closest?.call(target, "input, textarea, select, [contenteditable], dialog, video");
}

/**
 * The single keys of the page, and the list of all keys that `?` opens. They can be turned off there, because who
 * dictates may press them unawares (WCAG 2.1.4).
 */
export class Shortcuts {
  #dialog = byId("shortcuts", HTMLDialogElement);
  #on = byId("shortcuts-on", HTMLInputElement);

  /** @param {Shortcut[]} shortcuts */
  constructor(shortcuts) {
    this.#on.checked = readLocal(OFF) !== true;
    this.#on.addEventListener("change", () => keepLocal(OFF, this.#on.checked ? null : true));
    byId("shortcuts-open", HTMLButtonElement).addEventListener("click", () => this.#dialog.showModal());
    byId("shortcuts-close", HTMLButtonElement).addEventListener("click", () => this.#dialog.close());
    const all = [...shortcuts, { key: "?", act: () => this.#dialog.showModal() }];
    document.addEventListener("keydown", (event) => {
      if (!this.#on.checked || !isPlainKey(event) || document.querySelector("dialog[open]")) return;
      const found = all.find(({ key, when }) => key === event.key && when?.() !== false);
      if (!found) return;
      event.preventDefault();
      found.act();
    });
  }
}
