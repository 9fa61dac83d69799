// @ts-check

/** @typedef {import("../client/xinflight.js").ModelInfo} ModelInfo */
/** @typedef {{id: string, first: boolean, away: boolean}} ModelOption `first`: the default; `away`: not running now */

/**
 * The model to request. A model that the person chose stays selected until they choose another one, even while it is
 * not running; otherwise the server's default applies.
 */
export class ModelChoice {
  /** @type {string | null} null until the person chooses one */
  chosen = null;
  /** @type {ModelInfo[] | null} null until the first `welcome` */
  #models = null;
  /** @type {Map<string, ModelInfo>} the latest info of every model seen, including those no longer running */
  #known = new Map();

  /** @param {ModelInfo[]} models that are running now */
  set models(models) {
    this.#models = models;
    for (const model of models) this.#known.set(model.id, model);
  }

  /** The id to request; always the one that the form shows. @returns {string | undefined} */
  get id() {
    return this.chosen ?? (this.#models?.find((model) => model.default) ?? this.#models?.[0])?.id;
  }

  /** The latest info of the selected model, with its defaults. */
  get info() {
    return this.id === undefined ? undefined : this.#known.get(this.id);
  }

  /** Whether the chosen model is known not to be running. */
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
