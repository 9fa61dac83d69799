// @ts-check
import { effect } from "../../vendor/signals-core/signals-core.js";
import { byId } from "../ui/dom.js";

/** @typedef {import("../store/store.js").Store} Store */

/** The percentages between two pictures: a tab's icon is some 16 px wide, so finer steps would not be seen. */
const STEP = 5;
/** Where the circle of the ring begins and how long it is, in units of the picture. */
const RADIUS = 11;
const LENGTH = 2 * Math.PI * RADIUS;

/**
 * Return the percentage that the icon shows for an overall progress.
 * @param {number} percent
 */
export function ringStep(percent) {
  return Math.floor(percent / STEP) * STEP;
}

/**
 * Return the icon with a ring that is closed as far as everything is done, as SVG.
 * @param {number} percent
 */
export function ringSvg(percent) {
  const circle = `cx="16" cy="16" r="${RADIUS}" fill="none" stroke-width="8"`;
  const done = `${((LENGTH * percent) / 100).toFixed(2)} ${LENGTH.toFixed(2)}`;
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">` +
    `<circle ${circle} stroke="#8a8a8a" stroke-opacity=".45"/>` +
    `<circle ${circle} stroke="#ffb43d" stroke-dasharray="${done}" transform="rotate(-90 16 16)"/></svg>`
  );
}

/** The icon of the page: a ring while anything is being made. */
export class Favicon {
  #link;
  #plain;
  /** @type {number | null} what the ring shows; null for the plain icon */
  #shown = null;
  /** @type {Map<number, string>} an address for each of the 20 steps: one that is revoked may still be being loaded */
  #urls = new Map();

  /** @param {HTMLLinkElement} link */
  constructor(link) {
    this.#link = link;
    this.#plain = link.href;
  }

  /** @param {number | null} percent null while nothing is being made */
  show(percent) {
    const step = percent === null ? null : ringStep(percent);
    if (step === this.#shown) return;
    this.#shown = step;
    this.#link.href = step === null ? this.#plain : this.#urlOf(step);
  }

  /** @param {number} step */
  #urlOf(step) {
    const known = this.#urls.get(step);
    const url = known ?? URL.createObjectURL(new Blob([ringSvg(step)], { type: "image/svg+xml" }));
    this.#urls.set(step, url);
    return url;
  }
}

/**
 * Show the overall progress in the page's icon and in the mark of its top bar.
 * @param {Store} store
 */
export function showProgress(store) {
  const icon = new Favicon(byId("icon", HTMLLinkElement));
  const mark = byId("mark", HTMLElement);
  effect(() => {
    const { percent, left } = store.overall.value;
    icon.show(left ? percent : null);
    mark.style.setProperty("--part", String(left ? percent / 100 : 1));
  });
}
