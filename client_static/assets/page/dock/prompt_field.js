// @ts-check
import { onLang, plural, t } from "../../words/words.js";
import { byId, showText } from "../ui/dom.js";
import { putAround } from "./around.js";
import { promptLines } from "./batch.js";
import { PromptHistory } from "./prompt_history.js";

/**
 * The prompts that were asked for: those known, the newest first, and whether there are older ones to be known.
 * @typedef {{readonly known: Iterable<string>, more: () => Promise<boolean>}} Earlier
 */

/** Fraction of the allowed prompt length above which a counter is shown. */
const COUNT_FROM = 0.8;

/**
 * The prompt: it grows with its text, arrow up fetches earlier prompts, and of several lines each can be a prompt of its
 * own.
 */
export class PromptField {
  #text = byId("prompt", HTMLTextAreaElement);
  #counter = byId("prompt-count", HTMLElement);
  #offer = byId("lines", HTMLElement);
  #each = byId("lines-on", HTMLInputElement);
  #around = "";
  #history;
  #earlier;
  /** The most characters of one prompt. */
  limit = Infinity;

  /** @param {Earlier} earlier */
  constructor(earlier) {
    this.#earlier = earlier;
    this.#history = new PromptHistory(() => earlier.known);
    this.#text.addEventListener("keydown", (event) => this.#walk(event));
    onLang(() => this.render());
  }

  get value() {
    return this.#text.value;
  }

  set value(value) {
    this.#text.value = value;
    this.render();
  }

  /** What of several lines becomes of a reload: whether each is a prompt. @returns {string} */
  get mode() {
    return this.#each.checked ? "lines" : "";
  }

  set mode(mode) {
    this.#each.checked = mode === "lines";
    this.render();
  }

  /** What is put around each prompt, or empty. */
  get around() {
    return this.#around;
  }

  set around(text) {
    this.#around = text;
    this.render();
  }

  /** What is written: one prompt, or one for each line. @returns {string[]} */
  get written() {
    const lines = promptLines(this.value);
    return this.#each.checked && lines.length > 1 ? lines : [this.value.trim()];
  }

  /** The prompts to ask for, with what is put around them. @returns {string[]} */
  get prompts() {
    return this.written.map((text) => putAround(this.#around, text));
  }

  set hint(/** @type {string} */ hint) {
    this.#text.placeholder = hint;
  }

  focus() {
    this.#text.focus();
  }

  render() {
    const n = [...putAround(this.#around, this.value)].length;
    byId("around", HTMLElement).hidden = this.#around === "";
    byId("around-text", HTMLElement).textContent = putAround(this.#around, "…");
    const { limit } = this;
    showText(this.#counter, n > limit * COUNT_FROM ? t("form.prompt_count", { n, limit }) : "");
    const lines = promptLines(this.value).length;
    this.#offer.hidden = lines < 2;
    byId("lines-text", HTMLElement).textContent = plural("dock.lines", lines);
  }

  /** @param {KeyboardEvent} event */
  #walk(event) {
    const { key, altKey, ctrlKey, metaKey, shiftKey, isComposing } = event;
    if (altKey || ctrlKey || metaKey || shiftKey || isComposing) return;
    const { value, selectionStart: start, selectionEnd: end } = this.#text;
    if (start !== end) return;
    // Within a text of several lines the arrows move the caret first.
    const up = key === "ArrowUp" && !value.slice(0, start).includes("\n");
    const down = key === "ArrowDown" && !value.slice(end).includes("\n");
    const next = up ? this.#history.older(value) : down ? this.#history.newer(value) : null;
    if (next !== null) {
      event.preventDefault();
      this.#show(next, up);
    } else if (up) this.#lookBack(value);
  }

  /** Fetch still older prompts, and show the next one if nothing else was written meanwhile. @param {string} shown */
  async #lookBack(shown) {
    if (!(await this.#earlier.more()) || this.#text.value !== shown) return;
    const next = this.#history.older(shown);
    if (next !== null) this.#show(next, true);
  }

  /**
   * @param {string} text
   * @param {boolean} older
   */
  #show(text, older) {
    this.#text.value = text;
    const caret = older ? 0 : text.length;
    this.#text.setSelectionRange(caret, caret);
    this.#text.dispatchEvent(new Event("input", { bubbles: true }));
  }
}
