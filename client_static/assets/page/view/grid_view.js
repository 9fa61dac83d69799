// @ts-check
import { effect, signal } from "../../vendor/signals-core/signals-core.js";
import { html, nothing, render } from "../../vendor/lit-html/lit-html.js";
import { onLang, percent, t } from "../../words/words.js";
import { AXIS_WORDS } from "../dock/grid_fields.js";
import { GenerationState } from "../store/generation_state.js";
import { stepText, verdictText } from "../store/output_words.js";
import { byId } from "../ui/dom.js";
import { saveFile } from "../ui/downloads.js";
import { FIND } from "../find/field.js";
import { GRID, addressOf, leave } from "./address.js";
import { axesOf } from "./grid_layout.js";
import { tablesOf } from "./grid_tables.js";

/** @typedef {import("../../client/xinflight.js").Task} Task */
/** @typedef {import("../../client/xinflight.js").Xinflight} Xinflight */
/** @typedef {import("../store/store.js").Store} Store */
/** @typedef {import("../dock/grid.js").Axis} Axis */
/** @typedef {import("./grid_tables.js").GridTable} GridTable */

/** Tasks that are found at once, and the most of one grid: 64 cells for each of 16 prompts. */
const PAGE = 200;
const MOST = 1024;

/**
 * A grid of compared settings as a table, with an address of its own: Back closes it, and a reload opens it again. Of an
 * old grid the tasks are found in the history.
 */
export class GridView {
  #dialog = byId("grid-view", HTMLDialogElement);
  #table = byId("grid-table", HTMLElement);
  #save = byId("grid-save", HTMLButtonElement);
  #client;
  #store;
  #host;
  #group = signal("");
  /** @type {import("../../vendor/signals-core/signals-core.js").Signal<GenerationState[]>} what the store has not loaded */
  #found = signal([]);
  /** Counts the changes of those. */
  #changes = signal(0);
  /** Whether all of the grid is known: null before it was looked for, false while it is. @type {import("../../vendor/signals-core/signals-core.js").Signal<boolean | null>} */
  #complete = signal(/** @type {boolean | null} */ (null));
  /** Whether going back leads to the sheet: not if the page was opened at a grid, nor from an image. */
  #entered;
  /** @type {GridTable[]} */
  #tables = [];

  /**
   * @param {Xinflight} client
   * @param {Store} store
   * @param {{problem: (error: {code: string}) => void, entered: () => boolean}} host `entered`: whether going back stays
   *   on the page
   */
  constructor(client, store, host) {
    this.#client = client;
    this.#store = store;
    this.#host = host;
    this.#entered = host.entered();
    byId("grid-view-close", HTMLButtonElement).addEventListener("click", () => this.#dialog.close());
    this.#save.addEventListener("click", () => this.#savePicture());
    this.#dialog.addEventListener("close", () => this.#closed());
    addEventListener("hashchange", ({ oldURL }) => {
      const { hash } = new URL(oldURL);
      if (!this.#dialog.open) this.#entered = hash === "" || hash.startsWith(FIND);
      this.#follow();
    });
    effect(() => {
      if (this.#store.live.value && this.#group.value && this.#complete.value === null) this.#find(this.#group.peek());
    });
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
    const named = hash.startsWith(GRID) ? hash.slice(GRID.length) : "";
    const group = axesOf(named) ? named : "";
    if (group !== this.#group.value) {
      this.#found.value = [];
      this.#complete.value = null;
      this.#group.value = group;
    }
    if (group && !this.#dialog.open) this.#dialog.showModal();
    if (!group) this.#dialog.close();
  }

  #closed() {
    if (location.hash.startsWith(GRID)) leave(this.#entered);
    this.#group.value = "";
  }

  /** Find all tasks of a grid. @param {string} group */
  async #find(group) {
    this.#complete.value = false;
    try {
      /** @type {string | undefined} */
      let cursor;
      do {
        const page = await this.#client.library.find({ group, limit: PAGE, cursor });
        if (group !== this.#group.value) return;
        this.#found.value = [...this.#found.value, ...page.tasks.map((task) => this.#stateOf(task))];
        cursor = page.next;
      } while (cursor !== undefined && this.#found.value.length < MOST);
      this.#complete.value = true;
    } catch (error) {
      if (group === this.#group.value) this.#complete.value = this.#store.live.value ? true : null;
      if (this.#store.live.value) this.#host.problem(/** @type {import("../../client/xinflight.js").XinflightError} */ (error));
    }
  }

  /** @param {Task} task */
  #stateOf(task) {
    const changed = () => (this.#changes.value += 1);
    return new GenerationState(task, { changed, news: () => {}, marked: changed }, this.#store.live.value);
  }

  /** The generations of the grid, the oldest first. */
  get #generations() {
    const loaded = this.#store.generations.value.filter(({ params }) => params.group === this.#group.value);
    for (const { revision } of loaded) revision.value;
    this.#changes.value;
    const ids = new Set(loaded.map(({ task }) => task.id));
    const found = this.#found.value.filter(({ task }) => !ids.has(task.id));
    return [...loaded, ...found].toSorted((a, b) => a.created - b.created);
  }

  #render() {
    const group = this.#group.value;
    this.#tables = group ? tablesOf(group, this.#generations) : [];
    this.#save.hidden = this.#tables.length === 0;
    if (!group) {
      render(nothing, this.#table);
      return;
    }
    const now = this.#store.now.value;
    const none = html`<p class="hint">${t(this.#complete.value ? "grid.gone" : "grid.looking")}</p>`;
    render(this.#tables.length ? this.#tables.map((table) => tableTemplate(table, now)) : none, this.#table);
  }

  async #savePicture() {
    this.#save.disabled = true;
    try {
      const { gridPicture } = await import("./grid_picture.js");
      const { color, backgroundColor } = getComputedStyle(this.#dialog);
      const picture = await gridPicture(this.#tables.map(drawnOf), { ink: color, ground: backgroundColor });
      const words = (this.#tables[0]?.prompt ?? "").replace(/[^\p{L}\p{N}]+/gu, "-").slice(0, 40);
      saveFile(picture, `grid-${words}.png`);
    } catch {
      this.#host.problem({ code: "unreachable" });
    }
    this.#save.disabled = false;
  }
}

/**
 * @param {Axis} axis
 * @param {string | number} value
 */
function label({ field }, value) {
  return field === "model" ? String(value) : `${t(AXIS_WORDS[field])} ${value}`;
}

/** @param {GridTable} table @returns {import("./grid_picture.js").Drawn} */
function drawnOf({ prompt, rows, columns, cells }) {
  const urlOf = (/** @type {GenerationState | undefined} */ generation) => {
    const [first] = generation?.outputs ?? [];
    const output = first?.deleted ? null : first?.state.output;
    return output?.thumbnail_url ?? output?.url ?? null;
  };
  return {
    caption: prompt,
    columns: columns?.values.map((value) => label(columns, value)) ?? [],
    rows: rows.values.map((value, at) => ({ label: label(rows, value), cells: (cells[at] ?? []).map(urlOf) })),
  };
}

/**
 * @param {GridTable} table
 * @param {number} now in milliseconds
 */
function tableTemplate({ prompt, rows, columns, cells }, now) {
  const head = columns?.values.map((value) => html`<th scope="col" dir="auto">${label(columns, value)}</th>`);
  const body = rows.values.map((value, at) => {
    const line = cells[at]?.map((generation) => html`<td>${generation ? cellTemplate(generation, now) : ""}</td>`);
    return html`<tr><th scope="row" dir="auto">${label(rows, value)}</th>${line}</tr>`;
  });
  return html`<table><caption dir="auto">${prompt}</caption>
    ${head && html`<thead><tr><td></td>${head}</tr></thead>`}<tbody>${body}</tbody></table>`;
}

/**
 * @param {GenerationState} generation
 * @param {number} now in milliseconds
 */
function cellTemplate({ outputs: [first] }, now) {
  if (!first || first.deleted) return "";
  const { state, name } = first;
  if (state.output) {
    const { url, thumbnail_url: small = url, width, height } = state.output;
    const shown = first.isVideo
      ? html`<video src=${url} muted preload="metadata" tabindex="-1"></video>`
      : html`<img src=${small} alt="" width=${width} height=${height} loading="lazy" decoding="async"
          data-testid="grid-image">`;
    return html`<a href=${addressOf(first)} aria-label=${t("act.open", { prompt: name })}>${shown}</a>`;
  }
  if (state.ended) return html`<p class="problem">${verdictText(state)}</p>`;
  const { percent: part } = state.shownAt(now);
  return html`<p class="hint">${state.waiting ? stepText(state) : percent(part)}</p>`;
}
