// @ts-check
import { eventsOf } from "../client/xinflight.js";
import { errorText, percent, plural, t, when } from "../words/words.js";
import { fromTemplate, keepFocus, part, showText } from "./dom.js";
import { Tile } from "./tile.js";

/** @typedef {import("../client/xinflight.js").End} End */
/** @typedef {import("../client/xinflight.js").OutputRef} OutputRef */
/** @typedef {import("../client/xinflight.js").TaskEvent} TaskEvent */
/** @typedef {import("../client/xinflight.js").Task} Task */
/** @typedef {import("./tile.js").TileAction} TileAction */

/**
 * What a generation asks of its gallery. `changed` is called after every change, `news` for each change of a tile that
 * should be announced.
 * @typedef {object} GenerationHost
 * @property {(generation: Generation, index?: number) => void} cancel
 * @property {(generation: Generation) => void} cancelOthers
 * @property {(generation: Generation) => void} first move before all own generations that wait
 * @property {(generation: Generation, tile: Tile | null) => void} reuse
 * @property {(generation: Generation, tile: Tile) => void} retry
 * @property {(tile: Tile) => void} open
 * @property {(tile: Tile) => void} start start another generation from its image
 * @property {(generation: Generation) => void} remove
 * @property {(generation: Generation) => void} changed
 * @property {(tile: Tile, what: "ready" | "failed" | "cancelled" | "progress") => void} news
 */

/** One task and the tiles of its outputs. */
export class Generation {
  element = fromTemplate("generation-template");
  /** @type {Tile[]} */
  tiles = [];
  task;
  #host;
  /** True while the constructor replays known events, which must not be announced. */
  #quiet = true;
  #parts = {
    prompt: part(this.element, "prompt", HTMLElement),
    meta: part(this.element, "meta", HTMLElement),
    tiles: part(this.element, "tiles", HTMLElement),
    first: part(this.element, "first", HTMLButtonElement),
    others: part(this.element, "others", HTMLButtonElement),
    cancel: part(this.element, "cancel", HTMLButtonElement),
    reuse: part(this.element, "reuse", HTMLButtonElement),
    remove: part(this.element, "remove", HTMLButtonElement),
    when: part(this.element, "when", HTMLTimeElement),
  };

  /**
   * @param {Task} task
   * @param {GenerationHost} host
   * @param {boolean} live
   */
  constructor(task, host, live) {
    this.task = task;
    this.#host = host;
    this.element.dataset.task = task.id;
    const { prompt } = this;
    const { size } = task.request;
    const { count } = task;
    for (let index = 0; index < count; index += 1) {
      const tile = new Tile({ taskId: task.id, index, count, prompt, size }, (action) => this.#act(action, tile));
      this.tiles.push(tile);
      this.#parts.tiles.append(tile.element);
    }
    this.element.classList.toggle("many", count > 1);
    this.element.dataset.count = String(count);
    this.#parts.cancel.addEventListener("click", () => host.cancel(this));
    this.#parts.others.addEventListener("click", () => host.cancelOthers(this));
    this.#parts.first.addEventListener("click", () => host.first(this));
    this.#parts.reuse.addEventListener("click", () => host.reuse(this, null));
    this.#parts.remove.addEventListener("click", () => host.remove(this));
    if (task.acknowledged) this.#acknowledged();
    for (const event of task.info ? eventsOf(task.info) : []) this.#take(event);
    this.#quiet = false;
    this.connection(live);
    this.#listen();
  }

  get ended() {
    return this.task.end !== null;
  }

  /** The parameters in effect, or those requested until the server has accepted the task. */
  get params() {
    return this.task.params ?? this.task.request;
  }

  /** What was asked for in words; what is done, if that needs none. */
  get prompt() {
    const { prompt, kind = "text2image" } = this.params;
    return prompt || t(`kind.${kind === "chat" ? "unknown" : kind}`);
  }

  /** The sort key, newest first: Unix seconds, or Infinity until the server has accepted the task. */
  get created() {
    return this.task.created ?? Infinity;
  }

  /** Update the tiles after a connect or a disconnect. @param {boolean} live */
  connection(live) {
    for (const tile of this.tiles) tile.state.setLive(live, performance.now());
    this.render();
  }

  /** Show or hide the button that cancels all other generations. @param {boolean} there */
  offerOthers(there) {
    keepFocus(this.element, () => (this.#parts.others.hidden = !there), () => this.element);
  }

  /** Whether an output of it waits, as the server told. */
  get waits() {
    return this.tiles.some(({ state }) => state.phase === "active" && state.waiting);
  }

  /** Show or hide the button that moves it before all others that wait. @param {boolean} there */
  offerFirst(there) {
    keepFocus(this.element, () => (this.#parts.first.hidden = !there), () => this.element);
  }

  render() {
    const { prompt, meta } = this.#parts;
    this.element.dataset.state = this.ended ? "ended" : "unfinished";
    prompt.textContent = prompt.title = this.prompt;
    showText(meta, this.#metaText());
    this.#showWhen();
    for (const tile of this.tiles) tile.render();
    keepFocus(this.element, () => this.#showButtons(), () => this.element);
  }

  #showWhen() {
    const { created } = this.task;
    const element = this.#parts.when;
    showText(element, created === null ? "" : when(created, "short"));
    if (created === null) return;
    element.dateTime = new Date(created * 1000).toISOString();
    element.title = when(created, "full");
  }

  #showButtons() {
    const { first, others, cancel, remove } = this.#parts;
    if (this.ended) first.hidden = others.hidden = true;
    remove.hidden = !this.ended;
    cancel.hidden = this.ended || this.tiles.length < 2;
    cancel.setAttribute("aria-disabled", String(this.task.wanted.has(null)));
    cancel.textContent = plural("act.cancel_generation", this.tiles.length);
  }

  #metaText() {
    const { kind = "text2image", model, size, strength, frames, fps, steps, guidance_scale: guidance } = this.params;
    const parts = [model, size?.replace("x", " × ")];
    if (kind !== "text2image" && kind !== "chat") parts.unshift(t(`kind.${kind}`));
    if (strength !== undefined) parts.push(t("meta.strength", { percent: percent(Math.round(strength * 100)) }));
    if (frames !== undefined) parts.push(plural("meta.frames", frames));
    if (fps !== undefined) parts.push(t("meta.fps", { n: fps }));
    if (steps !== undefined) parts.push(plural("meta.steps", steps));
    if (guidance !== undefined) parts.push(t("meta.guidance", { n: guidance }));
    return parts.flatMap((text) => text?.replaceAll(" ", "\u00a0") ?? []).join(" · ");
  }

  #listen() {
    const { task } = this;
    task.on("acknowledged", () => this.#acknowledged());
    task.on("event", (event) => this.#take(event));
    task.on("places", (places) => {
      for (const tile of this.tiles) tile.state.place(places.get(tile.index), performance.now());
      this.#changed();
    });
    task.on("cancelling", ({ index }) => this.#mark(index, true));
    task.on("cancelRefused", (error) => {
      for (const tile of this.tiles) tile.cancelRefused = t("end.cancel_refused", { why: errorText(error) });
      this.#mark(null, false);
    });
    task.on("cancelled", ({ index }) => {
      const tile = this.tiles[index];
      if (!tile || tile.state.ended) return;
      tile.state.cancel({});
      this.#news(tile, "cancelled");
      this.#changed();
    });
  }

  #acknowledged() {
    for (const tile of this.tiles) {
      tile.state.acknowledged();
      if (!tile.state.output) tile.shape(this.params.size);
    }
    this.#changed();
  }

  /**
   * @param {number | null} index null for every output
   * @param {boolean} cancelling
   */
  #mark(index, cancelling) {
    for (const tile of this.tiles) {
      if (index === null || tile.index === index) tile.state.cancelling = cancelling;
    }
    this.#changed();
  }

  #changed() {
    if (!this.#quiet) this.#host.changed(this);
  }

  /**
   * @param {Tile} tile
   * @param {"ready" | "failed" | "cancelled" | "progress"} what
   */
  #news(tile, what) {
    if (!this.#quiet) this.#host.news(tile, what);
  }

  /** @param {TaskEvent} event */
  #take(event) {
    if (event.type === "progress") {
      const tile = this.tiles[event.index];
      if (!tile) return;
      const ended = tile.state.ended;
      tile.state.advance(event, performance.now(), this.task.age);
      const stopped = tile.state.ended && !ended;
      this.#news(tile, !stopped ? "progress" : tile.state.phase === "cancelled" ? "cancelled" : "failed");
    } else if (event.type === "output") this.#finish(event);
    else if (event.type !== "accepted" && event.type !== "delta") this.#end(event);
    this.#changed();
  }

  /** @param {OutputRef} output */
  #finish(output) {
    const tile = this.tiles[output.index];
    if (!tile) return;
    const known = tile.state.phase === "done";
    tile.state.finish(output);
    if (!known) this.#news(tile, "ready");
  }

  /** @param {End} end */
  #end(end) {
    const outputs = end.type === "result" ? end.data.data : end.type === "cancelled" ? (end.data ?? []) : [];
    outputs.forEach((output) => this.#finish(output));
    for (const tile of this.tiles) {
      if (tile.state.phase === "done") continue;
      const told = tile.state.ended;
      this.#stop(tile, end);
      if (!told) this.#news(tile, tile.state.phase === "cancelled" ? "cancelled" : "failed");
    }
  }

  /**
   * @param {Tile} tile one without an output
   * @param {End} end
   */
  #stop({ state, index }, end) {
    if (end.type === "cancelled") state.cancelWithTask(end, this.tiles.length);
    else if (end.type === "error") state.fail(end, end.state === "expired" ? "expired" : "failed");
    else if (end.cancelled?.includes(index)) state.cancel({});
    else {
      const why = end.failures?.find((failure) => failure.index === index);
      state.fail(why ?? null, why?.code === "timeout" ? "expired" : "failed");
    }
  }

  /**
   * @param {TileAction} action
   * @param {Tile} tile
   */
  #act(action, tile) {
    if (action === "cancel") this.#host.cancel(this, tile.index);
    else if (action === "retry") this.#host.retry(this, tile);
    else if (action === "open") this.#host.open(tile);
    else if (action === "start") this.#host.start(tile);
    else this.#host.reuse(this, tile);
  }
}
