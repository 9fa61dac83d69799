// @ts-check
import { effect } from "../../vendor/signals-core/signals-core.js";
import { html, render } from "../../vendor/lit-html/lit-html.js";
import { repeat } from "../../vendor/lit-html/directives/repeat.js";
import { duration, onLang, t } from "../../words/words.js";
import { byId, keepFocus, showText } from "../ui/dom.js";
import { RowWalk } from "../ui/row_walk.js";
import { rowOf, rowRing, rowTemplate } from "./board_row.js";
import { countsText } from "./counts.js";
import { allDone, inOrder } from "./rows.js";
import { RowMoves } from "./row_moves.js";

/** @typedef {import("../store/generation_state.js").GenerationOutput} GenerationOutput */
/** @typedef {import("../store/generation_state.js").GenerationState} GenerationState */
/** @typedef {import("./moving.js").Where} Where */
/** @typedef {import("../store/store.js").Store} Store */
/** @typedef {import("./board_row.js").Row} Row */

/** The most rows of the board: what waits behind them is only counted. */
const MOST = 50;
/** The most rings of the ribbon. */
const RINGS = 6;

/**
 * What the board asks of the page.
 * @typedef {object} BoardHost
 * @property {(output: GenerationOutput) => void} cancel
 * @property {() => void} cancelAll
 * @property {(generation: GenerationState) => void} cancelGeneration
 * @property {(generation: GenerationState) => void} cancelOthers all but this one
 * @property {(taskId: string, where: Where) => void} move
 * @property {import("../page.js").Page["lazy"]} lazy
 * @property {() => HTMLElement} home what is focused when the board goes
 */

/** The board beside the sheet, on a phone the ribbon above the dock: what is in flight, in the order it will be made. */
export class Board {
  #store;
  #host;
  #root = byId("board", HTMLElement);
  #list = byId("board-rows", HTMLElement);
  #all = byId("board-all", HTMLElement);
  #more = byId("board-more", HTMLElement);
  #counts = byId("counts", HTMLElement);
  #cancelAll = byId("cancel-all", HTMLButtonElement);
  #ribbon = byId("ribbon", HTMLButtonElement);
  #ribbonText = byId("ribbon-text", HTMLElement);
  #rings = byId("ribbon-rings", HTMLElement);
  #walk = new RowWalk(this.#root, { list: "#board-rows", row: ".flight-row" });
  #moves;
  #menu;
  /** @type {Row[]} in the order that is shown */
  #rows = [];
  /** Whether more than one task waits. */
  #several = false;

  /**
   * @param {Store} store
   * @param {BoardHost} host
   */
  constructor(store, host) {
    this.#store = store;
    this.#host = host;
    this.#menu = host.lazy(() => import("./row_menu.js"));
    this.#cancelAll.addEventListener("click", () => host.cancelAll());
    this.#ribbon.addEventListener("click", () => this.#open(this.#root.dataset.open !== "true"));
    byId("board-close", HTMLButtonElement).addEventListener("click", () => this.#open(false));
    this.#root.addEventListener("keydown", ({ key }) => {
      if (key === "Escape" && this.#root.dataset.open === "true") this.#open(false);
    });
    // It would cover what the keyboard comes to; a click on the ribbon closes it by itself.
    document.addEventListener("focusin", ({ target }) => {
      if (this.#root.dataset.open !== "true" || !(target instanceof Element)) return;
      if (!this.#root.contains(target) && target.matches(":focus-visible")) this.#show(false);
    });
    this.#list.addEventListener("click", ({ target }) => this.#click(target));
    this.#moves = new RowMoves(this.#list, this.#rings, {
      rows: () => this.#rows,
      move: host.move,
      cancel: ({ output }) => this.#cancel(output),
    });
    effect(() => this.#render());
    onLang(() => this.#render());
  }

  /** Show the board of a narrow window, or hide it. @param {boolean} open */
  #show(open) {
    this.#root.dataset.open = String(open);
    this.#ribbon.setAttribute("aria-expanded", String(open));
  }

  /** Show or hide it, and move the focus along. @param {boolean} open */
  #open(open) {
    this.#show(open);
    (open ? byId("board-close", HTMLButtonElement) : this.#ribbon).focus();
  }

  /** @param {EventTarget | null} target */
  #click(target) {
    const button = target instanceof Element ? target.closest("[data-act]") : null;
    const row = this.#rows.find(({ key }) => key === button?.closest("li")?.dataset.key);
    if (!row || !(button instanceof HTMLElement)) return;
    if (button.dataset.act === "cancel") this.#cancel(row.output);
    else this.#openMenu(button, row);
  }

  /**
   * @param {HTMLElement} button
   * @param {Row} row
   */
  async #openMenu(button, row) {
    const menu = await this.#menu();
    const moveBy = (/** @type {number} */ by) => this.#moves.by(row, by);
    const others = this.#store.unfinished.value.length > 1;
    menu?.openRowMenu(button, row, { movable: this.#movable(row), others, moveBy, host: this.#host });
  }

  /** Whether a row can be moved: it waits, something else waits too, and the server can be asked. @param {Row} row */
  #movable({ waiting, phase, output }) {
    return this.#store.live.value && this.#several && waiting && phase === "active" && !output.state.cancelling;
  }

  /** @param {GenerationOutput} output */
  #cancel(output) {
    if (!output.state.cancelling) this.#host.cancel(output);
  }

  #render() {
    const { generations, unfinished, live, more, queue, now } = this.#store;
    for (const { revision } of unfinished.value) revision.value;
    const states = generations.value.flatMap(({ outputs }) => outputs.flatMap(({ state, deleted }) => (deleted ? [] : state)));
    showText(this.#counts, countsText(states, { live: live.value, more: more.value === true }));
    const flying = unfinished.value.toReversed().flatMap(({ outputs }) => outputs.filter(({ state }) => !state.ended));
    const rows = flying.map((output) => rowOf(output, now.value));
    this.#rows = inOrder(rows, queue.value.outputs, this.#rows);
    this.#several = new Set(rows.filter(({ waiting }) => waiting).map(({ taskId }) => taskId)).size > 1;
    const hide = () => {
      this.#cancelAll.hidden = rows.length === 0;
      // What is paused can be resumed, even where nothing waits any more.
      this.#root.hidden = this.#ribbon.hidden = rows.length === 0 && !queue.value.paused;
      if (this.#root.hidden) this.#root.dataset.open = "false";
    };
    keepFocus(this.#root, hide, this.#host.home);
    if (this.#root.hidden) this.#ribbon.setAttribute("aria-expanded", "false");
    keepFocus(this.#list, () => this.#walk.keep(() => this.#renderRows(now.value)), this.#host.home);
    this.#renderHead(live.value);
    this.#renderRibbon(now.value);
  }

  /** @param {number} now in milliseconds */
  #renderRows(now) {
    const shown = this.#rows.slice(0, MOST);
    const withModel = new Set(this.#rows.map(({ output }) => output.generation.params.model)).size > 1;
    const others = this.#store.unfinished.value.length > 1;
    const template = (/** @type {Row} */ row, /** @type {number} */ place) => {
      const flying = row.output.generation.outputs.filter(({ state }) => !state.ended).length;
      return rowTemplate(row, { now, withModel, movable: this.#movable(row), more: others || flying > 1, place });
    };
    let place = -1;
    render(repeat(shown, ({ key }) => key, (row) => template(row, (place += 1))), this.#list);
    const hidden = this.#rows.length - shown.length;
    showText(this.#more, hidden ? t("board.more", { n: hidden }) : "");
  }

  /** @param {boolean} live */
  #renderHead(live) {
    const { paused, held } = this.#store.queue.value;
    const left = allDone(this.#rows);
    const time = left === null ? "" : t("board.all_done", { time: duration(Math.max(left, 1)) });
    const stands = paused ? t("board.paused") : held ? t("board.held") : "";
    showText(this.#all, live ? stands || time : t("board.line_lost"));
    this.#all.title = live && held ? t("board.held_why") : "";
  }

  /** @param {number} now in milliseconds */
  #renderRibbon(now) {
    const shown = this.#rows.slice(0, RINGS);
    const hidden = this.#rows.length - shown.length;
    const text = t("board.ribbon", { n: this.#rows.length });
    const left = this.#all.hidden ? "" : this.#all.textContent;
    showText(this.#ribbonText, [text, left].filter(Boolean).join(", "));
    const ring = (/** @type {Row} */ row) => rowRing(row, now);
    render(html`${repeat(shown, ({ key }) => key, ring)}${hidden ? html`<b>+${hidden}</b>` : ""}`, this.#rings);
  }
}
