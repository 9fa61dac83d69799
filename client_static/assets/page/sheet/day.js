// @ts-check
import { effect } from "../../vendor/signals-core/signals-core.js";
import { fromTemplate, part } from "../ui/dom.js";
import { justify } from "./justify.js";
import { Tile } from "./tile.js";

/** @typedef {import("../store/generation_state.js").GenerationOutput} GenerationOutput */
/** @typedef {import("../store/generation_state.js").GenerationState} GenerationState */
/** @typedef {import("./justify.js").Box} Box */
/** @typedef {import("./tile.js").TileAction} TileAction */

/** One day of the sheet: its heading, and the tiles of its generations as far as they are near the window. */
export class Day {
  element = fromTemplate("day-template");
  /** @type {GenerationOutput[]} those that have a tile, in its order */
  outputs = [];
  /** How many outputs its tiles stand for. */
  count = 0;
  /** @type {Box[]} */
  #boxes = [];
  /** @type {Map<GenerationState, {element: HTMLElement, tiles: Map<GenerationOutput, Tile>, stop: () => void}>} */
  #shown = new Map();
  /** @type {GenerationState[] | null} what is laid out, while nothing of it is in flight */
  #arranged = null;
  #width = 0;
  #height = 0;
  #act;
  #hold;
  #title = part(this.element, "title", HTMLElement);
  #count = part(this.element, "count", HTMLElement);
  #list = part(this.element, "list", HTMLElement);

  /**
   * @param {(action: TileAction, output: GenerationOutput) => void} act
   * @param {import("./tile.js").HoldPoster} hold
   */
  constructor(act, hold) {
    this.#act = act;
    this.#hold = hold;
  }

  /** Where its tiles begin, in pixels below the top of the window. */
  get top() {
    return this.#list.getBoundingClientRect().top;
  }

  /**
   * @param {string} title
   * @param {string} count
   */
  name(title, count) {
    if (this.#title.textContent !== title) this.#title.textContent = title;
    if (this.#count.textContent !== count) this.#count.textContent = count;
  }

  /**
   * Lay out the tiles of these generations. Returns whether the days below this one move.
   * @param {GenerationState[]} flying in the order in which they land
   * @param {GenerationState[]} ended newest first
   * @param {{width: number, row: number, gap: number, strip: number}} space
   * @param {((output: GenerationOutput) => boolean) | null} shows which outputs are looked for; null for all
   */
  arrange(flying, ended, space, shows) {
    if (flying.length === 0 && this.#arranged === ended && this.#width === space.width) return false;
    this.#arranged = flying.length === 0 ? ended : null;
    this.#width = space.width;
    const shown = [...flying, ...ended].map(({ outputs }) =>
      outputs.filter((output) => output.shown && (shows === null || shows(output))),
    );
    this.count = shown.flat().filter(({ state }) => state.output).length;
    this.outputs = shown.flatMap(withOneStrip);
    const { boxes, height } = justify(this.outputs.map(ratioOf), space);
    this.#boxes = boxes;
    const hidden = this.outputs.length === 0;
    const moves = height !== this.#height || hidden !== this.element.hidden;
    this.#height = height;
    this.element.hidden = hidden;
    if (moves) this.#list.style.height = `${height}px`;
    return moves;
  }

  /**
   * Have those tiles in the document that are between two heights below the top of the day's tiles.
   * @param {number} from
   * @param {number} to
   */
  draw(from, to) {
    /** @type {Map<GenerationState, GenerationOutput[]>} */
    const wanted = new Map();
    for (const [at, output] of this.outputs.entries()) {
      const { top, height } = this.#boxes[at] ?? { top: 0, height: 0 };
      const focused = this.find(output)?.element.contains(document.activeElement);
      if (!focused && (top + height < from || top > to)) continue;
      wanted.set(output.generation, [...(wanted.get(output.generation) ?? []), output]);
    }
    const focused = this.#list.contains(document.activeElement) ? document.activeElement : null;
    for (const state of [...this.#shown.keys()]) if (!wanted.has(state)) this.#drop(state);
    /** @type {Element | null} */
    let place = this.#list.firstElementChild;
    for (const [state, outputs] of wanted) {
      const { element } = this.#show(state, outputs);
      if (element !== place) this.#list.insertBefore(element, place);
      else place = place.nextElementSibling;
    }
    for (const [at, output] of this.outputs.entries()) {
      const box = this.#boxes[at];
      if (box) this.find(output)?.place(box);
    }
    // An element that was moved has lost the focus.
    if (focused instanceof HTMLElement && focused.isConnected && focused !== document.activeElement) focused.focus({ preventScroll: true });
  }

  /** Update every tile, as after a change of the language. */
  render() {
    for (const state of this.#shown.keys()) this.#render(state, performance.now());
  }

  /** Update what changes with time alone. @param {number} now in milliseconds */
  tick(now) {
    for (const [{ ended }, { tiles }] of this.#shown) if (!ended) for (const tile of tiles.values()) tile.tick(now);
  }

  /** The tile of an output, if it is in the document. @param {GenerationOutput} output */
  find(output) {
    return this.#shown.get(output.generation)?.tiles.get(output) ?? null;
  }

  /**
   * Focus the tile of an output, and have it in the document for that, with what is near it.
   * @param {GenerationOutput} output
   * @param {number} near in pixels
   */
  focus(output, near) {
    const { top, height } = this.#boxes[this.outputs.indexOf(output)] ?? { top: 0, height: 0 };
    if (!this.find(output)) this.draw(top - near, top + height + near);
    this.find(output)?.control.focus();
  }

  /** The places of its tiles in the window. */
  get places() {
    const { left, top } = this.#list.getBoundingClientRect();
    return this.#boxes.map((box) => ({ ...box, left: box.left + left, top: box.top + top }));
  }

  /** The first tile in the document that ends below a height below the top of the day's tiles. @param {number} from */
  firstBelow(from) {
    const at = this.#boxes.findIndex(({ top, height }) => top + height > from);
    const output = this.outputs[at];
    return output ? this.find(output) : null;
  }

  /** The output of a tile. @param {Element} element */
  outputOf(element) {
    const tiles = [...this.#shown.values()].flatMap((shown) => [...shown.tiles]);
    return tiles.find(([, tile]) => tile.element === element)?.[0] ?? null;
  }

  remove() {
    for (const state of [...this.#shown.keys()]) this.#drop(state);
    this.element.remove();
  }

  /**
   * Have exactly these tiles of a generation.
   * @param {GenerationState} state
   * @param {GenerationOutput[]} outputs
   */
  #show(state, outputs) {
    const known = this.#shown.get(state);
    const shown = known ?? { element: fromTemplate("generation-template"), tiles: new Map(), stop: () => {} };
    this.#shown.set(state, shown);
    const { element, tiles } = shown;
    for (const [output, tile] of tiles) {
      if (outputs.includes(output)) continue;
      tile.remove();
      tiles.delete(output);
    }
    let fresh = false;
    for (const [at, output] of outputs.entries()) {
      const drawn = tiles.get(output);
      const tile = drawn ?? new Tile(output, this.#act, this.#hold);
      tiles.set(output, tile);
      // What fails while others are in flight goes behind them.
      if (tile.element !== element.children[at]) element.insertBefore(tile.element, element.children[at] ?? null);
      if (!drawn) fresh = true;
    }
    if (known && fresh) this.#render(state, performance.now());
    if (!known) {
      element.dataset.task = state.task.id;
      shown.stop = effect(() => {
        state.revision.value;
        this.#render(state, performance.now());
      });
    }
    return shown;
  }

  /**
   * @param {GenerationState} state
   * @param {number} now in milliseconds
   */
  #render(state, now) {
    const shown = this.#shown.get(state);
    if (!shown) return;
    shown.element.dataset.state = state.ended ? "ended" : "unfinished";
    for (const tile of shown.tiles.values()) tile.render(now);
  }

  /** @param {GenerationState} state */
  #drop(state) {
    const shown = this.#shown.get(state);
    shown?.stop();
    for (const tile of shown?.tiles.values() ?? []) tile.remove();
    shown?.element.remove();
    this.#shown.delete(state);
  }
}

/**
 * Return which outputs of a generation have a tile: one of those that failed stands for all of them, behind the others, which
 * stay side by side.
 * @param {GenerationOutput[]} outputs
 */
function withOneStrip(outputs) {
  const [strip] = outputs.filter(({ state }) => state.failed);
  return strip ? [...outputs.filter(({ state }) => !state.failed), strip] : outputs;
}

/** Return width to height of an output's tile; null for one that is a strip. @param {GenerationOutput} output */
function ratioOf({ state, generation }) {
  if (state.stopped) return null;
  const { width, height } = state.output ?? {};
  if (width && height) return width / height;
  const [asked = 1, by = 1] = (generation.params.size ?? "1x1").split("x").map(Number);
  return asked / by || 1;
}
