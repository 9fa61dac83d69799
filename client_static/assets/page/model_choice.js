// @ts-check

/** @typedef {import("../client/xinflight.js").ModelInfo} ModelInfo */
/** @typedef {{id: string, first: boolean, away: boolean}} ModelOption `first` is the default, `away` does not run now */

/**
 * Which model is asked for. What a person chose stands, also while that model is away, until the person chooses
 * another; who chose nothing goes with the server's default.
 */
export class ModelChoice {
  /** @type {string | null} null where nothing was chosen */
  chosen = null;
  /** @type {ModelInfo[] | null} null until the server has told */
  #models = null;
  /** @type {Map<string, ModelInfo>} as last told, also of those that are away */
  #known = new Map();

  /** @param {ModelInfo[]} models that run now */
  set models(models) {
    this.#models = models;
    for (const model of models) this.#known.set(model.id, model);
  }

  /** What to ask for: always the one that is shown. @returns {string | undefined} */
  get id() {
    return this.chosen ?? (this.#models?.find((model) => model.default) ?? this.#models?.[0])?.id;
  }

  /** What is known of it, its defaults above all. */
  get info() {
    return this.id === undefined ? undefined : this.#known.get(this.id);
  }

  /** Whether it is known not to run now. */
  get away() {
    return this.chosen !== null && this.#models?.every(({ id }) => id !== this.chosen) === true;
  }

  /** @returns {ModelOption[]} */
  get options() {
    const options = (this.#models ?? []).map(({ id, default: first }) => ({ id, first, away: false }));
    if (this.chosen !== null && options.every(({ id }) => id !== this.chosen)) {
      options.push({ id: this.chosen, first: false, away: this.away });
    }
    return options;
  }
}
