// @ts-check
import { html, render } from "../../vendor/lit-html/lit-html.js";
import { onLang, t } from "../../words/words.js";
import { keepLocal } from "../store/storage.js";
import { byId } from "./dom.js";
import { CTRL, KEYS_OFF, keysOn } from "./shortcuts.js";

/** @typedef {import("../../words/words.js").Key} Key */

const ALT = CTRL === "Ctrl" ? "Alt" : "⌥";

/** All keys of the page: of each part what is pressed, and the text of what it does. @type {[Key, [string[], Key][]][]} */
const KEYS = [
  ["keys.everywhere", [[["/"], "keys.find"], [["p"], "keys.prompt"], [["e"], "keys.presets"], [[CTRL, "Z"], "keys.undo"], [["Esc"], "keys.close"], [["?"], "keys.list"]]],
  ["keys.in_prompt", [[[CTRL, "Enter"], "keys.generate"], [["↑", "↓"], "keys.history"]]],
  ["keys.in_presets", [[["↑", "↓"], "keys.walk_presets"], [["1", "…", "9"], "keys.use_preset"]]],
  ["keys.in_flight", [[["↑", "↓"], "keys.row"], [[ALT, "↑", "↓"], "keys.move"], [["Delete"], "act.cancel"]]],
  ["keys.on_tile", [
    [["←", "→", "↑", "↓"], "keys.beside"],
    [["PgUp", "PgDn"], "keys.window"],
    [["Home", "End"], "keys.ends"],
    [["Tab"], "keys.acts"],
    [["s"], "keys.star"],
    [["Delete"], "keys.delete"],
  ]],
  ["keys.in_image", [
    [["←", "→"], "keys.walk"],
    [["+", "-", "0"], "keys.zoom"],
    [["←", "→", "↑", "↓"], "keys.pan"],
    [["PgUp", "PgDn"], "keys.walk_enlarged"],
    [["c"], "keys.compare"],
    [["d"], "keys.download"],
    [["s"], "keys.star"],
    [["Delete"], "keys.delete"],
  ]],
  ["keys.in_mask", [[["←", "→", "↑", "↓"], "keys.brush"], [["Space"], "keys.paint"], [[CTRL, "Z"], "keys.unpaint"]]],
];

/** The list of all keys. Single keys can be turned off there, because who dictates may press them unawares (WCAG 2.1.4). */
export class ShortcutList {
  #dialog = byId("shortcuts", HTMLDialogElement);

  constructor() {
    const on = byId("shortcuts-on", HTMLInputElement);
    on.checked = keysOn();
    on.addEventListener("change", () => keepLocal(KEYS_OFF, on.checked ? null : true));
    byId("shortcuts-close", HTMLButtonElement).addEventListener("click", () => this.#dialog.close());
    onLang(() => this.#render());
    this.#render();
  }

  open() {
    if (!this.#dialog.open) this.#dialog.showModal();
  }

  #render() {
    const row = (/** @type {string[]} */ keys, /** @type {Key} */ does) => html`
      <dt>${keys.map((key) => html`<kbd>${key}</kbd> `)}</dt><dd>${t(does)}</dd>`;
    const part = (/** @type {Key} */ name, /** @type {[string[], Key][]} */ keys) => html`
      <section><h3>${t(name)}</h3><dl class="keys">${keys.map(([pressed, does]) => row(pressed, does))}</dl></section>`;
    render(KEYS.map(([name, keys]) => part(name, keys)), byId("shortcuts-keys", HTMLElement));
  }
}
