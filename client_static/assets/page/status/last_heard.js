// @ts-check
import { onLang, plural, t, when } from "../../words/words.js";
import { byId, showText } from "../ui/dom.js";

/** @typedef {import("../../client/xinflight.js").Xinflight} Xinflight */
/** @typedef {{ at: number, unfinished: number }} LastHeard Unix time in seconds, and how many generations were unfinished */

/**
 * Says what became of the running work to somebody who opens the page while its server is away: how many generations
 * were under way when it was last heard. Only their number is kept in this browser.
 */
export class LastHeardBanner {
  #client;
  #place;
  #banner = byId("away", HTMLElement);
  #live = false;

  /**
   * @param {Xinflight} client
   * @param {string} key distinguishes this server from others at the same origin
   */
  constructor(client, key) {
    this.#client = client;
    this.#place = `xinflight.last_heard ${key}`;
    let heard = false;
    const hear = (/** @type {import("../../client/xinflight.js").Status} */ { state }) => {
      // A line that breaks later is told by the status bar, beside what was under way.
      if (this.#live) this.#note();
      this.#live = state === "live";
      heard ||= this.#live;
      this.#show(!heard && state === "reconnecting");
    };
    hear(client.status);
    client.on("status", hear);
    addEventListener("pagehide", () => this.#live && this.#note());
    document.addEventListener("visibilitychange", () => document.hidden && this.#live && this.#note());
    onLang(() => this.#show(!this.#banner.hidden));
  }

  /** Forget what was noted: it is about somebody who is not here any more. */
  clear() {
    this.#live = false;
    this.#write({ at: 0, unfinished: 0 });
  }

  #note() {
    const unfinished = this.#client.unfinished.filter(({ acknowledged }) => acknowledged).length;
    this.#write({ at: Date.now() / 1000, unfinished });
  }

  /** @param {LastHeard} last */
  #write(last) {
    try {
      localStorage.setItem(this.#place, JSON.stringify(last));
    } catch {
      // Storage is disabled or full; then there is nothing to tell later.
    }
  }

  /** @param {boolean} away */
  #show(away) {
    const last = away ? this.#read() : null;
    const time = last ? when(last.at, "short") : "";
    if (!last) showText(this.#banner, "");
    else if (last.unfinished) showText(this.#banner, plural("away.unfinished", last.unfinished, { time }));
    else showText(this.#banner, t("away.nothing", { time }));
  }

  /** @returns {LastHeard | null} */
  #read() {
    try {
      const { at, unfinished } = JSON.parse(localStorage.getItem(this.#place) ?? "");
      return at && typeof at === "number" && typeof unfinished === "number" ? { at, unfinished } : null;
    } catch {
      return null;
    }
  }
}
