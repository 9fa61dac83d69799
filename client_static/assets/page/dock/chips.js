// @ts-check
import { html, render } from "../../vendor/lit-html/lit-html.js";
import { t } from "../../words/words.js";
import { byId } from "../ui/dom.js";
import { ratioOf, shapeChips } from "./shapes.js";

/** @typedef {import("./shapes.js").ShapeChip} ShapeChip */
/** @typedef {import("./size_field.js").SizeField} SizeField */

/** The numbers of images that are one click away. */
const COUNTS = [1, 2, 4, 8];
/** The longer side of a drawn shape, in pixels. */
const DRAWN = 15;

/** The settings of the dock that are one click away: the shape, the number of images, and whether the seed is kept. */
export class Chips {
  #shapes = byId("shapes", HTMLElement);
  #other = byId("shape-other", HTMLButtonElement);
  #counts = byId("count-chips", HTMLElement);
  #lock = byId("seed-lock", HTMLButtonElement);
  #lockText = byId("seed-lock-text", HTMLElement);
  #size;
  #n = byId("n", HTMLInputElement);
  #seed = byId("seed", HTMLInputElement);

  /**
   * @param {SizeField} size
   * @param {{changed: () => void, lastSeed: () => number | null, openSize: () => void}} host `changed` is called after a
   *   chip has changed a field, `lastSeed` returns the seed of the newest image
   */
  constructor(size, host) {
    this.#size = size;
    this.#shapes.addEventListener("change", ({ target }) => {
      if (target instanceof HTMLInputElement) size.set(target.value);
      host.changed();
    });
    this.#counts.addEventListener("change", ({ target }) => {
      if (target instanceof HTMLInputElement) this.#n.value = target.value;
      host.changed();
    });
    this.#lock.addEventListener("click", () => {
      const seed = host.lastSeed() ?? Math.floor(Math.random() * 2 ** 32);
      this.#seed.value = this.#seed.value === "" ? String(seed) : "";
      host.changed();
    });
    this.#other.addEventListener("click", host.openSize);
  }

  /**
   * Show what the fields have.
   * @param {{sized: boolean, video: boolean, most: number}} what `sized`: whether a shape can be chosen; `most`: the
   *   highest number of outputs of one request
   */
  render({ sized, video, most }) {
    const { value } = this.#size;
    const chips = sized ? shapeChips(this.#size.own, this.#size.presets) : [];
    const known = chips.some(({ size }) => size === value);
    this.#shapes.hidden = chips.length < 2;
    this.#other.hidden = !sized;
    this.#other.textContent = known ? t("dock.other_shape") : value.replace("x", " × ") || t("dock.other_shape");
    this.#other.setAttribute("aria-pressed", String(!known));
    render(chips.map((chip) => shape(chip, chip.size === value)), this.#shapes);
    this.#renderCounts(video ? [1, 2] : COUNTS, most);
    const locked = this.#seed.value !== "";
    this.#lock.setAttribute("aria-pressed", String(locked));
    this.#lock.title = t(locked ? "dock.seed_free" : "dock.seed_keep");
    this.#lockText.textContent = locked ? t("dock.seed_kept", { seed: this.#seed.value }) : t("dock.seed_new");
    this.#lock.querySelector("use")?.setAttribute("href", locked ? "#i-lock" : "#i-dice");
  }

  /**
   * @param {number[]} offered
   * @param {number} most
   */
  #renderCounts(offered, most) {
    const chosen = this.#n.valueAsNumber || 1;
    const counts = [...new Set([...offered.filter((n) => n <= most), chosen])].toSorted((a, b) => a - b);
    const count = (/** @type {number} */ n) => html`<label class="seg-item"><input type="radio" name="count"
      data-testid="count" value=${n} .checked=${n === chosen}>${n}</label>`;
    render(counts.map(count), this.#counts);
  }
}

/**
 * @param {ShapeChip} chip
 * @param {boolean} checked
 */
function shape({ name, size }, checked) {
  const ratio = ratioOf(name.replace(":", "x"));
  const [width, height] = ratio > 1 ? [DRAWN, DRAWN / ratio] : [DRAWN * ratio, DRAWN];
  return html`<label class="seg-item"><input type="radio" name="shape" data-testid="shape" value=${size}
    .checked=${checked}><i class="drawn" .style=${`width: ${width}px; height: ${height}px`}></i>${name}</label>`;
}
