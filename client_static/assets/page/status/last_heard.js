// @ts-check
import { onLang, plural, sentences, t, when } from "../../words/words.js";
import { byId, showText } from "../ui/dom.js";

/** @typedef {import("../../client/xinflight.js").Xinflight} Xinflight */
/**
 * `at`: Unix time in seconds; `unfinished`: how many generations were; `cancelled`: whether some were cancelled after that,
 * which the server may not have heard.
 * @typedef {{ at: number, unfinished: number, cancelled: boolean }} LastHeard
 */

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
    addEventListener("pagehide", () => this.#leave());
    document.addEventListener("visibilitychange", () => document.hidden && this.#leave());
    onLang(() => this.#show(!this.#banner.hidden));
  }

  /** Forget what was noted: it is about somebody who is not here any more. */
  clear() {
    this.#live = false;
    this.#write({ at: 0, unfinished: 0, cancelled: false });
  }

  #leave() {
    const last = this.#read();
    if (this.#live) this.#note();
    else if (last && this.#client.unfinished.some(({ wanted }) => wanted.size)) this.#write({ ...last, cancelled: true });
  }

  #note() {
    const unfinished = this.#client.unfinished.filter(({ acknowledged }) => acknowledged).length;
    this.#write({ at: Date.now() / 1000, unfinished, cancelled: false });
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
    else if (last.unfinished) {
      const then = plural("away.unfinished", last.unfinished, { time });
      showText(this.#banner, sentences([then, last.cancelled && t("away.cancelled")]));
    } else showText(this.#banner, t("away.nothing", { time }));
  }

  /** @returns {LastHeard | null} */
  #read() {
    try {
      const { at, unfinished, cancelled = false } = JSON.parse(localStorage.getItem(this.#place) ?? "");
      return at && typeof at === "number" && typeof unfinished === "number" ? { at, unfinished, cancelled } : null;
    } catch {
      return null;
    }
  }
}
