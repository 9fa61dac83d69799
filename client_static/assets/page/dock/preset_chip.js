// @ts-check
import { t } from "../../words/words.js";
import { byId } from "../ui/dom.js";

/** The chip that opens the presets. It names the one that the dock is set to, as long as nothing of that is changed. */
export class PresetChip {
  #chip = byId("presets-open", HTMLButtonElement);
  #name = "";
  /** What the dock was set to by the preset. */
  #as = "";
  #shown = "";

  /** The name that is shown: empty once something was changed. */
  get name() {
    return this.#shown;
  }

  /** What survives a reload, as text. */
  get text() {
    return this.#name && JSON.stringify([this.#name, this.#as]);
  }

  /** @param {string} text as `text` returned it */
  set text(text) {
    [this.#name, this.#as] = text ? JSON.parse(text) : ["", ""];
  }

  /**
   * The dock was set to a preset; without a name, to none.
   * @param {string} name
   * @param {string} as what it is set to by that
   */
  set(name, as) {
    this.#name = name;
    this.#as = as;
  }

  /** @param {string} now what the dock is set to */
  render(now) {
    this.#shown = now === this.#as ? this.#name : "";
    this.#chip.classList.toggle("on", this.#shown !== "");
    const text = byId("presets-text", HTMLElement);
    text.classList.toggle("unseen", this.#shown === "");
    text.textContent = this.#shown || t("dock.presets");
  }
}

/**
 * Load the list of presets when the chip is pressed for the first time; from then on the chip opens it by itself.
 * @param {import("../page.js").Page} page
 * @param {import("./form.js").Form} form
 */
export function offerPresets(page, form) {
  const chip = byId("presets-open", HTMLButtonElement);
  const list = page.lazy(async () => {
    const { loadPresets } = await import("./presets.js");
    return loadPresets(page, form);
  });
  chip.addEventListener("click", async () => {
    if (!chip.popoverTargetElement) (await list())?.open();
  });
}
