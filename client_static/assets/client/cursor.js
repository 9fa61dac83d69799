// @ts-check

/**
 * The client's position in its owner's events: the highest seq up to which no event is missing. It advances with stored
 * events and the cursors of `recovered` and `tasks` only.
 *
 * During a replay, live events may arrive before older replayed ones, so their seq does not count until the replay is
 * complete. Resuming after it earlier would skip events.
 */
export class Cursor {
  #epoch = "";
  /** @type {number | null} */
  #safe = null;
  #seen = 0;
  #moving = false;

  /** The cursor to `resume` after; null if there is none, and a `list` is needed. */
  get after() {
    return this.#safe === null ? null : `${this.#epoch}:${this.#safe}`;
  }

  /** Whether the replay is complete, so that every seq seen moves the cursor. */
  get moving() {
    return this.#moving;
  }

  /**
   * Start a new connection: the cursor stays until its replay is complete.
   * @param {string} epoch a new epoch invalidates the cursor
   */
  begin(epoch) {
    if (epoch !== this.#epoch) this.#safe = null;
    this.#epoch = epoch;
    this.#seen = 0;
    this.#moving = false;
  }

  /** Record the seq of a stored event that arrived. @param {number} seq */
  see(seq) {
    this.#seen = Math.max(this.#seen, seq);
    if (this.#moving) this.#safe = Math.max(this.#safe ?? 0, seq);
  }

  /** Complete the replay. @param {string} cursor the position up to which it went */
  settle(cursor) {
    const upto = Number(cursor.slice(cursor.lastIndexOf(":") + 1));
    this.#safe = Math.max(upto, this.#seen);
    this.#moving = true;
  }

  /** Drop the cursor after a gap; a `list` is needed. */
  lose() {
    this.#safe = null;
  }
}
