// @ts-check

/** @typedef {import("../../client/xinflight.js").Preset} Preset */
/** @typedef {import("../../client/xinflight.js").PresetsChange} PresetsChange */
/** @typedef {import("../../client/xinflight.js").Xinflight} Xinflight */
/** @typedef {import("../../client/xinflight.js").XinflightError} XinflightError */

/** The code of a request that was not answered because the line was lost; the next connection asks again. */
const LINE_LOST = "disconnected";

/**
 * `changed` is called after each change of the list, whichever device made it.
 * @typedef {{changed: () => void, problem: (error: XinflightError) => void}} PresetsHost
 */

/** The presets of the owner, as the server has them for all of their devices. It does not use the DOM. */
export class OwnPresets {
  #client;
  #host;
  /** @type {string | null} */
  #owner = null;
  /** @type {Preset[]} */
  #presets = [];
  /** Null until the server has told. @type {number | null} */
  #version = null;
  /** Requests are made one after the other, so that their answers come in the order of the changes. */
  #turn = Promise.resolve();

  /**
   * @param {Xinflight} client
   * @param {PresetsHost} host
   */
  constructor(client, host) {
    this.#client = client;
    this.#host = host;
    if (client.status.state === "live" && client.welcome) this.#begin(client.welcome.owner);
    client.on("welcome", ({ owner }) => this.#begin(owner));
    client.on("notice", ({ kind, version }) => {
      if (kind === "presets") this.#follow(version);
    });
  }

  /** @returns {Preset[]} by name */
  get list() {
    return this.#presets.toSorted((one, other) => one.name.localeCompare(other.name));
  }

  /** Whether the server has told what there is. */
  get known() {
    return this.#version !== null;
  }

  /**
   * Delete and save presets, and return the change that undoes this. Rejects with an `XinflightError`, also while there is
   * no connection; then nothing was changed.
   * @param {PresetsChange} change
   * @returns {Promise<PresetsChange>}
   */
  async change(change) {
    return this.#next(async () => {
      const before = this.#presets;
      this.#take(await this.#client.library.presets(change));
      return inverse(change, before);
    });
  }

  /** Forget everything, because it is somebody else's. */
  clear() {
    this.#owner = null;
    this.#presets = [];
    this.#version = null;
    this.#host.changed();
  }

  /** @param {string} owner */
  #begin(owner) {
    if (this.#owner !== null && this.#owner !== owner) this.clear();
    this.#owner = owner;
    // They may have been changed since, or the server was set back to a backup.
    this.#follow(undefined);
  }

  /** Ask for what another device has changed. @param {number | undefined} version undefined: whatever there is */
  async #follow(version) {
    try {
      await this.#next(async () => {
        // It was an own change, whose answer has come meanwhile.
        if (version === undefined || version !== this.#version) this.#take(await this.#client.library.presets());
      });
    } catch (error) {
      const problem = /** @type {XinflightError} */ (error);
      if (problem.code !== LINE_LOST) this.#host.problem(problem);
    }
  }

  /** @param {{version: number, presets: Preset[]}} answer */
  #take({ version, presets }) {
    this.#version = version;
    this.#presets = presets;
    this.#host.changed();
  }

  /**
   * @template T
   * @param {() => Promise<T>} work
   * @returns {Promise<T>}
   */
  #next(work) {
    const done = this.#turn.then(work);
    this.#turn = done.then(
      () => {},
      () => {},
    );
    return done;
  }
}

/**
 * Return the change that brings back what there was.
 * @param {PresetsChange} change
 * @param {Preset[]} before
 * @returns {PresetsChange}
 */
export function inverse({ save = [], delete: gone = [] }, before) {
  const names = new Set([...save.map(({ name }) => name), ...gone]);
  const back = before.filter(({ name }) => names.has(name));
  const had = new Set(back.map(({ name }) => name));
  return { save: back, delete: [...names].filter((name) => !had.has(name)) };
}
