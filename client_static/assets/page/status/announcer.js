// @ts-check
import { byId } from "../ui/dom.js";

/** Milliseconds between two announcements, so that a screen reader can finish the first one. */
const GAP = 4000;
/** Most messages in one announcement. Older ones are dropped; their tiles still show them. */
const MOST = 4;

/** Announces changes to screen readers through a live region, at a limited rate. */
export class Announcer {
  #region = byId("announcer", HTMLElement);
  /** @type {string[]} */
  #waiting = [];
  #last = -Infinity;
  /** @type {number | undefined} */
  #timer;

  /** Queue a message for the next announcement. @param {string} text */
  say(text) {
    this.#waiting.push(text);
    if (this.#timer !== undefined) return;
    const wait = Math.max(100, this.#last + GAP - performance.now());
    this.#timer = setTimeout(() => this.#speak(), wait);
  }

  /**
   * Announce a message only if nothing was announced for a while; otherwise drop it.
   * @param {string} text
   * @param {number} quiet milliseconds of silence that are required
   */
  mention(text, quiet) {
    if (this.#timer === undefined && performance.now() - this.#last > quiet) this.say(text);
  }

  /** Drop what was announced and what waits. */
  clear() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#waiting = [];
    this.#region.textContent = "";
  }

  #speak() {
    this.#timer = undefined;
    this.#last = performance.now();
    this.#region.textContent = this.#waiting.slice(-MOST).join(" ");
    this.#waiting = [];
  }
}
