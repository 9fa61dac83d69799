// @ts-check
import { onLang, plural, sentences, t } from "../../words/words.js";
import { byId, showText } from "../ui/dom.js";
import { Chips } from "./chips.js";
import { changesText, costText } from "./dock_words.js";
import { FormReader } from "./form_reader.js";
import { fillFields, preferredOf, valuesOf, withPreferred } from "./form_values.js";
import { GridFields } from "./grid_fields.js";
import { hasSize, startsFromImages } from "./kinds.js";
import { ModelChoice } from "./model_choice.js";
import { showOptions } from "./model_options.js";
import { NumberFields } from "./number_fields.js";
import { PresetChip } from "./preset_chip.js";
import { Problems } from "./problems.js";
import { PromptField } from "./prompt_field.js";
import { SizeField } from "./size_field.js";
import { StartImage } from "./start_image.js";
import { StrengthField } from "./strength_field.js";

/** @typedef {import("../store/draft.js").Draft} Draft */
/** @typedef {import("../../client/xinflight.js").GenerateParams} GenerateParams */
/** @typedef {import("../../client/xinflight.js").Limits} Limits */
/** @typedef {import("../../client/xinflight.js").ModelInfo} ModelInfo */
/** @typedef {NonNullable<import("../../client/xinflight.js").Preferences["dock"]>} Settings */
/** @typedef {import("./number_fields.js").NumberName} NumberName */
/** @typedef {import("../../client/xinflight.js").Preset} Preset */
/** @typedef {import("./start_image.js").Known} Known */

/**
 * What the dock asks of the page.
 * @typedef {object} FormHost
 * @property {import("./attachment.js").Uploader} upload
 * @property {(requests: GenerateParams[]) => void} generate
 * @property {(model: string) => void} chosen called with the id of the model that will be asked for, or empty
 * @property {import("./prompt_field.js").Earlier} earlier
 * @property {() => number | null} lastSeed the seed of the newest image
 * @property {(work: import("./run_times.js").Work) => number | null} seconds that one output will probably take
 * @property {(settings: Settings) => void} preferred called when the settings that a person has everywhere have changed
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
  #preset = new PresetChip();
  #chips;
  #grid;
  #start;
  #fields;
  #reader;
  /** The settings that were told last to be the person's. */
  #preferred = "";
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
    this.#fields = {
      prompt: this.#prompt,
      negative: this.#negative,
      choice: this.#choice,
      numbers: this.#numbers,
      size: this.#size,
      strength: this.#strength,
      grid: this.#grid,
      preset: this.#preset,
    };
    this.#reader = new FormReader(this.#fields, this.#problems);
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
    byId("around-off", HTMLButtonElement).addEventListener("click", () => {
      this.#prompt.around = "";
      this.#changed();
      this.#prompt.focus();
    });
    byId("settings-reset", HTMLButtonElement).addEventListener("click", () => this.#reset());
    const values = draft.load() ?? {};
    this.#fill(values);
    this.#preferred = JSON.stringify(preferredOf(valuesOf(this.#fields)));
    this.#start.text = values.start ?? "";
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
    const requests = this.#reader.read();
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
    this.#prompt.value = this.#prompt.around = "";
    this.#preset.set("", "");
    // It is not the next person's wish.
    this.#preferred = "{}";
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

  #keep() {
    const values = valuesOf(this.#fields);
    this.#draft.save({ ...values, start: this.#start.text });
    const settings = preferredOf(values);
    const preferred = JSON.stringify(settings);
    if (preferred === this.#preferred) return;
    this.#preferred = preferred;
    this.#host.preferred(settings);
  }

  /** @param {import("../store/draft.js").Values} values */
  #fill(values) {
    fillFields(this.#fields, values, () => this.#showModels());
    this.#render();
  }

  /** Take over settings that were made on another device. @param {Settings} settings */
  follow(settings) {
    const values = withPreferred(valuesOf(this.#fields), settings);
    this.#preferred = JSON.stringify(preferredOf(values));
    this.#fill(values);
    this.#keep();
  }

  /** What the dock is set to, as a preset: named as the one that was used last. @returns {Preset} */
  get preset() {
    const { name } = this.#preset;
    return { name, settings: preferredOf(valuesOf(this.#fields)), prompt: this.#prompt.around || undefined };
  }

  /** Set what a preset has; without a name it is none. @param {Preset} preset */
  use({ name, settings, prompt = "" }) {
    this.#problems.clear();
    this.#fill({ ...withPreferred(valuesOf(this.#fields), settings), around: prompt });
    this.#preset.set(name, this.#set);
    this.#changed();
  }

  /** What the dock is set to, to tell whether it still is. */
  get #set() {
    const { settings, prompt } = this.preset;
    return JSON.stringify([settings, prompt]);
  }

  /** @param {Limits} limits */
  setLimits(limits) {
    this.#limits = this.#reader.limits = limits;
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
    // What was put around it then is part of it.
    this.#prompt.mode = this.#prompt.around = "";
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
    this.#preset.render(this.#set);
    const steps = this.#numbers.value("steps") ?? info?.steps;
    byId("settings-text", HTMLElement).textContent = steps ? plural("meta.steps", steps) : t("form.settings");
    byId("changed-text", HTMLElement).textContent = this.#changes;
    byId("changed", HTMLElement).hidden = this.#changes === "";
    this.renderCost();
  }

  /** What differs from the model's defaults, in words: on a phone the chips don't all fit. */
  get #changes() {
    const { info } = this.#choice;
    const { negative_prompt: negative, strength, seed, ...params } = this.#reader.params(this.#size.value || undefined);
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
    // What can't be asked for costs nothing.
    const valid = /** @type {const} */ (["n", "steps", "frames"]).every((name) => this.#numbers.valid(name));
    showText(byId("cost", HTMLElement), valid ? costText(n * this.#prompt.prompts.length, seconds) : "");
  }

  /** @returns {import("./grid_fields.js").Suggested} */
  get #suggested() {
    const { info, options } = this.#choice;
    const models = options.flatMap(({ id, kind }) => (kind === this.#choice.kind ? id : []));
    return { steps: this.#numbers.value("steps") ?? info?.steps ?? 20, guidance: info?.guidance_scale || 1, models };
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
    if (info && !info.defaults_known && info.steps === undefined) hints.push(t("form.defaults_unknown"));
    if (info && !info.true_cancel) hints.push(t(kind === "video" ? "form.no_true_cancel_video" : "form.no_true_cancel"));
    showText(byId("model-hint", HTMLElement), sentences(hints));
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
