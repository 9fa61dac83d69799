// @ts-check
import { readLocal } from "../store/storage.js";

/**
 * A key of the page. `key` is as in `KeyboardEvent.key`; `when` tells whether it does anything now.
 * @typedef {{key: string, act: () => void, when?: () => boolean}} Shortcut
 */

/** Where the choice against single keys is remembered: it is this browser's, whoever uses it. */
export const KEYS_OFF = "xinflight.keys_off";

/** What is pressed together with a letter, as the keyboard has it: `Ctrl`, or the sign of Apple's. */
export const CTRL = /Mac|iPhone|iPad/.test(navigator.platform) ? "\u2318" : "Ctrl";
/** Where one types text, which has an undo of its own. */
const TEXT = "textarea, select, [contenteditable], input:not([type=checkbox], [type=radio], [type=range], [type=file])";

/** Whether single keys do anything. */
export function keysOn() {
  return readLocal(KEYS_OFF) !== true;
}

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
 * Tell whether a key press asks to take back what was done last, and not what was typed last.
 * @param {Pick<KeyboardEvent, "key" | "ctrlKey" | "metaKey" | "altKey" | "shiftKey" | "defaultPrevented" | "target">} event
 */
export function isUndo({ key, ctrlKey, metaKey, altKey, shiftKey, defaultPrevented, target }) {
  const held = CTRL === "Ctrl" ? ctrlKey && !metaKey : metaKey && !ctrlKey;
  if (!held || altKey || shiftKey || defaultPrevented || key.toLowerCase() !== "z") return false;
  const { closest } = /** @type {Partial<Element>} */ (target ?? {});
  return !closest?.call(target, TEXT);
}

/**
 * Listen for the single keys of the page.
 * @param {Shortcut[]} shortcuts
 */
export function listenForKeys(shortcuts) {
  document.addEventListener("keydown", (event) => {
    if (!isPlainKey(event) || document.querySelector("dialog[open]") || !keysOn()) return;
    const found = shortcuts.find(({ key, when }) => key === event.key && when?.() !== false);
    if (!found) return;
    event.preventDefault();
    found.act();
  });
}
