// @ts-check
import { keep, readKept } from "./storage.js";

/** @typedef {Record<string, string>} Values the raw content of each form field by name */

/** The unsent content of the form. It survives a reload of this tab and is never shown to another user. */
export class Draft {
  #place;
  /** @type {string | null} the draft's owner; null until the server names one */
  #owner = null;

  /** @param {string} key distinguishes this server from others at the same origin */
  constructor(key) {
    this.#place = `xinflight.draft ${key}`;
  }

  /** Return the saved draft, or null if there is none or it is malformed. @returns {Values | null} */
  load() {
    const kept = readKept(this.#place);
    if (!isRecord(kept) || !isRecord(kept.values)) return null;
    if (typeof kept.owner === "string") this.#owner = kept.owner;
    const texts = Object.entries(kept.values).filter(([, value]) => typeof value === "string");
    return /** @type {Values} */ (Object.fromEntries(texts));
  }

  /** @param {Values} values */
  save(values) {
    keep(this.#place, { owner: this.#owner, values });
  }

  /** Delete the draft; the next one belongs to whoever the server names next. */
  clear() {
    this.#owner = null;
    keep(this.#place, null);
  }

  /**
   * Bind the draft to the current user. Returns false if it belonged to another user of this tab; it is then deleted.
   * @param {string} owner
   */
  claim(owner) {
    const mine = this.#owner === null || this.#owner === owner;
    const values = mine ? this.load() : null;
    this.#owner = owner;
    // A draft that was typed before the first `welcome` has no owner yet; from now on it is this user's.
    if (values) this.save(values);
    else keep(this.#place, null);
    return mine;
  }
}

/**
 * @param {unknown} value
 * @returns {value is Record<string, unknown>}
 */
function isRecord(value) {
  return typeof value === "object" && value !== null;
}
