// @ts-check
import { byId } from "./dom.js";
import { CTRL, isUndo } from "./shortcuts.js";

/**
 * What a toast offers to do. `undoes`: it takes back what the person just did, so the key for that does it, too; `gone`:
 * called when it goes and nobody did that.
 * @typedef {{label: string, act: () => void, undoes?: boolean, gone?: () => void}} ToastAction
 */

/** How long a toast is shown, in milliseconds; not while the pointer or the focus is on it. */
const SHOWN = 6000;
/** The most toasts at once: the oldest one goes when another comes. */
const MOST = 3;

/** Short messages above the dock that go by themselves, each with one thing to do about it. */
export class Toasts {
  #root = byId("toasts", HTMLElement);
  #home;
  /** @type {WeakMap<Element, (() => void) | undefined>} what to call when a toast goes */
  #gone = new WeakMap();

  /** @param {() => HTMLElement} home what is focused when a focused toast goes */
  constructor(home) {
    this.#home = home;
    document.addEventListener("keydown", (event) => this.#press(event));
  }

  /** Take back what the newest toast offers to take back. @param {KeyboardEvent} event */
  #press(event) {
    /** @type {NodeListOf<HTMLButtonElement>} */
    const undos = this.#root.querySelectorAll("[aria-keyshortcuts]");
    const newest = [...undos].at(-1);
    if (!newest || !isUndo(event)) return;
    event.preventDefault();
    newest.click();
  }

  /**
   * Show a message. Screen readers hear it, since the region is live. The returned function says how things went on: in
   * the same toast, or in a new one if that has gone; nothing if it was acted upon, and an empty text removes it.
   * @param {string} text
   * @param {ToastAction} action
   * @returns {(text: string) => void}
   */
  show(text, action) {
    let used = false;
    const act = () => {
      used = true;
      action.act();
    };
    let toast = this.#add(text, { ...action, act });
    let said = text;
    return (later) => {
      if (used || later === said) return;
      said = later;
      if (later === "") this.#drop(toast.element);
      else if (toast.element.isConnected) toast.say(later);
      else toast = this.#add(later, { ...action, act });
    };
  }

  /**
   * @param {string} text
   * @param {ToastAction} action
   */
  #add(text, { label, act, undoes = false, gone }) {
    const toast = document.createElement("div");
    toast.className = "toast";
    toast.dataset.testid = "toast";
    const words = document.createElement("p");
    words.textContent = text;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "plain";
    button.dataset.testid = "toast-act";
    button.textContent = label;
    if (undoes) button.append(undoKey(button));
    toast.append(words, button);
    const timer = new Timer(() => this.#drop(toast));
    // Both may be on it: that one of them goes does not mean that nobody reads it any more.
    const held = new Set();
    for (const [comes, goes] of /** @type {const} */ ([["pointerenter", "pointerleave"], ["focusin", "focusout"]])) {
      toast.addEventListener(comes, () => {
        held.add(comes);
        timer.stop();
      });
      toast.addEventListener(goes, () => held.delete(comes) && held.size === 0 && timer.start());
    }
    this.#gone.set(toast, gone);
    button.addEventListener("click", () => {
      timer.stop();
      this.#gone.delete(toast);
      this.#drop(toast);
      act();
    });
    this.#stay();
    this.#root.append(toast);
    for (const old of [...this.#root.children].slice(0, -MOST)) this.#drop(old);
    timer.start();
    const say = (/** @type {string} */ later) => {
      words.textContent = later;
      if (held.size === 0) timer.start();
    };
    return { element: toast, say };
  }

  /** Remove all of them, because they belong to another person. */
  clear() {
    for (const toast of [...this.#root.children]) this.#drop(toast);
  }

  /** Stand in the dialog that is open, since everything outside of it can neither be pressed nor read. */
  #stay() {
    const dialog = [...document.querySelectorAll("dialog:modal")].at(-1);
    if (!dialog || dialog.contains(this.#root)) return;
    dialog.append(this.#root);
    dialog.addEventListener("close", () => document.body.append(this.#root), { once: true });
  }

  /** @param {Element} toast */
  #drop(toast) {
    const focused = toast.contains(document.activeElement);
    toast.remove();
    if (focused) (this.#root.closest("dialog") ?? this.#home()).focus();
    this.#gone.get(toast)?.();
    this.#gone.delete(toast);
  }
}

/** Return the key of a button that takes something back; the button tells it to screen readers. @param {HTMLElement} button */
function undoKey(button) {
  button.setAttribute("aria-keyshortcuts", CTRL === "Ctrl" ? "Control+Z" : "Meta+Z");
  const key = document.createElement("kbd");
  key.ariaHidden = "true";
  key.textContent = `${CTRL} Z`;
  return key;
}

/** Calls a function after `SHOWN`; it starts anew after each stop. */
class Timer {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timeout;
  #act;

  /** @param {() => void} act */
  constructor(act) {
    this.#act = act;
  }

  start() {
    this.stop();
    this.#timeout = setTimeout(this.#act, SHOWN);
  }

  stop() {
    clearTimeout(this.#timeout);
  }
}
