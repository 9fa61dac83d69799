// @ts-check
import { MAX_SEED } from "../client/xinflight.js";
import { onLang, t } from "../words/words.js";
import { byId, showText } from "./dom.js";
import { ModelChoice } from "./model_choice.js";
import { SizeField } from "./size_field.js";

/** @typedef {import("./draft.js").Draft} Draft */
/** @typedef {import("./draft.js").Values} Values */
/** @typedef {import("../client/xinflight.js").GenerateParams} GenerateParams */
/** @typedef {import("../client/xinflight.js").Limits} Limits */
/** @typedef {import("../client/xinflight.js").ModelInfo} ModelInfo */

/** Fraction of the allowed prompt length above which a counter is shown. */
const COUNT_FROM = 0.8;

/** The form for a new generation: prompt and settings, checked against the server's limits. */
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
  #choice = new ModelChoice();
  #folds = [byId("negative-fold", HTMLDetailsElement), byId("settings", HTMLDetailsElement)];
  #draft;
  /** @type {Limits | null} */
  #limits = null;

  /**
   * @param {Draft} draft keeps the form's content over a reload
   * @param {(params: GenerateParams) => void} generate
   */
  constructor(draft, generate) {
    this.#draft = draft;
    const submit = () => {
      const params = this.read();
      if (params) generate(params);
    };
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      submit();
    });
    this.#form.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
      event.preventDefault();
      submit();
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
    byId("settings", HTMLDetailsElement).open = matchMedia("(min-width: 700px)").matches;
    this.#restore(draft.load() ?? {});
    onLang(() => this.#showModels());
    // The form's `change` listener runs after those of the fields. `toggle` does not bubble, hence the capture phase.
    for (const name of ["input", "change"]) this.#form.addEventListener(name, () => this.#keep());
    this.#form.addEventListener("toggle", () => this.#keep(), true);
  }

  /** Reset every field, because the content belongs to another user. */
  clear() {
    this.#choice.chosen = null;
    this.#form.reset();
    this.#size.set("");
    this.#showModels();
  }

  /** @returns {Record<string, HTMLInputElement | HTMLTextAreaElement>} fields whose raw value is saved, by name */
  get #typed() {
    const fields = [this.#prompt, this.#negative, this.#n, this.#steps, this.#guidance, this.#seed];
    return Object.fromEntries(fields.map((field) => [field.name, field]));
  }

  #keep() {
    const texts = Object.entries(this.#typed).map(([name, { value }]) => [name, value]);
    const folds = this.#folds.map(({ id, open }) => [id, open ? "open" : ""]);
    const model = this.#choice.chosen ?? "";
    this.#draft.save({ ...Object.fromEntries([...texts, ...folds]), model, size: this.#size.value });
  }

  /** @param {Values} values of a saved draft */
  #restore(values) {
    for (const [name, field] of Object.entries(this.#typed)) field.value = values[name] ?? field.value;
    for (const fold of this.#folds) fold.open = (values[fold.id] ?? (fold.open ? "open" : "")) === "open";
    this.#choice.chosen = values.model || null;
    this.#showModels();
    this.#size.set(values.size ?? "");
  }

  /** @param {Limits} limits */
  setLimits(limits) {
    this.#limits = limits;
    this.#n.max = String(limits.outputs);
    this.#steps.max = String(limits.steps);
    this.#guidance.max = String(limits.guidance_scale);
    this.#size.setLimits(limits);
    this.#count();
  }

  /** @param {ModelInfo[]} models */
  setModels(models) {
    this.#choice.models = models;
    this.#showModels();
  }

  /** Fill the form with the parameters of an earlier generation. @param {GenerateParams} params */
  fill(params) {
    this.#prompt.value = params.prompt;
    this.#negative.value = params.negative_prompt ?? "";
    this.#choice.chosen = params.model ?? this.#choice.chosen;
    this.#showModels();
    this.#size.set(params.size ?? "");
    this.#n.value = String(params.n ?? 1);
    this.#steps.value = String(params.steps ?? "");
    this.#guidance.value = String(params.guidance_scale ?? "");
    this.#seed.value = String(params.seed ?? "");
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
    const place = document.getElementById(`${field}-problem`);
    const input = this.#form.elements.namedItem(field);
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
    const fine =
      this.#checkPrompt("prompt", prompt, true) &&
      this.#checkPrompt("negative_prompt", negative, false) &&
      this.#checkSize(size) &&
      this.#checkNumber(this.#n, 1, limits?.outputs ?? 64) &&
      this.#checkNumber(this.#steps, 1, limits?.steps ?? 1000) &&
      this.#checkNumber(this.#guidance, 0, limits?.guidance_scale ?? 100) &&
      this.#checkNumber(this.#seed, 0, MAX_SEED);
    if (!fine) return null;
    return {
      prompt,
      negative_prompt: negative || undefined,
      model: this.#choice.id,
      size: size || undefined,
      n: number(this.#n),
      steps: number(this.#steps),
      guidance_scale: number(this.#guidance),
      seed: number(this.#seed),
    };
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

  /** Fill the model list, and show the model's defaults as placeholders. */
  #showModels() {
    const { options, id, info, away } = this.#choice;
    this.#model.replaceChildren(...options.map((option) => new Option(optionText(option), option.id, option.first)));
    this.#model.value = id ?? "";
    byId("model-field", HTMLElement).hidden = options.length < 2 && !away;
    const own = t("form.model_own");
    this.#steps.placeholder = String(info?.steps ?? own);
    this.#guidance.placeholder = String(info?.guidance_scale ?? own);
    const hints = [];
    if (away) hints.push(t("form.model_away_hint"));
    if (info && !info.defaults_known) hints.push(t("form.defaults_unknown"));
    if (info && !info.true_cancel) hints.push(t("form.no_true_cancel"));
    showText(byId("model-hint", HTMLElement), hints.join(" "));
    this.#size.offer(info?.size ?? "1024x1024");
    this.#count();
  }
}

/** @param {import("./model_choice.js").ModelOption} option */
function optionText({ id, first, away }) {
  if (away) return t("form.model_away", { id });
  return first ? t("form.model_default", { id }) : id;
}

/** @param {HTMLInputElement} input @returns {number | undefined} */
function number(input) {
  return input.value === "" ? undefined : input.valueAsNumber;
}
