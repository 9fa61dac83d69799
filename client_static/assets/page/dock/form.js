// @ts-check
import { onLang, plural, t } from "../../words/words.js";
import { byId, showText } from "../ui/dom.js";
import { Chips } from "./chips.js";
import { changesText, costText } from "./dock_words.js";
import { gridRequests } from "./grid.js";
import { GridFields } from "./grid_fields.js";
import { hasSize, startsFromImages } from "./kinds.js";
import { ModelChoice } from "./model_choice.js";
import { showOptions } from "./model_options.js";
import { NumberFields } from "./number_fields.js";
import { Problems } from "./problems.js";
import { PromptField } from "./prompt_field.js";
import { SizeField } from "./size_field.js";
import { StartImage } from "./start_image.js";
import { StrengthField } from "./strength_field.js";

/** @typedef {import("../store/draft.js").Draft} Draft */
/** @typedef {import("../store/draft.js").Values} Values */
/** @typedef {import("../../client/xinflight.js").GenerateParams} GenerateParams */
/** @typedef {import("../../client/xinflight.js").Limits} Limits */
/** @typedef {import("../../client/xinflight.js").ModelInfo} ModelInfo */
/** @typedef {import("./number_fields.js").NumberName} NumberName */
/** @typedef {import("./start_image.js").Known} Known */

/**
 * What the dock asks of the page.
 * @typedef {object} FormHost
 * @property {import("./attachment.js").Uploader} upload
 * @property {(requests: GenerateParams[]) => void} generate
 * @property {(model: string) => void} chosen called with the id of the model that will be asked for, or empty
 * @property {() => Iterable<string>} earlier prompts that were asked for, the newest first
 * @property {() => number | null} lastSeed the seed of the newest image
 * @property {(work: import("./run_times.js").Work) => number | null} seconds that one output will probably take
 * @property {import("../page.js").Page["lazy"]} lazy how parts are loaded that come later
 */

/**
 * The dock, a form for new generations: prompt, start image and settings, checked against the server's limits. What it
 * asks for follows from what is given and from the model.
 */
export class Form {
  #form = byId("form", HTMLFormElement);
  #prompt;
  #negative = byId("negative_prompt", HTMLTextAreaElement);
  #model = byId("model", HTMLSelectElement);
  #submitButton = byId("generate", HTMLButtonElement);
  #settings = byId("settings", HTMLElement);
  #problems = new Problems(this.#form);
  #numbers = new NumberFields(this.#problems);
  #size = new SizeField();
  #strength = new StrengthField();
  #choice = new ModelChoice();
  #chips;
  #grid;
  #start;
  /** @type {ModelInfo[]} */
  #models = [];
  #draft;
  #host;
  /** @type {Limits | null} */
  #limits = null;

  /**
   * @param {Draft} draft keeps the form's content over a reload
   * @param {FormHost} host
   */
  constructor(draft, host) {
    this.#draft = draft;
    this.#host = host;
    this.#prompt = new PromptField(host.earlier);
    this.#start = new StartImage(host.upload, host.lazy, () => this.#started());
    const changed = () => this.#changed();
    this.#chips = new Chips(this.#size, { changed, lastSeed: host.lastSeed, openSize: () => this.#openSize() });
    this.#grid = new GridFields(this.#numbers, this.#problems, { changed, suggested: () => this.#suggested });
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    this.#form.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
      event.preventDefault();
      this.#submit();
    });
    this.#model.addEventListener("change", () => {
      this.#choice.chosen = this.#model.value;
      this.#showModels();
    });
    byId("dice", HTMLButtonElement).addEventListener("click", () => {
      this.#numbers.set("seed", Math.floor(Math.random() * 2 ** 32));
      this.#changed();
    });
    byId("settings-reset", HTMLButtonElement).addEventListener("click", () => this.#reset());
    this.#restore(draft.load() ?? {});
    onLang(() => this.#showModels());
    // The form's listeners run after those of the fields.
    for (const name of ["input", "change"]) this.#form.addEventListener(name, () => this.#changed());
    new ResizeObserver(() => {
      document.documentElement.style.setProperty("--dock", `${this.#form.offsetHeight}px`);
    }).observe(this.#form);
  }

  /** Ask for what the form says, once the server has the start image. */
  async #submit() {
    if (this.#submitButton.getAttribute("aria-disabled") === "true") return;
    const requests = this.read();
    if (!requests) return;
    this.#settings.hidePopover();
    if (!this.#start.given.image) {
      this.#host.generate(requests);
      return;
    }
    this.#submitButton.setAttribute("aria-disabled", "true");
    try {
      const { image, mask } = await this.#start.ids();
      this.#host.generate(requests.map((request) => ({ ...request, image, mask })));
    } catch {
      // The problem is shown beside the image.
    }
    this.#submitButton.setAttribute("aria-disabled", "false");
  }

  /** Go on with another start image, or without one. */
  #started() {
    this.#showModels();
    this.#keep();
  }

  #changed() {
    this.#render();
    this.#keep();
  }

  #openSize() {
    this.#settings.showPopover();
    this.#size.focus();
  }

  /** Start from an image that the server has. @param {Known} known */
  startFrom(known) {
    this.#start.use(known);
    this.#prompt.focus();
  }

  /** Reset every field, because the content belongs to another user. */
  clear() {
    this.#choice.chosen = null;
    this.#start.clear();
    this.#prompt.value = "";
    this.#reset();
  }

  /** Go back to the model's defaults in all settings. */
  #reset() {
    const { value, mode } = this.#prompt;
    this.#form.reset();
    this.#prompt.value = value;
    this.#prompt.mode = mode;
    this.#strength.text = "";
    this.#grid.clear();
    this.#problems.clear();
    this.#showModels();
    this.#size.set("");
    this.#changed();
  }

  /** @returns {Record<string, HTMLInputElement | HTMLTextAreaElement>} settings whose raw value is saved, by name */
  get #typed() {
    return { ...this.#numbers.inputs, negative_prompt: this.#negative };
  }

  #keep() {
    const texts = Object.entries(this.#typed).map(([name, { value }]) => [name, value]);
    const { value: prompt, mode } = this.#prompt;
    const others = { prompt, mode, model: this.#choice.chosen ?? "", size: this.#size.value, grid: this.#grid.text };
    const start = { strength: this.#strength.text, start: this.#start.text };
    this.#draft.save({ ...Object.fromEntries(texts), ...others, ...start });
  }

  /** @param {Values} values of a saved draft */
  #restore(values) {
    for (const [name, field] of Object.entries(this.#typed)) field.value = values[name] ?? field.value;
    this.#prompt.value = values.prompt ?? "";
    this.#prompt.mode = values.mode ?? "";
    this.#choice.chosen = values.model || null;
    this.#strength.text = values.strength ?? "";
    this.#grid.text = values.grid ?? "";
    this.#showModels();
    this.#size.set(values.size ?? "");
    this.#start.text = values.start ?? "";
    this.#render();
  }

  /** @param {Limits} limits */
  setLimits(limits) {
    this.#limits = limits;
    this.#numbers.setLimits(limits);
    this.#prompt.limit = limits.prompt_length;
    this.#size.setLimits(limits);
    this.#offerStart();
    this.#showModels();
  }

  /** @param {ModelInfo[]} models that make images or videos */
  setModels(models) {
    this.#models = models;
    this.#choice.models = models;
    this.#offerStart();
    this.#showModels();
  }

  #offerStart() {
    const mask = this.#models.some(({ kinds }) => kinds.includes("inpainting"));
    this.#start.offer({ image: this.#models.some(startsFromImages), mask }, this.#limits?.upload_bytes ?? 0);
  }

  /**
   * Fill the form with the parameters of an earlier generation.
   * @param {GenerateParams} params
   * @param {Known | undefined} image what is known of its start image
   */
  fill(params, image) {
    if (params.image) this.#start.use({ ...image, id: params.image }, params.mask);
    else this.#start.clear();
    this.#problems.clear();
    this.#grid.clear();
    this.#prompt.value = params.prompt ?? "";
    this.#prompt.mode = "";
    this.#negative.value = params.negative_prompt ?? "";
    this.#choice.chosen = params.model ?? this.#choice.chosen;
    this.#showModels();
    this.#size.set(params.size ?? "");
    for (const name of /** @type {NumberName[]} */ (Object.keys(this.#numbers.inputs))) this.#numbers.set(name, params[name]);
    this.#numbers.set("n", params.n ?? 1);
    this.#strength.text = String(params.strength ?? "");
    this.#changed();
    this.#prompt.focus();
  }

  /**
   * Show a problem at a field and focus the field. Returns false if the form has no such field.
   * @param {string} field
   * @param {string} text
   */
  complain(field, text) {
    const name = field === "mask" ? "image" : field;
    if (name === "image") this.#start.sendAgain();
    return this.#problems.show(name, text);
  }

  /** Show the number and time of what is asked for, the settings that are not the model's own, and what follows. */
  #render() {
    const { kind, info } = this.#choice;
    const guidance = this.#numbers.value("guidance_scale") ?? info?.guidance_scale;
    this.#negative.disabled = guidance === 0;
    byId("negative-off", HTMLElement).hidden = !this.#negative.disabled;
    const sized = hasSize(kind) && !this.#start.given.image;
    this.#chips.render({ sized, video: kind === "video", most: this.#limits?.outputs ?? 1 });
    this.#grid.render();
    this.#prompt.render();
    const steps = this.#numbers.value("steps") ?? info?.steps;
    byId("settings-text", HTMLElement).textContent = steps ? plural("meta.steps", steps) : t("form.settings");
    byId("changed-text", HTMLElement).textContent = this.#changes;
    byId("changed", HTMLElement).hidden = this.#changes === "";
    this.renderCost();
  }

  /** What differs from the model's defaults, in words: on a phone the chips don't all fit. */
  get #changes() {
    const { info } = this.#choice;
    const { negative_prompt: negative, strength, seed, ...params } = this.#params(this.#size.value || undefined);
    const own = (/** @type {"steps" | "guidance_scale" | "frames" | "fps"} */ name) => params[name] === info?.[name];
    const changed = /** @type {const} */ (["steps", "guidance_scale", "frames", "fps"]).filter((name) => !own(name));
    const settings = Object.fromEntries(changed.map((name) => [name, params[name]]));
    return changesText({ ...settings, size: params.size, seed, strength, negative: negative !== undefined });
  }

  /** Show how much is asked for, and how long it will take as far as is known now. */
  renderCost() {
    const { id: model, info, kind } = this.#choice;
    const frames = kind === "video" ? (this.#numbers.value("frames") ?? info?.frames) : undefined;
    const steps = this.#numbers.value("steps") ?? info?.steps;
    const seconds = this.#host.seconds({ model, size: this.#size.value || info?.size, steps, frames });
    const n = this.#grid.cells || this.#numbers.value("n") || 1;
    showText(byId("cost", HTMLElement), costText(n * this.#prompt.prompts.length, seconds));
  }

  /** @returns {import("./grid_fields.js").Suggested} */
  get #suggested() {
    const { info, options } = this.#choice;
    const models = options.flatMap(({ id, kind }) => (kind === this.#choice.kind ? id : []));
    return { steps: this.#numbers.value("steps") ?? info?.steps ?? 20, guidance: info?.guidance_scale || 1, models };
  }

  /**
   * Return what the form asks for, or null after showing the problem of the first invalid field.
   * @returns {GenerateParams[] | null}
   */
  read() {
    this.#problems.clear();
    const { kind } = this.#choice;
    const video = kind === "video";
    const size = this.#size.read();
    const fine =
      this.#checkModel() &&
      this.#prompt.prompts.every((prompt) => this.#checkPrompt("prompt", prompt, kind !== "image2image")) &&
      this.#checkPrompt("negative_prompt", this.#negative.value.trim(), false) &&
      (!hasSize(kind) || this.#checkSize(size)) &&
      (!video || (this.#numbers.check("frames") && this.#numbers.check("fps"))) &&
      /** @type {const} */ (["n", "steps", "guidance_scale", "seed"]).every((name) => this.#numbers.check(name));
    const axes = fine ? this.#grid.read() : null;
    if (!axes) return null;
    const params = this.#params((hasSize(kind) && size) || undefined);
    const requests = this.#prompt.prompts.map((prompt) => ({ ...params, prompt: prompt || undefined }));
    if (axes.length === 0) return requests;
    const own = { id: Math.random().toString(36).slice(2, 10), seed: Math.floor(Math.random() * 2 ** 32) };
    return requests.flatMap((request) => gridRequests(request, axes, own));
  }

  /** @param {string | undefined} size @returns {GenerateParams} */
  #params(size) {
    const { kind, id: model } = this.#choice;
    const value = (/** @type {NumberName} */ name) => this.#numbers.value(name);
    return {
      negative_prompt: (!this.#negative.disabled && this.#negative.value.trim()) || undefined,
      kind: kind === null || kind === "text2image" || kind === "chat" ? undefined : kind,
      model,
      strength: this.#strength.value,
      size,
      frames: kind === "video" ? value("frames") : undefined,
      fps: kind === "video" ? value("fps") : undefined,
      n: value("n"),
      steps: value("steps"),
      guidance_scale: value("guidance_scale"),
      seed: value("seed"),
    };
  }

  /** Complain if no model here can do what is asked. */
  #checkModel() {
    return !this.#choice.none || !this.complain("image", t("problem.no_model"));
  }

  /**
   * @param {string} field
   * @param {string} text
   * @param {boolean} needed
   */
  #checkPrompt(field, text, needed) {
    const limit = this.#limits?.prompt_length ?? Infinity;
    if (needed && text === "") return !this.complain(field, t("problem.prompt_missing"));
    return [...text].length <= limit || !this.complain(field, t("problem.prompt_long", { limit }));
  }

  /** @param {string | null} size */
  #checkSize(size) {
    if (size === null) this.#problems.show("size", this.#size.rule, this.#size.wrong);
    return size !== null;
  }

  /** Fill the model list, and show the fields that matter for it with the model's defaults as placeholders. */
  #showModels() {
    this.#choice.given = this.#start.given;
    const { options, id, info, away, kind } = this.#choice;
    showOptions(this.#model, options);
    this.#model.value = id ?? "";
    byId("model-field", HTMLElement).hidden = options.length < 2 && !away;
    const own = t("form.model_own");
    for (const name of /** @type {const} */ (["steps", "guidance_scale", "frames", "fps"])) {
      this.#numbers.inputs[name].placeholder = String(info?.[name] ?? own);
    }
    const hints = [];
    if (away) hints.push(t("form.model_away_hint"));
    if (this.#choice.none) hints.push(t("problem.no_model"));
    if (info && !info.defaults_known) hints.push(t("form.defaults_unknown"));
    if (info && !info.true_cancel) hints.push(t(kind === "video" ? "form.no_true_cancel_video" : "form.no_true_cancel"));
    showText(byId("model-hint", HTMLElement), hints.join(" "));
    this.#host.chosen(id ?? "");
    this.#showFields(kind);
    this.#size.offer(info?.size ?? "1024x1024", kind !== "video" && this.#start.given.image);
    this.#render();
  }

  /** @param {import("./kinds.js").Kind | null} kind */
  #showFields(kind) {
    this.#strength.use(kind);
    byId("size-field", HTMLElement).hidden = !hasSize(kind);
    for (const name of /** @type {const} */ (["frames", "fps"])) {
      const place = this.#numbers.inputs[name].closest(".field");
      if (place instanceof HTMLElement) place.hidden = kind !== "video";
    }
    byId("n-label", HTMLElement).textContent = t(kind === "video" ? "form.n_videos" : "form.n");
    this.#prompt.hint = t(kind === "edit" ? "form.prompt_hint_edit" : "form.prompt_hint");
  }
}
