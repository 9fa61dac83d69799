// @ts-check
import { MAX_SEED } from "../../client/xinflight.js";
import { onLang, t } from "../../words/words.js";
import { byId, showText } from "../ui/dom.js";
import { hasSize, startsFromImages } from "./kinds.js";
import { ModelChoice } from "./model_choice.js";
import { showOptions } from "./model_options.js";
import { SizeField } from "./size_field.js";
import { StartImage } from "./start_image.js";
import { StrengthField } from "./strength_field.js";

/** @typedef {import("../store/draft.js").Draft} Draft */
/** @typedef {import("../store/draft.js").Values} Values */
/** @typedef {import("../../client/xinflight.js").GenerateParams} GenerateParams */
/** @typedef {import("../../client/xinflight.js").Limits} Limits */
/** @typedef {import("../../client/xinflight.js").ModelInfo} ModelInfo */
/** @typedef {import("./start_image.js").Known} Known */

/** Fraction of the allowed prompt length above which a counter is shown. */
const COUNT_FROM = 0.8;

/** Most frames per second that the protocol allows. */
const MOST_FPS = 120;

/**
 * The form for a new generation: prompt, start image and settings, checked against the server's limits. What it asks for
 * follows from what is given and from the model.
 */
export class Form {
  #form = byId("form", HTMLFormElement);
  #prompt = byId("prompt", HTMLTextAreaElement);
  #negative = byId("negative_prompt", HTMLTextAreaElement);
  #model = byId("model", HTMLSelectElement);
  #size = new SizeField();
  #n = byId("n", HTMLInputElement);
  #steps = byId("steps", HTMLInputElement);
  #guidance = byId("guidance_scale", HTMLInputElement);
  #seed = byId("seed", HTMLInputElement);
  #frames = byId("frames", HTMLInputElement);
  #fps = byId("fps", HTMLInputElement);
  #submitButton = byId("generate", HTMLButtonElement);
  #strength = new StrengthField();
  #start;
  #choice = new ModelChoice();
  /** @type {ModelInfo[]} */
  #models = [];
  #folds = [byId("negative-fold", HTMLDetailsElement), byId("settings", HTMLDetailsElement)];
  #draft;
  /** @type {Limits | null} */
  #limits = null;

  /**
   * @param {Draft} draft keeps the form's content over a reload
   * @param {import("./attachment.js").Uploader} upload
   * @param {(params: GenerateParams) => void} generate
   */
  constructor(draft, upload, generate) {
    this.#draft = draft;
    this.#start = new StartImage(upload, () => this.#started());
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit(generate);
    });
    this.#form.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
      event.preventDefault();
      this.#submit(generate);
    });
    this.#form.addEventListener("input", () => this.#count());
    this.#model.addEventListener("change", () => {
      this.#choice.chosen = this.#model.value;
      this.#showModels();
    });
    byId("dice", HTMLButtonElement).addEventListener("click", () => {
      this.#seed.value = String(Math.floor(Math.random() * 2 ** 32));
      this.#keep();
    });
    this.#restore(draft.load() ?? {});
    onLang(() => this.#showModels());
    // The form's `change` listener runs after those of the fields. `toggle` does not bubble, hence the capture phase.
    for (const name of ["input", "change"]) this.#form.addEventListener(name, () => this.#keep());
    this.#form.addEventListener("toggle", () => this.#keep(), true);
  }

  /**
   * Ask for what the form says, once the server has the start image.
   * @param {(params: GenerateParams) => void} generate
   */
  async #submit(generate) {
    if (this.#submitButton.getAttribute("aria-disabled") === "true") return;
    const params = this.read();
    if (!params) return;
    // Unfolded settings would cover what was asked for.
    for (const fold of this.#folds) fold.open = false;
    if (!this.#start.given.image) {
      generate(params);
      return;
    }
    this.#submitButton.setAttribute("aria-disabled", "true");
    try {
      const { image, mask } = await this.#start.ids();
      generate({ ...params, image, mask });
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

  /** Start from an image that the server has. @param {Known} known */
  startFrom(known) {
    this.#start.use(known);
    this.#prompt.focus();
  }

  /** Reset every field, because the content belongs to another user. */
  clear() {
    this.#choice.chosen = null;
    this.#strength.text = "";
    this.#start.clear();
    this.#form.reset();
    this.#size.set("");
    this.#showModels();
  }

  /** @returns {Record<string, HTMLInputElement | HTMLTextAreaElement>} fields whose raw value is saved, by name */
  get #typed() {
    const numbers = [this.#n, this.#steps, this.#guidance, this.#seed, this.#frames, this.#fps];
    const fields = [this.#prompt, this.#negative, ...numbers];
    return Object.fromEntries(fields.map((field) => [field.name, field]));
  }

  #keep() {
    const texts = Object.entries(this.#typed).map(([name, { value }]) => [name, value]);
    const folds = this.#folds.map(({ id, open }) => [id, open ? "open" : ""]);
    const model = this.#choice.chosen ?? "";
    const others = { model, size: this.#size.value, strength: this.#strength.text, start: this.#start.text };
    this.#draft.save({ ...Object.fromEntries([...texts, ...folds]), ...others });
  }

  /** @param {Values} values of a saved draft */
  #restore(values) {
    for (const [name, field] of Object.entries(this.#typed)) field.value = values[name] ?? field.value;
    for (const fold of this.#folds) fold.open = (values[fold.id] ?? (fold.open ? "open" : "")) === "open";
    this.#choice.chosen = values.model || null;
    this.#strength.text = values.strength ?? "";
    this.#showModels();
    this.#size.set(values.size ?? "");
    this.#start.text = values.start ?? "";
  }

  /** @param {Limits} limits */
  setLimits(limits) {
    this.#limits = limits;
    this.#n.max = String(limits.outputs);
    this.#steps.max = String(limits.steps);
    this.#guidance.max = String(limits.guidance_scale);
    this.#frames.max = String(limits.frames);
    this.#size.setLimits(limits);
    this.#offerStart();
    this.#count();
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
    this.#prompt.value = params.prompt ?? "";
    this.#negative.value = params.negative_prompt ?? "";
    this.#choice.chosen = params.model ?? this.#choice.chosen;
    this.#showModels();
    this.#size.set(params.size ?? "");
    this.#n.value = String(params.n ?? 1);
    this.#steps.value = String(params.steps ?? "");
    this.#guidance.value = String(params.guidance_scale ?? "");
    this.#seed.value = String(params.seed ?? "");
    this.#frames.value = String(params.frames ?? "");
    this.#fps.value = String(params.fps ?? "");
    this.#strength.text = String(params.strength ?? "");
    this.#count();
    this.#keep();
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
    const place = document.getElementById(`${name}-problem`);
    const input = this.#form.elements.namedItem(name);
    if (!place || !(input instanceof HTMLElement)) return false;
    showText(place, text);
    input.setAttribute("aria-invalid", "true");
    const fold = input.closest("details");
    if (fold) fold.open = true;
    input.focus();
    return true;
  }

  /**
   * Return the form's values, or null after showing the problem of the first invalid field.
   * @returns {GenerateParams | null}
   */
  read() {
    this.#clearProblems();
    const prompt = this.#prompt.value.trim();
    const negative = this.#negative.value.trim();
    const size = this.#size.read();
    const limits = this.#limits;
    const { kind } = this.#choice;
    const video = kind === "video";
    const fine =
      this.#checkModel() &&
      this.#checkPrompt("prompt", prompt, kind !== "image2image") &&
      this.#checkPrompt("negative_prompt", negative, false) &&
      (!hasSize(kind) || this.#checkSize(size)) &&
      (!video || this.#checkNumber(this.#frames, 1, limits?.frames ?? 10_000)) &&
      (!video || this.#checkNumber(this.#fps, 1, MOST_FPS)) &&
      this.#checkNumber(this.#n, 1, limits?.outputs ?? 64) &&
      this.#checkNumber(this.#steps, 1, limits?.steps ?? 1000) &&
      this.#checkNumber(this.#guidance, 0, limits?.guidance_scale ?? 100) &&
      this.#checkNumber(this.#seed, 0, MAX_SEED);
    if (!fine) return null;
    return {
      prompt: prompt || undefined,
      negative_prompt: negative || undefined,
      kind: kind === null || kind === "text2image" || kind === "chat" ? undefined : kind,
      model: this.#choice.id,
      strength: this.#strength.value,
      size: (hasSize(kind) && size) || undefined,
      frames: video ? number(this.#frames) : undefined,
      fps: video ? number(this.#fps) : undefined,
      n: number(this.#n),
      steps: number(this.#steps),
      guidance_scale: number(this.#guidance),
      seed: number(this.#seed),
    };
  }

  /** Complain if no model here can do what is asked. */
  #checkModel() {
    return !this.#choice.none || !this.complain("image", t("problem.no_model"));
  }

  #clearProblems() {
    for (const place of this.#form.querySelectorAll(".problem")) if (place instanceof HTMLElement) showText(place, "");
    for (const input of this.#form.querySelectorAll("[aria-invalid]")) input.removeAttribute("aria-invalid");
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

  /**
   * @param {HTMLInputElement} input
   * @param {number} min
   * @param {number} max
   */
  #checkNumber(input, min, max) {
    const value = number(input) ?? min;
    const whole = input.step === "any" || Number.isInteger(value);
    if (!input.validity.badInput && whole && value >= min && value <= max) return true;
    return !this.complain(input.name, t("problem.range", { min, max }));
  }

  /** @param {string | null} size */
  #checkSize(size) {
    if (size !== null) return true;
    this.complain("size", this.#size.rule);
    this.#size.focus();
    return false;
  }

  #count() {
    const limit = this.#limits?.prompt_length ?? Infinity;
    const n = [...this.#prompt.value].length;
    showText(byId("prompt-count", HTMLElement), n > limit * COUNT_FROM ? t("form.prompt_count", { n, limit }) : "");
  }

  /** Fill the model list, and show the fields that matter for it with the model's defaults as placeholders. */
  #showModels() {
    this.#choice.given = this.#start.given;
    const { options, id, info, away, kind } = this.#choice;
    showOptions(this.#model, options);
    this.#model.value = id ?? "";
    byId("model-field", HTMLElement).hidden = options.length < 2 && !away;
    const own = t("form.model_own");
    this.#steps.placeholder = String(info?.steps ?? own);
    this.#guidance.placeholder = String(info?.guidance_scale ?? own);
    this.#frames.placeholder = String(info?.frames ?? own);
    this.#fps.placeholder = String(info?.fps ?? own);
    const hints = [];
    if (away) hints.push(t("form.model_away_hint"));
    if (this.#choice.none) hints.push(t("problem.no_model"));
    if (info && !info.defaults_known) hints.push(t("form.defaults_unknown"));
    if (info && !info.true_cancel) hints.push(t(kind === "video" ? "form.no_true_cancel_video" : "form.no_true_cancel"));
    showText(byId("model-hint", HTMLElement), hints.join(" "));
    this.#showFields(kind);
    this.#size.offer(info?.size ?? "1024x1024", kind !== "video" && this.#start.given.image);
    this.#count();
  }

  /** @param {import("./kinds.js").Kind | null} kind */
  #showFields(kind) {
    this.#strength.use(kind);
    byId("size-field", HTMLElement).hidden = !hasSize(kind);
    for (const field of [this.#frames, this.#fps]) {
      const place = field.closest(".field");
      if (place instanceof HTMLElement) place.hidden = kind !== "video";
    }
    byId("n-label", HTMLElement).textContent = t(kind === "video" ? "form.n_videos" : "form.n");
    this.#prompt.placeholder = t(kind === "edit" ? "form.prompt_hint_edit" : "form.prompt_hint");
  }
}

/** @param {HTMLInputElement} input @returns {number | undefined} */
function number(input) {
  return input.value === "" ? undefined : input.valueAsNumber;
}
