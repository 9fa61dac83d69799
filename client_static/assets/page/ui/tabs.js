// @ts-check
import { byId } from "./dom.js";

/** @typedef {"studio" | "chat"} TabName */

/** @type {TabName[]} */
const NAMES = ["studio", "chat"];

/** The tabs of the page: what makes images and videos, and the chat. They are shown only where there is a chat model. */
export class Tabs {
  #list = byId("tabs", HTMLElement);
  #changed;
  /** @type {TabName} */
  #shown = "studio";

  /** @param {(name: TabName) => void} changed called when another tab is shown */
  constructor(changed) {
    this.#changed = changed;
    for (const name of NAMES) button(name).addEventListener("click", () => this.show(name));
    this.#list.addEventListener("keydown", (event) => {
      if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
      event.preventDefault();
      const [other = "studio"] = NAMES.filter((name) => name !== this.#shown);
      this.show(other);
      button(other).focus();
    });
  }

  get shown() {
    return this.#shown;
  }

  /** Show the tabs, or only what makes images. @param {boolean} chat */
  offer(chat) {
    this.#list.hidden = !chat;
    if (!chat) this.show("studio");
  }

  /** @param {TabName} name */
  show(name) {
    const changed = name !== this.#shown;
    this.#shown = name;
    for (const each of NAMES) {
      button(each).setAttribute("aria-selected", String(each === name));
      button(each).tabIndex = each === name ? 0 : -1;
      byId(each, HTMLElement).hidden = each !== name;
    }
    if (changed) this.#changed(name);
  }
}

/** @param {TabName} name */
function button(name) {
  return byId(`${name}-tab`, HTMLButtonElement);
}
