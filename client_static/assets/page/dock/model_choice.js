// @ts-check
import { NOTHING, kindOf, kindsFor } from "./kinds.js";

/** @typedef {import("./kinds.js").Kind} Kind */
/** @typedef {import("./kinds.js").Given} Given */
/** @typedef {import("../../client/xinflight.js").ModelInfo} ModelInfo */
/**
 * `kind`: what it would make of the request; `first`: the default; `away`: not running now.
 * @typedef {{id: string, kind: Kind | null, first: boolean, away: boolean}} ModelOption
 */

/**
 * The model to request. Only models that can do something with what is given are offered. A model that the person chose
 * stays selected until they choose another one, even while it is not running; while it can't do what is asked, and
 * without a choice, the server's default applies.
 */
export class ModelChoice {
  /** @type {string | null} null until the person chooses one */
  chosen = null;
  /** @type {Readonly<Given>} */
  given = NOTHING;
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
    return this.#usable ? (this.chosen ?? undefined) : this.#default?.id;
  }

  /** The latest info of the selected model, with its defaults. */
  get info() {
    return this.id === undefined ? undefined : this.#known.get(this.id);
  }

  /** What the selected model makes of the request; null if that is not known. */
  get kind() {
    return this.info ? kindOf(this.info, this.given) : null;
  }

  /** Whether the selected model is known not to be running. */
  get away() {
    return this.#usable && this.#models?.every(({ id }) => id !== this.chosen) === true;
  }

  /** Whether models are running, but none that can do what is asked. */
  get none() {
    return this.#models !== null && this.#models.length > 0 && this.id === undefined;
  }

  /** @returns {ModelOption[]} */
  get options() {
    /** @type {ModelOption[]} */
    const options = (this.#models ?? []).flatMap((model) => {
      const kind = kindOf(model, this.given);
      return kind ? [{ id: model.id, kind, first: model === this.#default, away: false }] : [];
    });
    if (this.#usable && options.every(({ id }) => id !== this.chosen)) {
      options.push({ id: this.chosen ?? "", kind: this.kind, first: false, away: this.away });
    }
    return options;
  }

  /** Whether the chosen model can do what is asked, as far as is known. */
  get #usable() {
    const info = this.#known.get(this.chosen ?? "");
    return this.chosen !== null && (!info || kindOf(info, this.given) !== null);
  }

  /** @returns {ModelInfo | undefined} the server's default for what is asked, else the first model that can do it */
  get #default() {
    const able = (this.#models ?? []).filter((model) => kindOf(model, this.given) !== null);
    for (const kind of kindsFor(this.given)) {
      const those = able.filter((model) => kindOf(model, this.given) === kind);
      const found = those.find((model) => model.default_for?.includes(kind)) ?? those[0];
      if (found) return found;
    }
    return undefined;
  }
}
