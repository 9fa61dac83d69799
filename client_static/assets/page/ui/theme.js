// @ts-check
import { onLang, t } from "../../words/words.js";
import { rememberChoice } from "../store/choices.js";
import { byId } from "./dom.js";

/** @typedef {"system" | "light" | "dark"} Theme */

/** @type {Theme[]} */
const THEMES = ["system", "light", "dark"];

/** The button that goes round the themes: as the system says, light, dark. The server renders the one chosen before. */
export class ThemeButton {
  #button = byId("theme", HTMLButtonElement);

  /** @param {(theme: Theme) => void} chosen called after each press */
  constructor(chosen) {
    this.#button.addEventListener("click", () => {
      const next = /** @type {Theme} */ (THEMES[(THEMES.indexOf(this.#theme) + 1) % THEMES.length]);
      this.show(next);
      chosen(next);
    });
    onLang(() => this.#name());
    this.#name();
  }

  /** @param {Theme} theme */
  show(theme) {
    if (theme === this.#theme) return;
    document.documentElement.dataset.theme = theme;
    rememberChoice("theme", theme);
    this.#name();
  }

  /** @returns {Theme} */
  get #theme() {
    const { theme } = document.documentElement.dataset;
    return THEMES.find((each) => each === theme) ?? "system";
  }

  #name() {
    const name = t("theme.change", { theme: t(`theme.${this.#theme}`) });
    this.#button.title = name;
    this.#button.setAttribute("aria-label", name);
  }
}
