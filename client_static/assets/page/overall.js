// @ts-check

/** @typedef {import("./picture_state.js").PictureState} PictureState */

/**
 * How far everything is that was asked for since nothing was on its way. Finished pictures count until all are; what
 * comes in between may keep the percentage where it is, but never lets it fall.
 */
export class Overall {
  /** @type {Set<PictureState>} */
  #batch = new Set();
  /** 0 to 99: with 100 nothing would be on its way. */
  percent = 0;
  /** How many pictures are still to come. */
  left = 0;

  /** @param {PictureState[]} states of all pictures of unfinished generations */
  update(states) {
    // What ended stays in the batch; what is gone from the page without an end would hold the rest back for ever.
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
