// @ts-check
import { t } from "../../words/words.js";
import { byId } from "../ui/dom.js";
import { ratioOf, shapeChips } from "./shapes.js";

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
    showChoices(this.#shapes, "shape", chips.map(({ name, size }) => ({ text: name, value: size, checked: size === value })));
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
    const own = this.#n.validity.valid ? [chosen] : [];
    const counts = [...new Set([...offered.filter((n) => n <= most), ...own])].toSorted((a, b) => a - b);
    showChoices(this.#counts, "count", counts.map((n) => ({ text: String(n), value: String(n), checked: n === chosen })));
  }
}

/**
 * Show radio buttons. Those that are there stay: one may have the focus.
 * @param {HTMLElement} root
 * @param {"shape" | "count"} name
 * @param {{text: string, value: string, checked: boolean}[]} choices of a shape, `text` is its ratio
 */
function showChoices(root, name, choices) {
  while (root.children.length > choices.length) root.lastElementChild?.remove();
  for (const [at, { text, value, checked }] of choices.entries()) {
    const label = root.children[at] ?? root.appendChild(document.createElement("label"));
    if (label.textContent !== text) {
      const input = Object.assign(document.createElement("input"), { type: "radio", name });
      input.dataset.testid = name;
      label.className = "seg-item";
      label.replaceChildren(input, ...(name === "shape" ? [drawn(text)] : []), text);
    }
    const input = label.querySelector("input");
    if (input) Object.assign(input, { value, checked });
  }
}

/** Return a drawing of a shape. @param {string} ratio like `3:2` */
function drawn(ratio) {
  const shape = document.createElement("i");
  const of = ratioOf(ratio.replace(":", "x"));
  shape.className = "drawn";
  shape.style.width = `${of > 1 ? DRAWN : DRAWN * of}px`;
  shape.style.height = `${of > 1 ? DRAWN / of : DRAWN}px`;
  return shape;
}
