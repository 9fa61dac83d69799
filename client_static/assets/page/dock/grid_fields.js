// @ts-check
import { onLang, t } from "../../words/words.js";
import { byId } from "../ui/dom.js";
import { AXES, MOST_CELLS, numbersOf } from "./grid.js";

/** @typedef {import("./grid.js").Axis} Axis */
/** @typedef {import("./grid.js").AxisField} AxisField */
/** @typedef {import("./number_fields.js").NumberFields} NumberFields */
/** @typedef {import("./problems.js").Problems} Problems */

/** What an axis starts with. @typedef {{steps: number, guidance: number, models: string[]}} Suggested */

/** The words of a parameter that an axis of a grid can have. */
export const AXIS_WORDS = /** @type {const} */ ({
  steps: "form.steps",
  guidance_scale: "form.guidance",
  seed: "form.seed",
  model: "form.model",
});

/** The fields of a grid: which parameter differs from row to row and from column to column, and its values. */
export class GridFields {
  #axes = ["rows", "columns"].map((side) => ({
    field: byId(`grid_${side}`, HTMLSelectElement),
    values: byId(`grid_${side}_values`, HTMLInputElement),
  }));
  #off = byId("grid-off", HTMLButtonElement);
  #numbers;
  #problems;
  #suggested;

  /**
   * @param {NumberFields} numbers
   * @param {Problems} problems
   * @param {{changed: () => void, suggested: () => Suggested}} host
   */
  constructor(numbers, problems, { changed, suggested }) {
    this.#numbers = numbers;
    this.#problems = problems;
    this.#suggested = suggested;
    for (const { field, values } of this.#axes) {
      field.addEventListener("change", () => {
        values.value = this.#suggest(field.value);
        changed();
      });
    }
    this.#off.addEventListener("click", () => {
      this.clear();
      changed();
      byId("prompt", HTMLTextAreaElement).focus();
    });
    onLang(() => this.render());
    this.render();
  }

  /** Whether the rows have a parameter. */
  get on() {
    return this.#axes[0]?.field.value !== "";
  }

  clear() {
    for (const { field, values } of this.#axes) field.value = values.value = "";
  }

  /** What survives a reload, as text. */
  get text() {
    return this.on ? JSON.stringify(this.#axes.map(({ field, values }) => [field.value, values.value])) : "";
  }

  /** @param {string} text as `text` returned it */
  set text(text) {
    this.clear();
    for (const [at, [field, values]] of Object.entries(text ? JSON.parse(text) : [])) {
      const axis = this.#axes[Number(at)];
      if (!axis) continue;
      axis.field.value = field;
      axis.values.value = values;
    }
  }

  /**
   * Return the axes, or null after showing what is wrong with them. Without a grid there are none.
   * @returns {Axis[] | null}
   */
  read() {
    /** @type {Axis[]} */
    const axes = [];
    if (!this.on) return axes;
    for (const { field, values } of this.#axes) {
      if (field.value === "") continue;
      const axis = this.#axis(/** @type {AxisField} */ (field.value), values.value);
      const twice = axes.some((other) => other.field === field.value);
      if (!axis || twice) {
        this.#problems.show(values.id, twice ? t("grid.twice") : this.#rule(/** @type {AxisField} */ (field.value)));
        return null;
      }
      axes.push(axis);
    }
    if (cellsOf(axes) <= MOST_CELLS) return axes;
    this.#problems.show("grid_rows_values", t("grid.many", { n: cellsOf(axes), most: MOST_CELLS }));
    return null;
  }

  /** The number of images of the grid as far as it is filled in; 0 without a grid. */
  get cells() {
    if (!this.on) return 0;
    const axes = this.#axes.flatMap(({ field, values }) => {
      return field.value ? (this.#axis(/** @type {AxisField} */ (field.value), values.value) ?? []) : [];
    });
    return axes.length ? cellsOf(axes) : 0;
  }

  render() {
    for (const { field, values } of this.#axes) {
      const chosen = field.value;
      const none = new Option(t("grid.none"), "");
      field.replaceChildren(none, ...AXES.map((name) => new Option(t(AXIS_WORDS[name]), name)));
      field.value = chosen;
      values.disabled = chosen === "";
    }
    this.#off.hidden = !this.on;
    const names = this.#axes.flatMap(({ field }) => {
      return field.value ? t(AXIS_WORDS[/** @type {AxisField} */ (field.value)]) : [];
    });
    byId("grid-off-text", HTMLElement).textContent = t("grid.on", { axes: names.join(" × ") });
  }

  /**
   * @param {AxisField} field
   * @param {string} text
   * @returns {Axis | null}
   */
  #axis(field, text) {
    if (field !== "model") {
      const values = numbersOf(text, this.#numbers.bounds(field));
      return values && { field, values };
    }
    const ids = [...new Set(text.split(",").flatMap((id) => id.trim() || []))];
    const known = this.#suggested().models;
    return ids.length && ids.every((id) => known.includes(id)) ? { field, values: ids } : null;
  }

  /** @param {AxisField} field */
  #rule(field) {
    if (field === "model") return t("grid.models", { models: this.#suggested().models.join(", ") });
    const { min, max } = this.#numbers.bounds(field);
    return t("grid.numbers", { min, max });
  }

  /** @param {string} field */
  #suggest(field) {
    const { steps, guidance, models } = this.#suggested();
    if (field === "steps") return [...new Set([0.5, 1, 1.5].map((part) => Math.max(1, Math.round(steps * part))))].join(", ");
    if (field === "guidance_scale") return [guidance, guidance + 2, guidance + 4].join(", ");
    if (field === "seed") return Array.from({ length: 4 }, () => Math.floor(Math.random() * 1e6)).join(", ");
    return field === "model" ? models.join(", ") : "";
  }
}

/** @param {Axis[]} axes */
function cellsOf(axes) {
  return axes.reduce((product, { values }) => product * values.length, 1);
}
