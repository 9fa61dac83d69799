// @ts-check
import { changeLang, lang, languages, nextLanguage, onLang, t } from "../../words/words.js";
import { rememberChoice } from "../store/choices.js";
import { byId } from "./dom.js";

/**
 * `changed` gets the tag of the new language, `chosen` too, if it was a person's choice here, `failed` is called if its texts could not be loaded, and `menu` loads what
 * shows the list.
 * @typedef {object} LanguageHost
 * @property {(tag: string) => void} changed
 * @property {(tag: string) => void} chosen
 * @property {() => void} failed
 * @property {import("../page.js").Lazy<typeof import("./menu.js")>} menu
 */

/** The most languages between which a press on the button switches; of more it opens a list. */
const SWITCHED = 2;

/** The button for the language of the page: a switch where there are two, else a list. */
export class LanguageButton {
  #button = byId("lang", HTMLButtonElement);
  #chosen;
  #failed;
  #menu;

  /** @param {LanguageHost} host */
  constructor({ changed, chosen, failed, menu }) {
    this.#chosen = chosen;
    this.#failed = failed;
    this.#menu = menu;
    this.#button.addEventListener("click", () => this.#press());
    onLang(() => {
      rememberChoice("lang", lang());
      this.#name();
      changed(lang());
    });
  }

  #press() {
    if (languages().length > SWITCHED) this.#open();
    else this.#change(nextLanguage().tag);
  }

  /** @param {string} tag */
  #change(tag) {
    changeLang(tag).then(() => this.#chosen(tag), this.#failed);
  }

  /** Speak the language that was chosen on another device, unless the page was opened in another one. @param {string} tag */
  follow(tag) {
    const named = new URL(location.href).searchParams.has("lang");
    const known = languages().some((language) => language.tag === tag);
    if (tag !== lang() && known && !named) changeLang(tag).catch(this.#failed);
  }

  async #open() {
    const menu = await this.#menu();
    const items = languages().map(({ tag, name }) => {
      return { label: name, lang: tag, checked: tag === lang(), act: () => this.#change(tag) };
    });
    menu?.openMenu(this.#button, items, t("lang.choose"));
  }

  #name() {
    const { name, show } = nextLanguage();
    const many = languages().length > SWITCHED;
    this.#button.textContent = many ? lang() : name;
    this.#button.title = this.#button.ariaLabel = many ? t("lang.change", { name: t("language.name") }) : show;
  }
}
