// @ts-check

/** @typedef {import("./protocol.js").Progress} Progress */

/**
 * What to show of a progress: `percent` is 0 to 99, and 100 once the output is there. With `estimate` the server has
 * told a lower one, and whoever shows it must say so.
 * @typedef {{percent: number, estimate: boolean}} Shown
 */

/** Milliseconds without news after which an estimate takes the place of what was told. */
const QUIET = 1000;
/** The part of the time left after which an estimate slows down, since the output may be late. */
const SURE = 0.8;

/**
 * The progress of one output between two values: from the latest one to 100 within the time left, at an even rate.
 * It never falls within an attempt, and never reaches 100, which is the result's. It does not use a clock of its own.
 */
export class Estimate {
  /** The highest percentage that the server told in this attempt. */
  told = 0;
  #attempt = 1;
  /** What was shown when the latest value came. */
  #floor = 0;
  #at = 0;
  /** @type {number | null} seconds from `#at` until the output is ready, if known */
  #left = null;

  get attempt() {
    return this.#attempt;
  }

  /**
   * Take over what the server tells.
   * @param {Progress} progress
   * @param {number} now in milliseconds
   * @param {number} [age] seconds since the server found that, if it was not just now
   */
  take(progress, now, age = 0) {
    const attempt = progress.details?.attempt ?? 1;
    // An output that is back in the queue has lost its attempt; the next one starts from zero.
    const anew = attempt > this.#attempt || progress.state === "queued";
    this.#floor = anew ? 0 : this.at(now).percent;
    this.told = anew ? progress.progress : Math.max(this.told, progress.progress);
    this.#attempt = Math.max(attempt, this.#attempt);
    this.#at = now - age * 1000;
    const runs = progress.state === "starting" || progress.state === "running";
    this.#left = runs ? (progress.estimated_time ?? null) : null;
  }

  /** Estimate no further until the next value, as without a connection. @param {number} now in milliseconds */
  hold(now) {
    this.#floor = this.at(now).percent;
    this.#left = null;
  }

  /**
   * Return what to show.
   * @param {number} now in milliseconds
   * @returns {Shown}
   */
  at(now) {
    const quiet = now - this.#at;
    const part = this.#left === null || quiet < QUIET ? 0 : way(quiet / 1000 / Math.max(this.#left, 0.001));
    const estimated = Math.floor(this.told + (100 - this.told) * part);
    const percent = Math.min(Math.max(this.told, this.#floor, estimated), 99);
    return { percent, estimate: percent > this.told };
  }
}

/** Return which part of what is left is done after a part of the time left: less and less when it is late. */
function way(/** @type {number} */ part) {
  return part <= SURE ? part : 1 - (1 - SURE) * Math.exp(-(part - SURE) / (1 - SURE));
}

/**
 * How old the server's messages are, from their timestamps: a snapshot that a returning client is sent may be old. The
 * clocks differ by an unknown time; the message that took the least so far counts as new.
 */
export class Ages {
  /** Milliseconds by which the local clock is ahead, and the quickest message took. */
  #ahead = Infinity;

  /**
   * Return the age of a message in seconds.
   * @param {number | undefined} timestamp in Unix seconds; undefined counts as new
   * @param {number} now in milliseconds, of any clock that runs evenly
   */
  of(timestamp, now) {
    if (timestamp === undefined) return 0;
    this.#ahead = Math.min(this.#ahead, now - timestamp * 1000);
    return (now - timestamp * 1000 - this.#ahead) / 1000;
  }
}
