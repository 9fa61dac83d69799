// @ts-check
import { byId } from "./dom.js";

/** What a toast offers to do. @typedef {{label: string, act: () => void}} ToastAction */

/** How long a toast is shown, in milliseconds; not while the pointer or the focus is on it. */
const SHOWN = 6000;
/** The most toasts at once: the oldest one goes when another comes. */
const MOST = 3;

/** Short messages above the dock that go by themselves, each with one thing to do about it. */
export class Toasts {
  #root = byId("toasts", HTMLElement);
  #home;

  /** @param {() => HTMLElement} home what is focused when a focused toast goes */
  constructor(home) {
    this.#home = home;
  }

  /**
   * Show a message. Screen readers hear it, since the region is live.
   * @param {string} text
   * @param {ToastAction} action
   */
  show(text, { label, act }) {
    const toast = document.createElement("div");
    toast.className = "toast";
    toast.dataset.testid = "toast";
    const words = document.createElement("p");
    words.textContent = text;
    words.dir = "auto";
    const button = document.createElement("button");
    button.type = "button";
    button.className = "plain";
    button.dataset.testid = "toast-act";
    button.textContent = label;
    toast.append(words, button);
    const timer = new Timer(() => this.#drop(toast));
    for (const name of ["pointerenter", "focusin"]) toast.addEventListener(name, () => timer.stop());
    for (const name of ["pointerleave", "focusout"]) toast.addEventListener(name, () => timer.start());
    button.addEventListener("click", () => {
      timer.stop();
      this.#drop(toast);
      act();
    });
    this.#root.append(toast);
    for (const old of [...this.#root.children].slice(0, -MOST)) this.#drop(old);
    timer.start();
  }

  /** Remove all of them, because they belong to another person. */
  clear() {
    for (const toast of [...this.#root.children]) this.#drop(toast);
  }

  /** @param {Element} toast */
  #drop(toast) {
    const focused = toast.contains(document.activeElement);
    toast.remove();
    if (focused) this.#home().focus();
  }
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
