// @ts-check

/** @typedef {import("./output_state.js").OutputState} OutputState */

const DONE = Object.freeze({ percent: 100, estimate: false });

/**
 * The total progress of all outputs since the last time that none was unfinished. Finished outputs count until all are
 * finished. New requests may hold the percentage, but never lower it.
 */
export class Overall {
  /** @type {Set<OutputState>} */
  #batch = new Set();
  /** 0 to 99; reset to 0 when no output is unfinished. */
  percent = 0;
  /** Whether part of it is estimated. */
  estimate = false;
  /** The number of unfinished outputs. */
  left = 0;

  /**
   * @param {OutputState[]} states of all outputs of unfinished generations
   * @param {number} now in milliseconds
   */
  update(states, now) {
    // Ended outputs stay in the batch. Those that left the page without an end must not, or they would hold the
    // percentage down forever.
    this.#batch = new Set([...[...this.#batch].filter(({ ended }) => ended), ...states]);
    this.left = states.filter(({ ended }) => !ended).length;
    if (this.left === 0) {
      this.#batch.clear();
      this.percent = 0;
      this.estimate = false;
      return;
    }
    const shown = [...this.#batch].map((state) => (state.ended ? DONE : state.shownAt(now)));
    const sum = shown.reduce((so_far, { percent }) => so_far + percent, 0);
    this.percent = Math.max(this.percent, Math.floor(sum / this.#batch.size));
    this.estimate = shown.some(({ estimate }) => estimate);
  }
}
