// @ts-check
import { duration, measured, percent, t } from "../../words/words.js";
import { causeText, cureText, eachOnce, figureText, noteText, stepText, tileName, whichFailed } from "../store/output_words.js";
import { hueOf } from "../ui/hue.js";
import { fromTemplate, keepFocus, part, showText } from "../ui/dom.js";
import { downloadUrl } from "../ui/downloads.js";
import { addressOf } from "../view/address.js";

/** @typedef {import("../store/generation_state.js").GenerationOutput} GenerationOutput */
/** @typedef {import("./justify.js").Box} Box */

/**
 * `reuse`: fill the form with what made it; `vary`: ask for four variations.
 * @typedef {"cancel" | "retry" | "star" | "reuse" | "vary" | "remove"} TileAction
 */

/** Widths below which a tile has no room for its buttons at their size, and not for all of them, in pixels. */
const SLIM = 180;
const COLUMN = 124;

/** @type {TileAction[]} */
const ACTIONS = ["cancel", "retry", "star", "reuse", "vary", "remove"];

/**
 * Holds the first frame of a video; where there is none, its player shows it.
 * @typedef {(video: import("../../client/xinflight.js").OutputRef) => import("./posters.js").Held} HoldPoster
 */

/**
 * The tile of one output: its progress, then the image or video; or a strip with the reason why there is none, which stands
 * for all of its generation that failed.
 */
export class Tile {
  element = fromTemplate("tile-template");
  output;
  #hold;
  /** @type {import("./posters.js").Held | null} */
  #poster = null;
  #unavailable = false;
  /** @type {HTMLVideoElement | null} */
  #player = null;
  /** Says that it is a video, and how long. @type {HTMLElement | null} */
  #length = null;
  #parts = {
    open: part(this.element, "open", HTMLAnchorElement),
    image: part(this.element, "image", HTMLImageElement),
    figure: part(this.element, "figure", HTMLElement),
    eta: part(this.element, "eta", HTMLElement),
    step: part(this.element, "step", HTMLElement),
    note: part(this.element, "note", HTMLElement),
    which: part(this.element, "which", HTMLElement),
    cause: part(this.element, "cause", HTMLElement),
    cure: part(this.element, "cure", HTMLElement),
    prompt: part(this.element, "prompt", HTMLElement),
    bar: part(this.element, "bar", HTMLElement),
    field: part(this.element, "field", HTMLElement),
    download: part(this.element, "download", HTMLAnchorElement),
    load: part(this.element, "load", HTMLButtonElement),
  };
  #buttons = /** @type {Record<TileAction, HTMLButtonElement>} */ (
    Object.fromEntries(ACTIONS.map((action) => [action, part(this.element, action, HTMLButtonElement)]))
  );

  /**
   * @param {GenerationOutput} output
   * @param {(action: TileAction, output: GenerationOutput) => void} act
   * @param {HoldPoster} hold
   */
  constructor(output, act, hold) {
    this.output = output;
    this.#hold = hold;
    this.element.dataset.index = String(output.index);
    this.element.style.setProperty("--hue", String(hueOf(output.generation.task.id, output.index)));
    for (const action of ACTIONS) this.#buttons[action].addEventListener("click", () => act(action, output));
    for (const each of this.#stops) each.tabIndex = -1;
    const { image, load } = this.#parts;
    load.addEventListener("click", () => this.#load());
    image.addEventListener("load", () => this.#arrived(true));
    image.addEventListener("error", () => this.#arrived(false));
    this.element.addEventListener("pointerenter", () => this.#play(true));
    this.element.addEventListener("pointerleave", () => this.#play(false));
  }

  /** @param {Box} box */
  place({ left, top, width, height }) {
    const { style } = this.element;
    style.translate = `${left}px ${top}px`;
    style.width = `${width}px`;
    style.height = `${height}px`;
    this.element.classList.toggle("small", width < 200);
    this.element.classList.toggle("slim", width < SLIM);
    this.element.classList.toggle("column", width < COLUMN);
  }

  /**
   * Update the tile. Call after every change of its state or of the language.
   * @param {number} now in milliseconds
   */
  render(now) {
    const { state, generation, cancelRefused } = this.output;
    const looks = state.cancelling && !state.ended ? "cancelling" : state.phase;
    this.element.dataset.state = looks === "active" ? (state.progress?.state ?? "active") : looks;
    const failed = state.failed ? generation.failed : [this.output];
    this.element.setAttribute("aria-label", failed.length > 1 ? tileName(generation.prompt, 0, 1) : this.output.name);
    const { prompt } = this.#parts;
    if (prompt.textContent !== generation.prompt) prompt.textContent = prompt.title = generation.prompt;
    if (state.output) this.#show(state.output);
    showText(this.#parts.which, state.failed ? whichFailed(generation) : "");
    showText(this.#parts.cause, this.#unavailable ? t("tile.unavailable") : eachOnce(failed, causeText));
    showText(this.#parts.cure, eachOnce(failed, cureText));
    showText(this.#parts.note, cancelRefused && !state.ended ? cancelRefused : noteText(state));
    keepFocus(this.element, () => this.#showButtons(), () => this.control);
    this.tick(now);
  }

  /** Update what changes with time alone. @param {number} now in milliseconds */
  tick(now) {
    const { state } = this.output;
    const { bar, field, eta: place } = this.#parts;
    const step = state.ended ? "" : stepText(state);
    const eta = state.ended ? "" : leftText(state, now);
    const shown = state.shownAt(now);
    showText(this.#parts.figure, figureText(state, now));
    showText(this.#parts.step, step);
    showText(place, eta);
    place.classList.toggle("words", !/\d/.test(eta) || state.lostFor(now) !== null);
    bar.hidden = state.ended;
    bar.style.setProperty("--part", String(state.shown / 100));
    // Not of the tile itself: everything in it would be styled anew.
    for (const { style } of [bar, field]) style.setProperty("--estimate", String(shown.percent / 100));
    bar.setAttribute("aria-label", this.output.name);
    bar.setAttribute("aria-valuenow", String(shown.percent));
    const figure = percent(shown.percent);
    const told = shown.estimate ? t("progress.estimated", { percent: figure }) : figure;
    bar.setAttribute("aria-valuetext", [told, step, eta].filter(Boolean).join(", "));
  }

  #showButtons() {
    const { state, generation, index, isVideo, starred } = this.output;
    const { cancel, retry, star, reuse, vary, remove } = this.#buttons;
    const { open, image, download, load } = this.#parts;
    cancel.hidden = state.ended;
    cancel.setAttribute("aria-disabled", String(state.cancelling));
    const many = generation.outputs.length;
    cancel.setAttribute("aria-label", many > 1 ? t("act.cancel_image", { i: index + 1 }) : t("act.cancel"));
    retry.hidden = !state.stopped;
    retry.title = many > 1 ? t("act.again_failed") : "";
    const there = state.output !== null;
    reuse.hidden = !there && !state.stopped;
    reuse.title = t("act.use_seed", { seed: String(state.output?.seed ?? "") });
    reuse.setAttribute("aria-label", state.output ? reuse.title : t("act.reuse"));
    vary.hidden = !there || isVideo;
    download.hidden = !there;
    star.hidden = !there;
    star.setAttribute("aria-pressed", String(starred));
    this.element.classList.toggle("starred", starred);
    remove.hidden = !generation.ended && !there;
    open.hidden = !there || this.#unavailable;
    image.hidden = isVideo;
    load.hidden = !this.#unavailable;
  }

  /** @param {import("../../client/xinflight.js").OutputRef} output */
  #show(output) {
    const { image, open, download } = this.#parts;
    image.alt = this.output.generation.prompt;
    open.setAttribute("aria-label", t("act.open", { prompt: this.output.name }));
    const saved = downloadUrl(output.url);
    if (this.output.isVideo) this.#showLength(output);
    if (download.getAttribute("href") === saved) return;
    open.href = addressOf(this.output);
    download.href = saved;
    this.#load();
  }

  /** @param {import("../../client/xinflight.js").OutputRef} video */
  #showLength({ duration: seconds }) {
    if (!this.#length) {
      this.#length = document.createElement("span");
      this.#length.className = "length";
      this.#length.dataset.testid = "length";
      // Not within the link, whose name is what it opens.
      this.#parts.open.after(this.#length);
    }
    showText(this.#length, seconds ? `▶ ${measured(seconds)}` : "▶");
  }

  #load() {
    const { output } = this.output.state;
    const { image } = this.#parts;
    this.element.dataset.loaded = "false";
    if (this.output.isVideo && output) this.#loadVideo(output);
    else {
      image.removeAttribute("src");
      if (output) image.src = output.thumbnail_url ?? output.url;
    }
  }

  /** @param {import("../../client/xinflight.js").OutputRef} output */
  async #loadVideo(output) {
    const video = (this.#player ??= this.#newPlayer());
    this.#poster?.release();
    const held = (this.#poster = this.#hold(output));
    const poster = await held.url;
    if (held !== this.#poster) return;
    if (poster) video.poster = poster;
    // Without a poster its beginning is loaded; with one nothing is, until it is played.
    video.preload = poster ? "none" : "metadata";
    video.src = output.url;
    if (poster) this.#arrived(true);
  }

  /** Make the player of a video. Images have none: with all that a browser puts into it, it is half of a tile. */
  #newPlayer() {
    const player = document.createElement("video");
    Object.assign(player, { muted: true, loop: true, playsInline: true, disableRemotePlayback: true, tabIndex: -1 });
    player.dataset.testid = "video";
    player.addEventListener("loadedmetadata", () => this.#arrived(true));
    player.addEventListener("error", () => this.#arrived(false));
    this.#parts.open.append(player);
    return player;
  }

  /** Take it out of the document, and let go what it showed. */
  remove() {
    this.element.remove();
    this.#poster?.release();
    this.#poster = null;
  }

  /** Play a video while the mouse is on it. @param {boolean} on */
  #play(on) {
    if (!this.#player || this.#unavailable) return;
    // A video that has not come yet, or was taken away, plays no more: no news to anybody.
    if (on && !matchMedia("(prefers-reduced-motion: reduce)").matches) this.#player.play().catch(() => {});
    else this.#player.pause();
  }

  /** @param {boolean} well whether the image loaded */
  #arrived(well) {
    this.element.dataset.loaded = String(well);
    this.element.classList.toggle("unavailable", !well);
    if (this.#unavailable === !well) return;
    this.#unavailable = !well;
    this.render(performance.now());
  }

  /** What of it to focus: as when the focused button disappears. */
  get control() {
    const { open, load } = this.#parts;
    const { retry, cancel } = this.#buttons;
    return [open, load, retry, cancel].find((button) => !button.hidden) ?? this.element;
  }

  /** Everything that can be pressed. @returns {NodeListOf<HTMLElement>} */
  get #stops() {
    return this.element.querySelectorAll("a, button");
  }

  /** Let Tab stop at it and at what can be done with it, or not. @param {boolean} stops */
  rove(stops) {
    for (const each of this.#stops) each.tabIndex = stops ? 0 : -1;
  }
}

/**
 * Say how long it takes yet, as short as can be; without a connection, since when nothing was heard.
 * @param {import("../store/output_state.js").OutputState} state
 * @param {number} now in milliseconds
 */
function leftText(state, now) {
  const lost = state.lostFor(now);
  if (lost !== null) return t("eta.lost", { time: duration(lost) });
  const left = state.remaining(now);
  if (left === null) return "";
  if (left < 1) return state.waiting ? "" : t("eta.soon");
  return duration(left);
}
