// @ts-check
import { t } from "../../words/words.js";
import { gridRequests } from "./grid.js";
import { hasSize } from "./kinds.js";

/** @typedef {import("../../client/xinflight.js").GenerateParams} GenerateParams */
/** @typedef {import("../../client/xinflight.js").Limits} Limits */
/** @typedef {import("./form_values.js").Fields} Fields */
/** @typedef {import("./number_fields.js").NumberName} NumberName */

/** Reads what a form asks for, checked against the server's limits. */
export class FormReader {
  #fields;
  #problems;
  /** @type {Limits | null} */
  limits = null;

  /**
   * @param {Fields} fields
   * @param {import("./problems.js").Problems} problems
   */
  constructor(fields, problems) {
    this.#fields = fields;
    this.#problems = problems;
  }

  /**
   * Return what the form asks for, or null after showing the problem of the first invalid field.
   * @returns {GenerateParams[] | null}
   */
  read() {
    this.#problems.clear();
    const { choice, prompt, negative, size: sizes, numbers, grid } = this.#fields;
    const { kind } = choice;
    const video = kind === "video";
    const size = sizes.read();
    const fine =
      this.#checkModel() &&
      prompt.written.every((text) => this.#checkPrompt("prompt", text, kind !== "image2image")) &&
      prompt.prompts.every((text) => this.#checkPrompt("prompt", text, false)) &&
      this.#checkPrompt("negative_prompt", negative.value.trim(), false) &&
      (!hasSize(kind) || this.#checkSize(size)) &&
      (!video || (numbers.check("frames") && numbers.check("fps"))) &&
      /** @type {const} */ (["n", "steps", "guidance_scale", "seed"]).every((name) => numbers.check(name));
    const axes = fine ? grid.read() : null;
    if (!axes) return null;
    const params = this.params((hasSize(kind) && size) || undefined);
    const requests = prompt.prompts.map((text) => ({ ...params, prompt: text || undefined }));
    if (axes.length === 0) return requests;
    const own = { id: Math.random().toString(36).slice(2, 10), seed: Math.floor(Math.random() * 2 ** 32) };
    return requests.flatMap((request) => gridRequests(request, axes, own));
  }

  /** Return everything but the prompt, unchecked. @param {string | undefined} size @returns {GenerateParams} */
  params(size) {
    const { choice, negative, numbers, strength } = this.#fields;
    const { kind, id: model } = choice;
    const value = (/** @type {NumberName} */ name) => numbers.value(name);
    return {
      negative_prompt: (!negative.disabled && negative.value.trim()) || undefined,
      kind: kind === null || kind === "text2image" || kind === "chat" ? undefined : kind,
      model,
      strength: strength.value,
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
    return !this.#fields.choice.none || !this.#problems.show("image", t("problem.no_model"));
  }

  /**
   * @param {string} field
   * @param {string} text
   * @param {boolean} needed
   */
  #checkPrompt(field, text, needed) {
    const limit = this.limits?.prompt_length ?? Infinity;
    if (needed && text === "") return !this.#problems.show(field, t("problem.prompt_missing"));
    return [...text].length <= limit || !this.#problems.show(field, t("problem.prompt_long", { limit }));
  }

  /** @param {string | null} size */
  #checkSize(size) {
    const { rule, wrong } = this.#fields.size;
    if (size === null) this.#problems.show("size", rule, wrong);
    return size !== null;
  }
}
