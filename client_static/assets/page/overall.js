// @ts-check

/** @typedef {import("./output_state.js").OutputState} OutputState */

/**
 * The total progress of all outputs since the last time that none was unfinished. Finished outputs count until all are
 * finished. New requests may hold the percentage, but never lower it.
 */
export class Overall {
  /** @type {Set<OutputState>} */
  #batch = new Set();
  /** 0 to 99; reset to 0 when no output is unfinished. */
  percent = 0;
  /** The number of unfinished outputs. */
  left = 0;

  /** @param {OutputState[]} states of all outputs of unfinished generations */
  update(states) {
    // Ended outputs stay in the batch. Those that left the page without an end must not, or they would hold the
    // percentage down forever.
    this.#batch = new Set([...[...this.#batch].filter(({ ended }) => ended), ...states]);
    this.left = states.filter(({ ended }) => !ended).length;
    if (this.left === 0) {
      this.#batch.clear();
      this.percent = 0;
      return;
    }
    const sum = [...this.#batch].reduce((so_far, { ended, shown }) => so_far + (ended ? 100 : shown), 0);
    this.percent = Math.max(this.percent, Math.floor(sum / this.#batch.size));
  }
}
