// @ts-check
import { changeLang, lang, nextLanguage, onLang } from "../words/words.js";
import { rememberChoice } from "./store/choices.js";
import { byId } from "./ui/dom.js";
import { listenForKeys } from "./ui/shortcuts.js";
import { ThemeButton } from "./ui/theme.js";

/** @typedef {import("./page.js").Page} Page */

/** Connect the buttons of the top bar: theme, language and the list of keys. @param {Page} page */
export function openBar(page) {
  new ThemeButton();
  const list = page.lazy(async () => new (await import("./ui/shortcut_list.js")).ShortcutList());
  const showList = async () => (await list())?.open();
  byId("shortcuts-open", HTMLButtonElement).addEventListener("click", showList);
  listenForKeys([
    { key: "p", act: () => byId("prompt", HTMLTextAreaElement).focus() },
    { key: "?", act: showList },
  ]);
  const language = byId("lang", HTMLButtonElement);
  language.addEventListener("click", () => {
    changeLang(nextLanguage().tag).catch(() => page.problem({ code: "unreachable" }));
  });
  onLang(() => {
    rememberChoice("lang", lang());
    const { name, show } = nextLanguage();
    language.textContent = name;
    language.title = show;
    language.ariaLabel = show;
    page.client.setLang(lang());
  });
}
