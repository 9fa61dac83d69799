// @ts-check

/** @typedef {import("../../client/xinflight.js").Xinflight} Xinflight */
/** @typedef {import("./store.js").Store} Store */

/** Generations that are asked for at once, and the most pages of them for one further prompt: grids repeat theirs. */
const PAGE = 100;
const PAGES = 5;

/** The prompts that the owner has asked for, back to the oldest one: those that the page knows, then found ones. */
export class EarlierPrompts {
  #client;
  #store;
  /** @type {string[]} found in the history, the newest first */
  #found = [];
  /** Where the next page begins; null at the end of the history. @type {string | null | undefined} */
  #next;
  #owner = "";

  /**
   * @param {Xinflight} client
   * @param {Store} store
   */
  constructor(client, store) {
    this.#client = client;
    this.#store = store;
    client.on("welcome", ({ owner }) => {
      if (owner !== this.#owner) {
        this.#found = [];
        this.#next = undefined;
      }
      this.#owner = owner;
    });
  }

  /** Those known by now, the newest first; some may be there twice. @returns {string[]} */
  get known() {
    return [...this.#store.generations.value.flatMap(({ params }) => params.prompt ?? []), ...this.#found];
  }

  /** Look further back. Returns whether there are more now; without a connection there are none. */
  async more() {
    const had = new Set(this.known).size;
    const owner = this.#owner;
    for (let page = 0; page < PAGES && this.#next !== null; page += 1) {
      const found = await this.#client.library.find(this.#query).catch(() => null);
      if (!found || owner !== this.#owner) return false;
      this.#found.push(...found.tasks.flatMap(({ params, request }) => (params ?? request).prompt ?? []));
      this.#next = found.next ?? null;
      if (new Set(this.known).size > had) return true;
    }
    return false;
  }

  get #query() {
    const oldest = this.#store.generations.value.at(-1)?.created ?? Infinity;
    if (this.#next) return { limit: PAGE, cursor: this.#next };
    return { limit: PAGE, ...(oldest === Infinity ? {} : { until: oldest }) };
  }
}
