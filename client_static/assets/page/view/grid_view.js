// @ts-check
import { effect, signal } from "../../vendor/signals-core/signals-core.js";
import { html, render } from "../../vendor/lit-html/lit-html.js";
import { onLang, percent, t } from "../../words/words.js";
import { axesOf, gridOf } from "../dock/grid.js";
import { AXIS_WORDS } from "../dock/grid_fields.js";
import { stepText, verdictText } from "../store/output_words.js";
import { byId } from "../ui/dom.js";
import { GRID } from "./address.js";

/** @typedef {import("../store/generation_state.js").GenerationState} GenerationState */
/** @typedef {import("../store/store.js").Store} Store */
/** @typedef {import("../dock/grid.js").Axis} Axis */

/** A grid of compared settings as a table, with an address of its own: Back closes it, and a reload opens it again. */
export class GridView {
  #dialog = byId("grid-view", HTMLDialogElement);
  #table = byId("grid-table", HTMLElement);
  #store;
  #group = signal("");

  /** @param {Store} store */
  constructor(store) {
    this.#store = store;
    byId("grid-view-close", HTMLButtonElement).addEventListener("click", () => this.#dialog.close());
    this.#dialog.addEventListener("close", () => this.#closed());
    for (const name of ["popstate", "hashchange"]) addEventListener(name, () => this.#follow());
    effect(() => this.#render());
    onLang(() => this.#render());
    this.#follow();
  }

  /** Close it, because it belongs to another person. */
  close() {
    this.#dialog.close();
  }

  /** Show what the address says. */
  #follow() {
    const { hash } = location;
    const group = hash.startsWith(GRID) ? hash.slice(GRID.length) : "";
    this.#group.value = axesOf(group) ? group : "";
    if (this.#group.value && !this.#dialog.open) this.#dialog.showModal();
    if (!this.#group.value) this.#dialog.close();
  }

  #closed() {
    this.#group.value = "";
    if (location.hash.startsWith(GRID)) history.replaceState(null, "", location.pathname + location.search);
  }

  #render() {
    const group = this.#group.value;
    const axes = axesOf(group);
    if (!axes) {
      render("", this.#table);
      return;
    }
    const tasks = this.#store.generations.value.filter(({ params }) => params.group === group).toReversed();
    for (const { revision } of tasks) revision.value;
    const now = this.#store.now.value;
    const cells = tasks.map((generation) => ({ params: generation.params, generation }));
    const { rows, columns, cells: lines } = gridOf(axes, cells);
    const head = columns?.values.map((value) => html`<th scope="col">${label(columns, value)}</th>`);
    const body = rows.values.map((value, at) => {
      const line = lines[at]?.map((cell) => html`<td>${cell ? cellTemplate(cell.generation, now) : ""}</td>`);
      return html`<tr><th scope="row">${label(rows, value)}</th>${line}</tr>`;
    });
    const table = html`<table><caption dir="auto">${tasks[0]?.prompt}</caption>
      ${head && html`<thead><tr><td></td>${head}</tr></thead>`}<tbody>${body}</tbody></table>`;
    render(tasks.length ? table : html`<p class="hint">${t("grid.gone")}</p>`, this.#table);
  }
}

/**
 * @param {Axis} axis
 * @param {string | number} value
 */
function label({ field }, value) {
  return field === "model" ? value : `${t(AXIS_WORDS[field])} ${value}`;
}

/**
 * @param {GenerationState} generation
 * @param {number} now in milliseconds
 */
function cellTemplate({ outputs: [first] }, now) {
  if (!first) return "";
  const { state, name } = first;
  if (state.output) {
    const { url, width, height } = state.output;
    return html`<a href=${url} target="_blank" rel="noopener"><img src=${url} alt=${name} width=${width} height=${height}
      loading="lazy" decoding="async" data-testid="grid-image"></a>`;
  }
  if (state.ended) return html`<p class="problem">${verdictText(state)}</p>`;
  const { percent: part } = state.shownAt(now);
  return html`<p class="hint">${state.waiting ? stepText(state) : percent(part)}</p>`;
}
