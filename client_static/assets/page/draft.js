// @ts-check
import { keep, readKept } from "./storage.js";

/** @typedef {Record<string, string>} Values what stands in the fields, as it was typed */

/** What a person typed and has not sent, kept over a reload of this tab and shown to nobody else. */
export class Draft {
  #place;
  /** @type {string | null} whose it is; null until the server has told */
  #owner = null;

  /** @param {string} key what tells this server from others at the same origin */
  constructor(key) {
    this.#place = `xinflight.draft ${key}`;
  }

  /** @returns {Values | null} */
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

  /**
   * The server has told who this is. False: the draft is somebody else's, who used this tab before. It is gone now.
   * @param {string} owner
   */
  claim(owner) {
    const mine = this.#owner === null || this.#owner === owner;
    const values = mine ? this.load() : null;
    this.#owner = owner;
    // Also a draft from before anybody was known is from now on the owner's.
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
