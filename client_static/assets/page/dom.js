// @ts-check
import { fillWords } from "../words/words.js";

/**
 * The element with that id, which the page must have.
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
 * The part of an element that is marked `data-part=name`.
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
 * A copy of the one element in a template, with its words.
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
 * Show a text where there is one, hide the element where there is none.
 * @param {HTMLElement} element
 * @param {string} text
 */
export function showText(element, text) {
  element.hidden = text === "";
  if (element.textContent !== text) element.textContent = text;
}

/**
 * Change what is below `root`; if that takes away or hides what had the focus, the next best gets it, so that a
 * keyboard is not sent to the top of the page.
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
