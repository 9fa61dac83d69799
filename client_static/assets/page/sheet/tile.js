// @ts-check
import { percent, t } from "../../words/words.js";
import { fromTemplate, keepFocus, part, showText } from "../ui/dom.js";
import { etaText, figureText, noteText, stepText, verdictText } from "../store/output_words.js";
import { downloadUrl } from "../ui/downloads.js";

/** @typedef {"cancel" | "retry" | "open" | "seed" | "start"} TileAction */

/** @typedef {import("../store/generation_state.js").GenerationOutput} GenerationOutput */

/** The tile of one output: its progress, then the image or video, or the reason why there is none. */
export class Tile {
  element = fromTemplate("tile-template");
  output;
  #unavailable = false;
  #parts = {
    figure: part(this.element, "figure", HTMLElement),
    frame: part(this.element, "frame", HTMLElement),
    open: part(this.element, "open", HTMLButtonElement),
    image: part(this.element, "image", HTMLImageElement),
    video: part(this.element, "video", HTMLVideoElement),
    verdict: part(this.element, "verdict", HTMLElement),
    bar: part(this.element, "bar", HTMLElement),
    step: part(this.element, "step", HTMLElement),
    eta: part(this.element, "eta", HTMLElement),
    note: part(this.element, "note", HTMLElement),
    seed: part(this.element, "seed", HTMLButtonElement),
    seedText: part(this.element, "seed-text", HTMLElement),
    start: part(this.element, "start", HTMLButtonElement),
    download: part(this.element, "download", HTMLAnchorElement),
    load: part(this.element, "load", HTMLButtonElement),
    retry: part(this.element, "retry", HTMLButtonElement),
    cancel: part(this.element, "cancel", HTMLButtonElement),
  };

  /**
   * @param {GenerationOutput} output
   * @param {(action: TileAction, tile: Tile) => void} act
   */
  constructor(output, act) {
    this.output = output;
    this.element.dataset.index = String(output.index);
    for (const action of /** @type {TileAction[]} */ (["cancel", "retry", "open", "seed", "start"])) {
      part(this.element, action, HTMLButtonElement).addEventListener("click", () => act(action, this));
    }
    this.#parts.load.addEventListener("click", () => this.#load());
    this.#parts.image.addEventListener("load", () => this.#arrived(true));
    this.#parts.image.addEventListener("error", () => this.#arrived(false));
    this.#parts.video.addEventListener("loadedmetadata", () => this.#arrived(true));
    this.#parts.video.addEventListener("error", () => this.#arrived(false));
  }

  get name() {
    return this.output.name;
  }

  get state() {
    return this.output.state;
  }

  get isVideo() {
    return this.output.isVideo;
  }

  /** Reserve space in the aspect ratio of the file, or of what was asked for. */
  #shape() {
    const { output } = this.state;
    const size = output?.width ? `${output.width}x${output.height}` : (this.output.generation.params.size ?? "1x1");
    const [width, height] = size.split("x").map(Number);
    this.#parts.frame.style.setProperty("--shape", `${width} / ${height}`);
  }

  /** Update the tile. Call after every change of its state or of the language. */
  render() {
    const { state } = this;
    const looks = state.cancelling && !state.ended ? "cancelling" : state.phase;
    this.element.dataset.state = looks === "active" ? (state.progress?.state ?? "active") : looks;
    this.element.setAttribute("aria-label", this.name);
    this.#shape();
    if (state.output) this.#show(state.output);
    showText(this.#parts.verdict, this.#unavailable ? t("tile.unavailable") : verdictText(state));
    showText(this.#parts.note, this.output.cancelRefused && !state.ended ? this.output.cancelRefused : noteText(state));
    keepFocus(this.element, () => this.#showButtons(), () => this.#nextBest);
    this.tick(performance.now());
  }

  /** Update what changes with time alone. @param {number} now in milliseconds */
  tick(now) {
    const { state } = this;
    const step = state.ended ? this.#endWord() : stepText(state);
    const eta = etaText(state, now);
    const shown = state.shownAt(now);
    showText(this.#parts.figure, figureText(state, now));
    if (this.#parts.step.textContent !== step) this.#parts.step.textContent = step;
    showText(this.#parts.eta, eta);
    const { bar } = this.#parts;
    bar.hidden = state.ended;
    bar.style.setProperty("--part", String(state.shown / 100));
    bar.style.setProperty("--estimate", String(shown.percent / 100));
    bar.setAttribute("aria-label", this.name);
    bar.setAttribute("aria-valuenow", String(shown.percent));
    const figure = percent(shown.percent);
    const told = shown.estimate ? t("progress.estimated", { percent: figure }) : figure;
    bar.setAttribute("aria-valuetext", [told, step, eta].filter(Boolean).join(", "));
  }

  #endWord() {
    const { phase } = this.state;
    return phase === "done" || phase === "failed" || phase === "expired" || phase === "cancelled"
      ? t(`state.${phase}`)
      : "";
  }

  #showButtons() {
    const { state } = this;
    const { cancel, retry, seed, start, download, open, video, load } = this.#parts;
    cancel.hidden = state.ended;
    cancel.setAttribute("aria-disabled", String(state.cancelling));
    const { generation, index } = this.output;
    if (generation.outputs.length > 1) cancel.setAttribute("aria-label", t("act.cancel_image", { i: index + 1 }));
    retry.hidden = !state.stopped;
    seed.hidden = download.hidden = state.output === null;
    const image = state.output !== null && !this.isVideo;
    open.hidden = !image || this.#unavailable;
    video.hidden = !this.isVideo || this.#unavailable;
    start.hidden = !image;
    load.hidden = !this.#unavailable;
  }

  /** @param {import("../../client/xinflight.js").OutputRef} output */
  #show(output) {
    const { image, video, open, download, seed, seedText } = this.#parts;
    image.alt = this.output.generation.prompt;
    video.setAttribute("aria-label", this.name);
    open.setAttribute("aria-label", t("act.open", { prompt: this.name }));
    seed.title = t("act.use_seed", { seed: String(output.seed) });
    seed.setAttribute("aria-label", seed.title);
    seedText.textContent = String(output.seed);
    const saved = downloadUrl(output.url);
    if (download.getAttribute("href") === saved) return;
    download.href = saved;
    this.#load();
  }

  #load() {
    const shown = this.isVideo ? this.#parts.video : this.#parts.image;
    this.element.dataset.loaded = "false";
    shown.removeAttribute("src");
    if (this.state.output) shown.src = this.state.output.url;
  }

  /** @param {boolean} well whether the image loaded */
  #arrived(well) {
    this.element.dataset.loaded = String(well);
    if (this.#unavailable === !well) return;
    this.#unavailable = !well;
    this.render();
  }

  /** The element to focus when the focused button disappears. */
  get #nextBest() {
    const { open, video, retry, cancel } = this.#parts;
    return [open, video, retry, cancel].find((button) => !button.hidden) ?? this.element;
  }
}
