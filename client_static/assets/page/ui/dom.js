// @ts-check
import { fillWords } from "../../words/words.js";

/**
 * Return the element with that id. Throws a TypeError if it is missing or of another kind.
 * @template {HTMLElement} T
 * @param {string} id
 * @param {new () => T} kind
 * @returns {T}
 */
export function byId(id, kind) {
  const element = document.getElementById(id);
  if (!(element instanceof kind)) throw new TypeError(`no ${kind.name} #${id} in the page`);
  return element;
}

/**
 * Return the descendant with `data-part=name`. Throws a TypeError if it is missing or of another kind.
 * @template {HTMLElement} T
 * @param {ParentNode} root
 * @param {string} name
 * @param {new () => T} kind
 * @returns {T}
 */
export function part(root, name, kind) {
  const element = root.querySelector(`[data-part=${name}]`);
  if (!(element instanceof kind)) throw new TypeError(`no ${kind.name} ${name}`);
  return element;
}

/**
 * Clone the single element of a template and fill in its texts.
 * @param {string} id
 * @returns {HTMLElement}
 */
export function fromTemplate(id) {
  const copy = byId(id, HTMLTemplateElement).content.firstElementChild?.cloneNode(true);
  if (!(copy instanceof HTMLElement)) throw new TypeError(`template #${id} is empty`);
  fillWords(copy);
  return copy;
}

/**
 * Set the text of an element, and hide the element if the text is empty.
 * @param {HTMLElement} element
 * @param {string} text
 */
export function showText(element, text) {
  element.hidden = text === "";
  if (element.textContent !== text) element.textContent = text;
}

/**
 * Call `change`; if it removes or hides the focused element below `root`, move the focus to `nextBest`. Without this
 * the browser resets the focus to the top of the page.
 * @param {HTMLElement} root
 * @param {() => void} change
 * @param {() => HTMLElement} nextBest
 */
export function keepFocus(root, change, nextBest) {
  const had = root.contains(document.activeElement);
  change();
  const now = document.activeElement;
  if (had && (!now || !root.contains(now) || now.closest("[hidden]"))) nextBest().focus();
}

/**
 * Keep touches that move on an element, while `when` says that it uses them, from starting a fling. Chromium starts one
 * even where `touch-action` forbids to pan, and a tap within the next second, wherever it is, would only stop it.
 * @param {HTMLElement} element
 * @param {() => boolean} when
 */
export function preventFling(element, when = () => true) {
  const prevent = (/** @type {TouchEvent} */ event) => event.cancelable && when() && event.preventDefault();
  element.addEventListener("touchmove", prevent, { passive: false });
}
