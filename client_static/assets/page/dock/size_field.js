// @ts-check
import { t } from "../../words/words.js";
import { byId } from "../ui/dom.js";
import { presets, sideAllowed } from "./sizes.js";

/** @typedef {import("../../client/xinflight.js").Limits} Limits */

const CUSTOM = "custom";

/** The size field: the model's own size, a preset, or a width and height. */
export class SizeField {
  #select = byId("size", HTMLSelectElement);
  #sides = [byId("width", HTMLInputElement), byId("height", HTMLInputElement)];
  /** The model's own size. */
  own = "1024x1024";
  /** The other sizes that are offered. @type {string[]} */
  presets = [];
  /** Whether the default is the size of a start image. */
  #asImage = false;
  /** @type {Limits | null} */
  #limits = null;

  constructor() {
    this.#select.addEventListener("change", () => this.#showSides());
  }

  /** @param {Limits} limits */
  setLimits(limits) {
    this.#limits = limits;
    for (const side of this.#sides) {
      side.min = String(limits.size_min);
      side.max = String(limits.size_max);
      side.step = String(limits.size_multiple);
    }
  }

  /**
   * Offer the presets for a model and keep the current choice.
   * @param {string} own the model's size
   * @param {boolean} asImage whether the default is the size of a start image
   */
  offer(own, asImage) {
    const chosen = this.value;
    this.own = own;
    this.#asImage = asImage;
    this.presets = this.#limits ? presets(own, this.#limits) : [];
    const sizes = asImage ? [own, ...this.presets] : this.presets;
    this.#select.replaceChildren(
      new Option(asImage ? t("form.size_image") : t("form.size_default", { size: written(own) }), "", true),
      ...sizes.map((size) => new Option(written(size), size)),
      new Option(t("form.size_custom"), CUSTOM),
    );
    this.set(chosen);
  }

  /** Select a size. @param {string} size empty for the model's own */
  set(size) {
    const value = size === this.own && !this.#asImage ? "" : size;
    const offered = [...this.#select.options].some((option) => option.value === value);
    this.#select.value = offered ? value : CUSTOM;
    if (!offered) this.#type(value);
    this.#showSides();
  }

  /** Return the size, checked. @returns {string | null} empty for the model's own, null if it is not allowed */
  read() {
    if (this.#select.value !== CUSTOM) return this.#select.value;
    return this.wrong.length ? null : this.#typed;
  }

  /** The text that describes which sizes are allowed. */
  get rule() {
    const { size_min: min, size_max: max, size_multiple: multiple } = this.#limits ?? {};
    return t("problem.size", { min: min ?? "", max: max ?? "", multiple: multiple ?? "" });
  }

  /** The current size, unchecked; empty for the model's own. */
  get value() {
    return this.#select.value === CUSTOM ? this.#typed : this.#select.value;
  }

  /** The inputs to mark if the size is not allowed. */
  get wrong() {
    const limits = this.#limits;
    return limits ? this.#sides.filter((side) => !sideAllowed(side.valueAsNumber, limits)) : [];
  }

  focus() {
    this.#select.focus();
  }

  get #typed() {
    return this.#sides.map(({ value }) => value).join("x");
  }

  /** @param {string} size */
  #type(size) {
    const values = size.split("x");
    this.#sides.forEach((side, i) => (side.value = values[i] ?? ""));
  }

  #showSides() {
    const custom = this.#select.value === CUSTOM;
    for (const side of this.#sides) {
      const field = side.closest(".field");
      if (field instanceof HTMLElement) field.hidden = !custom;
    }
    if (custom && this.#sides.every(({ value }) => value === "")) this.#type(this.own);
  }
}

/** Format a size for display. @param {string} size */
function written(size) {
  return size.replace("x", " × ");
}
