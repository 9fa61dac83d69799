// @ts-check
import { render } from "../../vendor/lit-html/lit-html.js";
import { effect } from "../../vendor/signals-core/signals-core.js";
import { onLang, percent, t } from "../../words/words.js";
import { VARIED } from "../sheet/acts.js";
import { byId, part, showText } from "../ui/dom.js";
import { downloadUrl } from "../ui/downloads.js";
import { keysOn } from "../ui/shortcuts.js";
import { leave, readAddress, walkTo } from "./address.js";
import { factList } from "./facts.js";
import { ShareLinks } from "./share.js";
import { Film } from "./film.js";
import { Stage } from "./stage.js";
import { TagEditor } from "./tags.js";

/** @typedef {import("../sheet/acts.js").Acts} Acts */
/** @typedef {import("../sheet/sheet.js").Sheet} Sheet */
/** @typedef {import("../store/generation_state.js").GenerationOutput} GenerationOutput */
/** @typedef {import("../store/store.js").Store} Store */

/**
 * `entered`: whether going back leads to the sheet, and not if the page was opened at an image; `problem`: tell of a
 * request that failed; `holdPoster`: holds the first frame of a video.
 * @typedef {object} ViewerHost
 * @property {() => boolean} entered
 * @property {(error: {code: string}) => void} problem
 * @property {import("../sheet/tile.js").HoldPoster} holdPoster
 */

/** How many images of the sheet the film strip has on either side of the one that is shown. */
const FILM = 8;

/**
 * An image or video in full size with what made it, at an address of its own: going back closes it. `c` pins it, and walking on
 * compares the next ones with it.
 */
export class Viewer {
  #dialog = byId("viewer", HTMLDialogElement);
  #image = part(this.#dialog, "image", HTMLImageElement);
  #video = part(this.#dialog, "video", HTMLVideoElement);
  #pinnedImage = part(this.#dialog, "pinned", HTMLImageElement);
  #divider = part(this.#dialog, "divider", HTMLInputElement);
  #title = byId("viewer-title", HTMLElement);
  #facts = part(this.#dialog, "facts", HTMLElement);
  #film;
  #note = part(this.#dialog, "share-note", HTMLElement);
  #download = part(this.#dialog, "download", HTMLAnchorElement);
  #compare = part(this.#dialog, "compare", HTMLButtonElement);
  #previous = part(this.#dialog, "previous", HTMLButtonElement);
  #next = part(this.#dialog, "next", HTMLButtonElement);
  #star = part(this.#dialog, "star", HTMLButtonElement);
  #shareLinks = new ShareLinks(this.#dialog);
  #tags;
  #stage;
  #sheet;
  #acts;
  #store;
  #entered;
  #problem;
  /** Id of the task that the server was asked for last. */
  #asked = "";
  /** @type {GenerationOutput | null} */
  #shown = null;
  /** @type {GenerationOutput | null} what is being deleted here: the next one takes its place */
  #leaving = null;
  /** @type {GenerationOutput | null} what the others are compared with */
  #pinned = null;

  /**
   * @param {Store} store
   * @param {Sheet} sheet
   * @param {Acts} acts
   * @param {ViewerHost} host
   */
  constructor(store, sheet, acts, { entered, problem, holdPoster }) {
    this.#sheet = sheet;
    this.#acts = acts;
    this.#entered = entered;
    this.#problem = problem;
    this.#store = store;
    this.#film = new Film(part(this.#dialog, "film", HTMLElement), holdPoster, (output) => this.#walk(output));
    this.#stage = new Stage(part(this.#dialog, "stage", HTMLElement), [this.#image, this.#pinnedImage], {
      swiped: (by) => this.#go(by),
      left: () => this.#dialog.close(),
    });
    this.#previous.addEventListener("click", () => this.#go(-1));
    this.#next.addEventListener("click", () => this.#go(1));
    part(this.#dialog, "close", HTMLButtonElement).addEventListener("click", () => this.#dialog.close());
    this.#compare.addEventListener("click", () => this.#pin());
    this.#divider.addEventListener("input", () => this.#divide());
    this.#on("reuse", (output) => acts.reuse(output));
    this.#on("another", (output) => acts.another(output));
    this.#on("vary", (output) => acts.vary(output));
    this.#on("start", (output) => acts.start(output));
    this.#tags = new TagEditor(part(this.#dialog, "tags", HTMLElement), (output, tags) => acts.tag(output, tags));
    this.#star.addEventListener("click", () => this.#shown && acts.star(this.#shown));
    part(this.#dialog, "remove", HTMLButtonElement).addEventListener("click", () => this.#remove(acts));
    this.#dialog.addEventListener("keydown", (event) => this.#press(event));
    this.#dialog.addEventListener("close", () => this.#closed());
    addEventListener("hashchange", () => this.#follow());
    effect(() => {
      const { more, generations, found, visited } = store;
      for (const { value } of [more, generations, found, visited, sheet.arranged]) void value;
      const output = this.#shown;
      const gone = output && (output.deleted || store.find(output.generation.task.id) !== output.generation);
      if (!output) this.#follow();
      else if (!gone) this.#render();
      else if (output !== this.#leaving) this.#dialog.close();
    });
    onLang(() => this.#render());
  }

  /** Close the view and drop what it showed. */
  close() {
    this.#dialog.close();
    this.#store.visited.value = null;
    this.#shareLinks.use("", 0);
    this.#title.textContent = this.#image.alt = "";
    for (const shown of [this.#image, this.#pinnedImage, this.#video]) shown.removeAttribute("src");
    this.#tags.show(null);
    render("", this.#facts);
    this.#download.removeAttribute("href");
  }

  /**
   * Leave the view before doing something with what it shows.
   * @param {string} name
   * @param {(output: GenerationOutput) => void} act
   */
  #on(name, act) {
    part(this.#dialog, name, HTMLButtonElement).addEventListener("click", () => {
      const output = this.#shown;
      this.#dialog.close();
      if (output) act(output);
    });
  }

  /** @param {KeyboardEvent} event */
  #press(event) {
    // A player has keys of its own, too.
    const taken = event.target instanceof HTMLInputElement || event.target instanceof HTMLVideoElement;
    if (taken || event.ctrlKey || event.metaKey || event.altKey) return;
    /** @type {Record<string, () => void>} */
    const keys = {
      ArrowLeft: () => this.#go(-1),
      ArrowRight: () => this.#go(1),
      ...(this.#stage.enlarged && this.#pans),
      PageUp: () => this.#go(-1),
      PageDown: () => this.#go(1),
      Delete: () => part(this.#dialog, "remove", HTMLButtonElement).click(),
      "+": () => this.#stage.zoom(1.5),
      "-": () => this.#stage.zoom(1 / 1.5),
      0: () => this.#stage.reset(),
      c: () => this.#pin(),
      d: () => this.#download.click(),
      "?": () => byId("shortcuts-open", HTMLButtonElement).click(),
      s: () => this.#star.click(),
    };
    const act = keys[event.key];
    // Single letters and signs may be turned off, as everywhere.
    if (!act || (event.key.length === 1 && !keysOn())) return;
    event.preventDefault();
    act();
  }

  /** What arrow keys do while the image is enlarged. */
  #pans = {
    ArrowLeft: () => this.#stage.pan(-1, 0),
    ArrowRight: () => this.#stage.pan(1, 0),
    ArrowUp: () => this.#stage.pan(0, -1),
    ArrowDown: () => this.#stage.pan(0, 1),
  };

  /** Show what the address names, or nothing. */
  #follow() {
    const address = readAddress(location.hash);
    const generation = address && this.#store.find(address.taskId);
    const output = generation?.outputs[address?.index ?? 0];
    if (output?.state.output && !output.deleted) this.#show(output);
    else if (!address) this.#dialog.close();
    else if (!generation) this.#visit(address.taskId);
  }

  /** Ask for what is older than all that is loaded, once that is known. @param {string} taskId */
  async #visit(taskId) {
    if (this.#store.more.value === null || this.#asked === taskId) return;
    this.#asked = taskId;
    try {
      await this.#store.visit(taskId);
    } catch (error) {
      const { code } = /** @type {{code: string}} */ (error);
      this.#problem(code === "not_found" ? { code: "image_gone" } : { code });
      this.#asked = "";
      leave(false);
    }
  }

  /** Leave the address of the image, and focus its tile. */
  #closed() {
    const output = this.#shown;
    this.#shown = this.#pinned = null;
    this.#film.clear();
    this.#video.pause();
    if (readAddress(location.hash)) leave(this.#entered());
    // An act that left the view may have moved the focus.
    const { activeElement } = document;
    if (output && (activeElement === document.body || activeElement?.matches(".shot"))) this.#sheet.focus(output);
  }

  /** @param {number} by */
  #go(by) {
    const images = this.#sheet.made;
    const output = this.#shown && images[images.indexOf(this.#shown) + by];
    if (output) this.#walk(output);
  }

  /** Delete what is shown, and show the image after or before it. @param {Acts} acts */
  async #remove(acts) {
    const output = this.#shown;
    if (!output || this.#leaving) return;
    const images = this.#sheet.made;
    const at = images.indexOf(output);
    const next = images[at + 1] ?? images[at - 1];
    this.#leaving = output;
    const gone = await acts.remove(output);
    this.#leaving = null;
    if (!gone || this.#shown !== output) return;
    if (next && at >= 0) this.#walk(next);
    else this.#dialog.close();
  }

  /** @param {GenerationOutput} output */
  #walk(output) {
    walkTo(output);
    this.#show(output);
  }

  /** Compare the images that follow with this one, or no longer. */
  #pin() {
    this.#pinned = this.#pinned || this.#shown?.isVideo ? null : this.#shown;
    this.#divider.value = "50";
    this.#render();
  }

  #divide() {
    this.#dialog.style.setProperty("--divider", `${this.#divider.value}%`);
  }

  /** @param {GenerationOutput} output */
  #show(output) {
    if (!output.state.output || output === this.#shown) return;
    this.#shown = output;
    this.#stage.reset();
    this.#video.hidden = !output.isVideo;
    this.#image.hidden = output.isVideo;
    this.#video.removeAttribute("src");
    (output.isVideo ? this.#video : this.#image).src = output.state.output.url;
    for (const name of ["vary", "start", "compare"]) part(this.#dialog, name, HTMLButtonElement).hidden = output.isVideo;
    this.#download.href = downloadUrl(output.state.output.url);
    this.#shareLinks.use(output.generation.task.id, output.index);
    this.#render();
    if (this.#dialog.open) return;
    this.#dialog.showModal();
    part(this.#dialog, "stage", HTMLElement).focus();
  }

  #render() {
    const output = this.#shown;
    if (!output) return;
    const images = this.#sheet.made;
    const at = images.indexOf(output);
    this.#title.textContent = this.#image.alt = output.name;
    this.#previous.disabled = at <= 0;
    this.#next.disabled = at < 0 || at === images.length - 1;
    this.#star.setAttribute("aria-pressed", String(output.starred));
    this.#tags.show(output);
    render(factList(output, (text, name) => this.#copy(text, name)), this.#facts);
    // What lies between an older one and those that are loaded is not known.
    this.#film.show(at < 0 ? [output] : images.slice(Math.max(0, at - FILM), at + FILM + 1), output);
    const changed = percent(Math.round(VARIED * 100));
    const varied = this.#acts.variesImage(output) ? t("act.vary_image", { percent: changed }) : t("act.vary_prompt");
    showText(part(this.#dialog, "vary-note", HTMLElement), output.isVideo ? "" : varied);
    this.#renderPinned(output);
  }

  /** @param {GenerationOutput} output */
  #renderPinned(output) {
    const pinned = this.#pinned?.state.output;
    const compares = pinned !== undefined && this.#pinned !== output && !output.isVideo;
    this.#compare.setAttribute("aria-pressed", String(this.#pinned !== null));
    this.#divider.hidden = this.#pinnedImage.hidden = !compares;
    if (!pinned || !compares) return;
    this.#pinnedImage.src = pinned.url;
    this.#pinnedImage.alt = t("view.pinned", { name: this.#pinned?.name ?? "" });
    this.#divide();
  }

  /**
   * @param {string} text
   * @param {string} name
   */
  async #copy(text, name) {
    // Without TLS there is no clipboard; the text can be selected.
    const copied = await Promise.resolve(navigator.clipboard?.writeText(text) ?? Promise.reject()).then(
      () => true,
      () => false,
    );
    showText(this.#note, copied ? t("view.copied", { what: name }) : t("view.not_copied"));
  }
}
