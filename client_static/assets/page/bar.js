// @ts-check
import { byId } from "./ui/dom.js";
import { LanguageButton } from "./ui/language.js";
import { listenForKeys } from "./ui/shortcuts.js";
import { loadDialogs } from "./ui/dialogs.js";
import { ThemeButton } from "./ui/theme.js";
import { uncoverFocus } from "./ui/uncover.js";

/** @typedef {import("./page.js").Page} Page */

/** Connect the buttons of the top bar: theme, language and the list of keys. @param {Page} page */
export function openBar(page) {
  const theme = new ThemeButton((chosen) => page.choose({ theme: chosen }));
  uncoverFocus();
  const list = page.lazy(async () => {
    const [{ ShortcutList }] = await Promise.all([import("./ui/shortcut_list.js"), loadDialogs()]);
    return new ShortcutList();
  });
  const showList = async () => (await list())?.open();
  byId("shortcuts-open", HTMLButtonElement).addEventListener("click", showList);
  listenForKeys([
    { key: "/", act: () => byId("find-text", HTMLInputElement).focus() },
    { key: "p", act: () => byId("prompt", HTMLTextAreaElement).focus() },
    { key: "?", act: showList },
  ]);
  const language = new LanguageButton({
    changed: (tag) => page.client.setLang(tag),
    chosen: (tag) => page.choose({ language: tag }),
    failed: () => page.problem({ code: "unreachable" }),
    menu: page.lazy(() => import("./ui/menu.js")),
  });
  page.onPreferences((own) => {
    if (own.theme) theme.show(own.theme);
    if (own.language) language.follow(own.language);
  });
}
