// @ts-check
import { html, nothing, render } from "../../vendor/lit-html/lit-html.js";
import { onLang, t } from "../../words/words.js";
import { ask } from "../account/api.js";
import { byId } from "../ui/dom.js";
import { chosen, dayText, filters, has } from "./search.js";

/** @typedef {import("../page.js").Page} Page */
/** @typedef {import("../store/store.js").Store} Store */
/** @typedef {import("./search.js").Only} Only */

/** How many tags and models are offered. */
const MOST = 24;

/**
 * What can be looked for beside words, below the search field while that is used: tags, models and days, which are added to
 * its text, and in a narrow window the filters.
 */
export class Choices {
  #page;
  #store;
  #host;
  #root = byId("find", HTMLElement);
  #sheet = byId("find-sheet", HTMLElement);
  #text = "";
  /** @type {Only} */
  #only = "all";
  /** @type {string[]} */
  #tags = [];
  /** The beginning by which the tags were asked for; null if they were not. */
  #prefix = /** @type {string | null} */ (null);
  /** Whether the field is about to be focused because this was closed. */
  #closing = false;

  /**
   * @param {Page} page
   * @param {Store} store
   * @param {{choose: (text: string) => void, filter: (only: Only) => void}} host
   */
  constructor(page, store, host) {
    this.#page = page;
    this.#store = store;
    this.#host = host;
    this.#root.addEventListener("focusout", ({ relatedTarget }) => {
      // What is pressed there may be rendered anew, and takes the focus nowhere.
      if (relatedTarget instanceof Node && !this.#root.contains(relatedTarget)) this.close();
    });
    document.addEventListener("pointerdown", ({ target }) => {
      if (target instanceof Node && !this.#root.contains(target)) this.close();
    });
    this.#root.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || this.#sheet.hidden) return;
      // The first one closes this, the next one clears the field.
      event.preventDefault();
      event.stopPropagation();
      this.close();
      const text = byId("find-text", HTMLInputElement);
      this.#closing = document.activeElement !== text;
      text.focus();
    });
    onLang(() => this.#render());
  }

  /**
   * Show what can be chosen.
   * @param {string} text that is looked for
   * @param {Only} only
   */
  open(text, only) {
    // It may have been left while this part was loaded: then nothing would close it again.
    if (!this.#root.contains(document.activeElement)) return;
    if (this.#sheet.hidden) this.#prefix = null;
    this.#sheet.hidden = this.#closing;
    this.#closing = false;
    this.update(text, only);
  }

  close() {
    this.#sheet.hidden = true;
  }

  /**
   * Make room for what is found while words are typed; a tag or a model that is being typed can be chosen.
   * @param {string} text
   * @param {Only} only
   */
  type(text, only) {
    if (/^\s*$|(?:^|\s)[#@]\S*$/u.test(text)) this.open(text, only);
    else this.close();
  }

  /**
   * Show what is chosen by now.
   * @param {string} text
   * @param {Only} only
   */
  update(text, only) {
    this.#text = text;
    this.#only = only;
    if (this.#sheet.hidden) return;
    this.#fetch();
    this.#render();
  }

  /** Ask for the tags that begin with what is being typed behind `#`, or for any. */
  async #fetch() {
    const prefix = /(?:^|\s)#"?([^\s"]*)$/u.exec(this.#text)?.[1] ?? "";
    if (prefix === this.#prefix) return;
    this.#prefix = prefix;
    const query = new URLSearchParams({ limit: String(MOST), ...(prefix && { prefix }) });
    // They are an offer: without them one can still type a tag.
    const answer = await ask(`tags?${query}`, "GET").catch(() => null);
    if (prefix !== this.#prefix) return;
    this.#tags = /** @type {{tags: string[]} | null} */ (answer)?.tags ?? [];
    this.#render();
  }

  get #models() {
    const running = this.#page.client.welcome?.models.map(({ id }) => id) ?? [];
    const used = this.#store.generations.value.map(({ params }) => params.model ?? "");
    return [...new Set([...running, ...used])].filter(Boolean).slice(0, MOST);
  }

  #render() {
    const today = new Date().setHours(0, 0, 0, 0);
    const yesterday = new Date(today).setDate(new Date(today).getDate() - 1);
    const buttons = /** @type {const} */ (["all", "starred", "failed"]).map(
      (only) => html`<button type="button" class="chip" aria-pressed=${filters({ text: this.#text, only: this.#only }, only)} data-testid=${`find-sheet-${only}`}
        @click=${() => this.#host.filter(only)}>${t(`find.${only}`)}</button>`,
    );
    const pick = (/** @type {Event} */ event) => {
      const { value } = /** @type {HTMLInputElement} */ (event.target);
      if (value) this.#choose("", value);
    };
    render(
      html`<div class="choices narrow" role="group" aria-label=${t("find.filters")}>${buttons}</div>
        ${this.#row("find.tags", "#", this.#tags)} ${this.#row("find.models", "@", this.#models)}
        <div class="choices" role="group" aria-labelledby="find-days"><span id="find-days">${t("find.days")}</span>
          ${this.#chip("", dayText(today), t("day.today"))} ${this.#chip("", dayText(yesterday), t("day.yesterday"))}
          <input type="date" max=${dayText(today)} data-testid="find-day" aria-label=${t("find.other_day")} @change=${pick} /></div>
        <p class="hint">${t("find.signs")}</p>`,
      this.#sheet,
    );
  }

  /**
   * @param {"find.tags" | "find.models"} key
   * @param {"#" | "@"} sign
   * @param {string[]} values
   */
  #row(key, sign, values) {
    if (values.length === 0) return nothing;
    return html`<div class="choices" role="group" aria-labelledby=${key}><span id=${key}>${t(key)}</span>
      ${values.map((value) => this.#chip(sign, value, value))}</div>`;
  }

  /**
   * @param {"#" | "@" | ""} sign
   * @param {string} value
   * @param {string} name
   */
  #chip(sign, value, name) {
    return html`<button type="button" class="chip" dir="auto" data-testid="find-choice" aria-pressed=${has(this.#text, sign, value)}
      @click=${() => this.#choose(sign, value)}>${name}</button>`;
  }

  /**
   * @param {"#" | "@" | ""} sign
   * @param {string} value
   */
  #choose(sign, value) {
    this.#host.choose(chosen(this.#text, sign, value));
  }
}
