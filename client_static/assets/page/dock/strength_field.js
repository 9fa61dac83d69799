// @ts-check
import { onLang, percent, t } from "../../words/words.js";
import { byId } from "../ui/dom.js";
import { hasStrength } from "./kinds.js";

/** @typedef {import("./kinds.js").Kind} Kind */

/** What the server takes if a request names no strength. */
const DEFAULT = 0.6;
const DEFAULT_INPAINTING = 1;

/** The slider for how much of the start image is changed. Until somebody moves it, the server's default applies. */
export class StrengthField {
  #field = byId("strength-field", HTMLElement);
  #slider = byId("strength", HTMLInputElement);
  #shown = byId("strength-shown", HTMLOutputElement);
  /** @type {Kind | null} */
  #kind = null;
  /** @type {number | null} */
  #chosen = null;

  constructor() {
    this.#slider.addEventListener("input", () => {
      this.#chosen = this.#slider.valueAsNumber;
      this.#render();
    });
    onLang(() => this.#render());
  }

  /** Show it if it matters for a kind. @param {Kind | null} kind */
  use(kind) {
    this.#kind = kind;
    this.#field.hidden = !hasStrength(kind);
    this.#render();
  }

  /** The strength to request: undefined where it does not matter, and for the server's default. */
  get value() {
    return hasStrength(this.#kind) ? (this.#chosen ?? undefined) : undefined;
  }

  /** What somebody chose, as text, even where it does not matter now; empty for the default. */
  get text() {
    return this.#chosen === null ? "" : String(this.#chosen);
  }

  /** @param {string} text as `text` returned it */
  set text(text) {
    this.#chosen = Number(text) > 0 && Number(text) <= 1 ? Number(text) : null;
    this.#render();
  }

  #render() {
    const value = this.#chosen ?? (this.#kind === "inpainting" ? DEFAULT_INPAINTING : DEFAULT);
    this.#slider.value = String(value);
    this.#shown.value = percent(Math.round(value * 100));
    this.#slider.setAttribute("aria-valuetext", t("form.strength_is", { percent: this.#shown.value }));
  }
}
