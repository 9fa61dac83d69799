// @ts-check
import { keep, readKept } from "./storage.js";

/** @typedef {import("../../client/xinflight.js").Preferences} Preferences */
/** @typedef {import("../../client/xinflight.js").Xinflight} Xinflight */
/** @typedef {import("../../client/xinflight.js").XinflightError} XinflightError */

/** The code of a request that was not answered because the line was lost: it is made again on the next one. */
const LINE_LOST = "disconnected";

/**
 * `follow` is called with what the owner has set: on this or another device, at most once per change. `first`: since
 * the page was loaded, or since it shows another owner's images.
 * @typedef {object} PreferencesHost
 * @property {(preferences: Preferences, first: boolean) => void} follow
 * @property {(error: XinflightError) => void} problem
 */

/**
 * The preferences of the owner, which the server has for all of their devices. What is chosen here counts from then on,
 * also while there is no connection and over a reload; nothing of it is ever sent as another owner's. It does not use
 * the DOM.
 */
export class OwnPreferences {
  #client;
  #host;
  #place;
  /** @type {string | null} whose choices these are; null until the server names an owner */
  #owner;
  /** What was chosen here and is not stored yet. @type {Preferences} */
  #chosen;
  #version = -1;
  #first = true;
  #asking = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /**
   * @param {Xinflight} client
   * @param {string} key distinguishes this server from others at the same origin
   * @param {PreferencesHost} host
   */
  constructor(client, key, host) {
    this.#client = client;
    this.#host = host;
    this.#place = `xinflight.chosen ${key}`;
    const kept = /** @type {{owner: string | null, chosen: Preferences} | null} */ (readKept(this.#place));
    this.#owner = kept?.owner ?? null;
    this.#chosen = kept?.chosen ?? {};
    if (client.status.state === "live" && client.welcome) this.#begin(client.welcome.owner);
    client.on("welcome", ({ owner }) => this.#begin(owner));
    client.on("notice", ({ kind, version = 0, preferences = {} }) => {
      if (kind === "preferences") this.#follow({ version, preferences });
    });
  }

  /**
   * Store a choice.
   * @param {Preferences} change
   * @param {number} [after] milliseconds, within which another choice takes its place
   */
  choose(change, after = 0) {
    Object.assign(this.#chosen, change);
    this.#keep();
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#ask(), after);
  }

  /** Forget what is not stored yet, because its owner is not here any more. */
  clear() {
    clearTimeout(this.#timer);
    this.#owner = null;
    this.#chosen = {};
    this.#first = true;
    this.#keep();
  }

  /** @param {string} owner */
  #begin(owner) {
    if (this.#owner !== null && this.#owner !== owner) this.clear();
    this.#owner = owner;
    this.#keep();
    // A server that was set back to a backup may count from an older version.
    this.#version = -1;
    this.#ask();
  }

  #keep() {
    const none = Object.keys(this.#chosen).length === 0;
    keep(this.#place, none ? null : { owner: this.#owner, chosen: this.#chosen });
  }

  /** Store what was chosen, and get everything that is set. */
  async #ask() {
    // One at a time; whoever chose meanwhile is not forgotten.
    if (this.#asking) return;
    this.#asking = true;
    const chosen = { ...this.#chosen };
    try {
      const answer = await this.#client.library.prefer(Object.keys(chosen).length ? chosen : undefined);
      this.#settle(chosen);
      this.#follow(answer);
    } catch (error) {
      const problem = /** @type {XinflightError} */ (error);
      if (problem.code === LINE_LOST) return;
      this.#settle(chosen);
      this.#host.problem(problem);
    } finally {
      this.#asking = false;
    }
    if (Object.keys(this.#chosen).length) this.#ask();
  }

  /** Forget choices that the server has stored or refused, unless others took their places. @param {Preferences} chosen */
  #settle(chosen) {
    for (const field of /** @type {(keyof Preferences)[]} */ (Object.keys(chosen))) {
      if (this.#chosen[field] === chosen[field]) delete this.#chosen[field];
    }
    this.#keep();
  }

  /** @param {{version: number, preferences: Preferences}} told */
  #follow({ version, preferences }) {
    if (version < this.#version) return;
    this.#version = version;
    const first = this.#first;
    this.#first = false;
    // What was chosen here meanwhile is newer.
    const others = Object.entries(preferences).filter(([field]) => !(field in this.#chosen));
    this.#host.follow(Object.fromEntries(others), first);
  }
}
