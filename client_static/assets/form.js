// @ts-check
import { byId, showText } from "./dom.js";
import { MAX_SEED } from "./protocol.js";
import { SizeField } from "./size_field.js";
import { onLang, t } from "./words.js";

/** @typedef {import("./protocol.js").GenerateParams} GenerateParams */
/** @typedef {import("./protocol.js").Limits} Limits */
/** @typedef {import("./protocol.js").ModelInfo} ModelInfo */

/** Above this part of the allowed length a counter is shown. */
const COUNT_FROM = 0.8;

/** The form: what to make and how, within the server's limits, around the chosen model's defaults. */
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
  /** @type {ModelInfo[]} */
  #models = [];
  /** @type {Limits | null} */
  #limits = null;

  /** @param {(params: GenerateParams) => void} generate */
  constructor(generate) {
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
    this.#model.addEventListener("change", () => this.#showModel());
    byId("dice", HTMLButtonElement).addEventListener("click", () => {
      this.#seed.value = String(Math.floor(Math.random() * 2 ** 32));
    });
    byId("settings", HTMLDetailsElement).open = matchMedia("(min-width: 700px)").matches;
    this.#showModel();
    onLang(() => this.#showModels());
  }

  /** @param {Limits} limits */
  setLimits(limits) {
    this.#limits = limits;
    this.#n.max = String(limits.pictures);
    this.#steps.max = String(limits.steps);
    this.#guidance.max = String(limits.guidance_scale);
    this.#size.setLimits(limits);
    this.#count();
  }

  /** @param {ModelInfo[]} models */
  setModels(models) {
    this.#models = models;
    this.#showModels();
  }

  /** Put the values of an earlier generation into the form. @param {GenerateParams} params */
  fill(params) {
    this.#prompt.value = params.prompt;
    this.#negative.value = params.negative_prompt ?? "";
    if (params.model && this.#models.some(({ id }) => id === params.model)) this.#model.value = params.model;
    this.#showModel();
    this.#size.set(params.size ?? "");
    this.#n.value = String(params.n ?? 1);
    this.#steps.value = String(params.steps ?? "");
    this.#guidance.value = String(params.guidance_scale ?? "");
    this.#seed.value = String(params.seed ?? "");
    this.#count();
    this.#prompt.focus();
  }

  /**
   * Say what is wrong with a field and bring the person there; false for a field that is not in the form.
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
   * The values, or null after having said what is wrong with the first bad one.
   * @returns {GenerateParams | null}
   */
  read() {
    this.#forgive();
    const prompt = this.#prompt.value.trim();
    const negative = this.#negative.value.trim();
    const size = this.#size.read();
    const limits = this.#limits;
    const fine =
      this.#checkPrompt("prompt", prompt, true) &&
      this.#checkPrompt("negative_prompt", negative, false) &&
      this.#checkSize(size) &&
      this.#checkNumber(this.#n, 1, limits?.pictures ?? 64) &&
      this.#checkNumber(this.#steps, 1, limits?.steps ?? 1000) &&
      this.#checkNumber(this.#guidance, 0, limits?.guidance_scale ?? 100) &&
      this.#checkNumber(this.#seed, 0, MAX_SEED);
    if (!fine) return null;
    return {
      prompt,
      negative_prompt: negative || undefined,
      model: this.#models.length > 1 ? this.#model.value : undefined,
      size: size || undefined,
      n: number(this.#n),
      steps: number(this.#steps),
      guidance_scale: number(this.#guidance),
      seed: number(this.#seed),
    };
  }

  #forgive() {
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

  #showModels() {
    const chosen = this.#model.value;
    const options = this.#models.map(
      ({ id, default: first }) => new Option(first ? t("form.model_default", { id }) : id, id, first),
    );
    this.#model.replaceChildren(...options);
    if (this.#models.some(({ id }) => id === chosen)) this.#model.value = chosen;
    byId("model-field", HTMLElement).hidden = this.#models.length < 2;
    this.#showModel();
  }

  /** Show what applies where the person says nothing. */
  #showModel() {
    const model = this.#models.find(({ id }) => id === this.#model.value) ?? this.#models[0];
    const own = t("form.model_own");
    this.#steps.placeholder = String(model?.steps ?? own);
    this.#guidance.placeholder = String(model?.guidance_scale ?? own);
    const hints = [];
    if (model && !model.defaults_known) hints.push(t("form.defaults_unknown"));
    if (model && !model.true_cancel) hints.push(t("form.no_true_cancel"));
    showText(byId("model-hint", HTMLElement), hints.join(" "));
    this.#size.offer(model?.size ?? "1024x1024");
    this.#count();
  }
}

/** @param {HTMLInputElement} input @returns {number | undefined} */
function number(input) {
  return input.value === "" ? undefined : input.valueAsNumber;
}
