// @ts-check
import { computed, effect, signal, untracked } from "../../vendor/signals-core/signals-core.js";
import { dayName, onLang, plural, t } from "../../words/words.js";
import { byId } from "../ui/dom.js";
import { Day } from "./day.js";
import { byDay, landingOrder, midnight } from "./sections.js";

/** @typedef {import("../store/generation_state.js").GenerationOutput} GenerationOutput */
/** @typedef {import("../store/generation_state.js").GenerationState} GenerationState */
/** @typedef {import("../store/store.js").Store} Store */
/** @typedef {import("./tile.js").TileAction} TileAction */

/** How far beyond the window tiles are there, in heights of the window: as far as one scrolls before they are drawn. */
const AHEAD = 1;
/** The height of the strip of what failed or was cancelled, in pixels, on a wide and on a narrow sheet. */
const STRIP = { wide: 64, narrow: 148 };
/** Pixels below which a sheet is narrow: a strip then has its acts below its words. */
const NARROW = 600;
const NOWHERE = { left: 0, top: 0, width: 0, height: 0 };

/**
 * The sheet: what is in flight in the order in which it lands, then everything that was made, day by day. Only the tiles
 * near the window are in the document, in the order in which they are seen.
 */
export class Sheet {
  /** @type {Map<number, Day>} by their midnights */
  #days = new Map();
  /** @type {Day[]} as they are shown */
  #shown = [];
  /** @type {GenerationState[]} */
  #flight = [];
  #store;
  #act;
  #hold;
  #root = byId("gallery", HTMLElement);
  #space = signal({ width: 0, row: 236, gap: 6, strip: STRIP.wide });
  /** Where the days begin, in pixels below the top of the window; null when that has to be measured. @type {number[] | null} */
  #places = null;
  #frame = 0;
  /** Whether there is nothing to show, and nothing on the server either. */
  empty = signal(false);
  /** Counts how often the tiles were laid out: `made` may be another then. */
  arranged = signal(0);
  /** @type {GenerationOutput | null} the one whose tile had the focus last */
  #visited = null;
  /** @type {import("./tile.js").Tile | null} the one tile at which Tab stops */
  #stop = null;

  /**
   * @param {Store} store
   * @param {(action: TileAction, output: GenerationOutput) => void} act
   * @param {import("./tile.js").HoldPoster} hold
   */
  constructor(store, act, hold) {
    this.#store = store;
    this.#act = act;
    this.#hold = hold;
    const shown = computed(() => {
      store.marks.value;
      const unfinished = new Set(store.unfinished.value);
      const { generations, shows } = store.found.value ?? { generations: store.generations.value, shows: null };
      return { days: byDay(generations.filter((generation) => !unfinished.has(generation))), shows };
    });
    new ResizeObserver(() => this.#measure()).observe(this.#root);
    this.#measure();
    effect(() => this.#keepFocus(() => this.#arrange(shown.value)));
    effect(() => void this.#root.classList.toggle("offline", !store.live.value));
    effect(() => {
      const now = store.now.value;
      for (const day of this.#shown) day.tick(now);
    });
    this.#root.addEventListener("focusin", () => {
      this.#visited = this.focused;
      this.#setStop();
    });
    // A tile far away is in the document only while it has the focus.
    this.#root.addEventListener("focusout", () => this.#later());
    addEventListener("scroll", () => this.#later(), { passive: true });
    addEventListener("resize", () => this.#later());
    onLang(() => {
      this.#name(untracked(() => shown.value).days.length);
      for (const day of this.#shown) day.render();
    });
  }

  /** Scroll to what is in flight. */
  showNewest() {
    this.#store.flush();
    scrollTo({ top: 0 });
  }

  /** @param {GenerationOutput} output */
  #tile(output) {
    return this.#shown.map((day) => day.find(output)).find((tile) => tile !== null) ?? null;
  }

  /** Focus the tile of an output, wherever on the sheet it is. @param {GenerationOutput} output */
  focus(output) {
    this.#shown.find(({ outputs }) => outputs.includes(output))?.focus(output, innerHeight * AHEAD);
    this.#later();
  }

  /** All outputs, with the places of their tiles in the window, also of those that are not in the document. */
  get places() {
    return this.#shown.flatMap((day) => {
      const places = day.places;
      return day.outputs.flatMap((output, at) => ({ output, ...(places[at] ?? NOWHERE) }));
    });
  }

  /** The output whose tile has the focus; null if none has. */
  get focused() {
    const tile = document.activeElement?.closest(".tile");
    if (!tile) return null;
    return this.#shown.map((day) => day.outputOf(tile)).find((output) => output !== null) ?? null;
  }

  /** All outputs with a file, in the order of the sheet. */
  get made() {
    return this.#outputs.filter(({ state }) => state.output !== null);
  }

  /**
   * Call `change`; where the tile with the focus goes, focus the one that takes its place, or the sheet. Without this the
   * keyboard would go on at the top of the page.
   * @param {() => void} change
   */
  #keepFocus(change) {
    const focused = this.focused;
    const before = focused ? this.#outputs : [];
    const at = before.findIndex((output) => output === focused);
    change();
    if (at < 0 || this.#root.contains(document.activeElement)) return;
    const after = new Set(this.#outputs);
    const next = [...before.slice(at), ...before.slice(0, at).reverse()].find((output) => after.has(output));
    if (next) this.focus(next);
    else this.#root.focus();
  }

  get #outputs() {
    return this.#shown.flatMap(({ outputs }) => outputs);
  }

  /** @param {{days: import("./sections.js").Section[], shows: ((output: GenerationOutput) => boolean) | null}} shown */
  #arrange({ days, shows }) {
    const { unfinished, queue, now } = this.#store;
    for (const { revision } of unfinished.value) revision.value;
    // What is in flight is not in the history yet, in which one searches.
    this.#flight = shows ? [] : landingOrder(unfinished.value, queue.value.outputs, this.#flight, now.value);
    const today = midnight(Date.now());
    const sections = days[0]?.day === today || !this.#flight.length ? days : [{ day: today, generations: [] }, ...days];
    const wanted = new Set(sections.map(({ day }) => day));
    for (const [midnight, day] of this.#days) {
      if (wanted.has(midnight)) continue;
      day.remove();
      this.#days.delete(midnight);
    }
    this.#shown = sections.map(({ day }) => {
      const known = this.#days.get(day) ?? new Day(this.#act, this.#hold);
      this.#days.set(day, known);
      return known;
    });
    /** @type {Element | null} */
    let place = this.#root.firstElementChild;
    if (this.#shown.length !== this.#places?.length) this.#places = null;
    for (const [at, day] of this.#shown.entries()) {
      if (day.element !== place) {
        this.#root.insertBefore(day.element, place);
        this.#places = null;
      } else place = place.nextElementSibling;
      const flight = at === 0 ? this.#flight : [];
      const moves = day.arrange(flight, sections[at]?.generations ?? [], this.#space.value, shows);
      if (moves) this.#places = null;
    }
    this.#name(sections.length);
    this.#draw();
    this.empty.value = this.#store.more.value === false && shows === null && this.#outputs.length === 0;
    this.arranged.value = this.arranged.peek() + 1;
  }

  /** Name the days. @param {number} count */
  #name(count) {
    const days = [...this.#days.entries()].sort(([a], [b]) => b - a);
    const flying = this.#store.unfinishedOutputs.filter(({ state }) => !state.ended).length;
    for (const [at, [midnight, day]] of days.slice(0, count).entries()) {
      const inFlight = at === 0 && flying > 0 && this.#flight.length > 0;
      const made = day.count ? plural("day.images", day.count) : "";
      day.name(inFlight ? t("day.now") : dayName(midnight), inFlight ? t("day.flying", { n: flying }) : made);
    }
  }

  /** Measure the place for tiles. It depends on the width alone; asking at each change would style the page twice. */
  #measure() {
    const width = this.#root.clientWidth;
    if (width === this.#space.peek().width) return;
    const style = getComputedStyle(this.#root);
    const [row, gap] = ["--row", "--gap"].map((name) => Number.parseFloat(style.getPropertyValue(name)));
    const narrow = width < NARROW;
    this.#root.classList.toggle("narrow", narrow);
    this.#space.value = { width, row: row ?? 236, gap: gap ?? 6, strip: narrow ? STRIP.narrow : STRIP.wide };
  }

  #later() {
    if (this.#frame) return;
    this.#frame = requestAnimationFrame(() => {
      this.#frame = 0;
      this.#places = null;
      this.#draw();
    });
  }

  /**
   * Have those tiles in the document that are near the window. Where the days are is measured only after they may have
   * moved: what merely progresses does not make the browser lay the page out.
   */
  #draw() {
    const top = -innerHeight * AHEAD;
    const bottom = innerHeight * (1 + AHEAD);
    // All positions are read before anything is written, so that the browser computes them once.
    const places = (this.#places ??= this.#shown.map((day) => day.top));
    for (const [at, day] of this.#shown.entries()) {
      const from = places[at] ?? 0;
      day.draw(top - from, bottom - from);
    }
    this.#setStop();
  }

  /**
   * Let Tab stop at one tile only, or one would press it hundreds of times to leave the sheet: where the focus was last,
   * else at the first one that is seen.
   */
  #setStop() {
    const visited = this.#visited && this.#tile(this.#visited);
    const stop = visited ?? this.#firstSeen;
    if (stop === this.#stop) return;
    this.#stop?.rove(false);
    stop?.rove(true);
    this.#stop = stop;
  }

  get #firstSeen() {
    const places = this.#places ?? [];
    return this.#shown.map((day, at) => day.firstBelow(-(places[at] ?? 0))).find((tile) => tile !== null) ?? null;
  }
}
