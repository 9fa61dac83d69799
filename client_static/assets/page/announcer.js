// @ts-check
import { byId } from "./dom.js";

/** Between two announcements, so that a screen reader can finish. */
const GAP = 4000;
/** How many pieces of news one announcement holds; older ones are left out, their tiles still say it. */
const MOST = 4;

/** Tells people who do not look at the page what happens on it, not too often. */
export class Announcer {
  #region = byId("announcer", HTMLElement);
  /** @type {string[]} */
  #waiting = [];
  #last = -Infinity;
  /** @type {number | undefined} */
  #timer;

  /** @param {string} text */
  say(text) {
    this.#waiting.push(text);
    if (this.#timer !== undefined) return;
    const wait = Math.max(100, this.#last + GAP - performance.now());
    this.#timer = setTimeout(() => this.#speak(), wait);
  }

  /**
   * Say something only if nothing was said for a while.
   * @param {string} text
   * @param {number} quiet in milliseconds
   */
  mention(text, quiet) {
    if (this.#timer === undefined && performance.now() - this.#last > quiet) this.say(text);
  }

  #speak() {
    this.#timer = undefined;
    this.#last = performance.now();
    this.#region.textContent = this.#waiting.slice(-MOST).join(" ");
    this.#waiting = [];
  }
}
