// @ts-check

/**
 * Where a client stands in the order of its owner's events: the highest seq after which nothing is missing. It comes
 * from stored events, `recovered` and `tasks`, and from nothing else.
 *
 * During a replay the numbers seen are no safe place to go on from, since an older event may still be on its way; so
 * they only count once the replay is over.
 */
export class Cursor {
  #epoch = "";
  /** @type {number | null} */
  #safe = null;
  #seen = 0;
  #moving = false;

  /** What to `resume` after; null when there is nothing to go on from. */
  get after() {
    return this.#safe === null ? null : `${this.#epoch}:${this.#safe}`;
  }

  /** Whether all that is missing has come, so that every number seen counts. */
  get moving() {
    return this.#moving;
  }

  /**
   * A connection begins; it has told nothing yet.
   * @param {string} epoch numbers of another epoch mean nothing
   */
  begin(epoch) {
    if (epoch !== this.#epoch) this.#safe = null;
    this.#epoch = epoch;
    this.#seen = 0;
    this.#moving = false;
  }

  /** @param {number} seq of a stored event that arrived */
  see(seq) {
    this.#seen = Math.max(this.#seen, seq);
    if (this.#moving) this.#safe = Math.max(this.#safe ?? 0, seq);
  }

  /** The replay is over. @param {string} cursor up to which it went */
  settle(cursor) {
    const upto = Number(cursor.slice(cursor.lastIndexOf(":") + 1));
    this.#safe = Math.max(upto, this.#seen);
    this.#moving = true;
  }

  /** There is a gap: only a list tells what there is. */
  lose() {
    this.#safe = null;
  }
}
