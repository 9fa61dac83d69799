// @ts-check
import { DISCONNECTED } from "./answers.js";
import { Cursor } from "./cursor.js";

/** @typedef {import("./protocol.js").Answer} Answer */
/** @typedef {import("./protocol.js").TaskEvent} TaskEvent */
/** @typedef {import("./protocol.js").TaskInfo} TaskInfo */
/** @typedef {import("./protocol.js").XinflightError} XinflightError */

/** Tasks per page of the history. */
const PAGE = 50;
/** The most tasks that one `list` request may return. */
const MOST = 200;
/** Task ids per request: with 64 characters each, a frame stays below the server's limit of 64 KiB. */
const IDS = 500;

/**
 * `merge` adds or updates a task from a list and returns whether it is new here; `known` returns the ids of all
 * acknowledged tasks; `gone` receives the ids that the server no longer has. `resumed` receives the number of missed
 * stored events, or null if there was a gap and everything was listed again.
 * @typedef {object} CatchUpHost
 * @property {(message: {action: string, [field: string]: unknown}) => Promise<Answer>} ask
 * @property {(info: TaskInfo) => boolean} merge
 * @property {() => string[]} known
 * @property {(ids: string[]) => void} gone
 * @property {(events: number | null) => void} resumed
 * @property {(more: boolean) => void} listed
 * @property {(error: XinflightError) => void} failed
 */

/** Synchronizes with the server after each connect, by one cursor, and pages through the history. */
export class CatchUp {
  #host;
  #cursor = new Cursor();
  #missed = 0;
  /** @type {string | undefined} */
  #next;

  /** @param {CatchUpHost} host */
  constructor(host) {
    this.#host = host;
  }

  /** Whether everything missed has arrived on this connection. */
  get done() {
    return this.#cursor.moving;
  }

  /**
   * Move the cursor past an event. Only stored events move it: a snapshot may overtake an event that is still on its
   * way, and a later `resume` would then skip that event.
   * @param {TaskEvent | import("./protocol.js").Marked} event
   * @param {boolean} fresh whether it was not known here yet
   */
  see(event, fresh) {
    if (event.type === "progress" || event.seq === undefined) return;
    if (fresh && !this.done) this.#missed += 1;
    this.#cursor.see(event.seq);
  }

  /**
   * Synchronize after a connect: resume after the cursor, or list everything. Never rejects; errors go to `failed`.
   * @param {string} epoch
   */
  async begin(epoch) {
    const known = this.#host.known();
    this.#cursor.begin(epoch);
    this.#missed = 0;
    try {
      const recovered = this.#cursor.after !== null && (await this.#resume(this.#cursor.after));
      if (!recovered) await this.#list();
      await this.#findGone(known);
      if (recovered || known.length) this.#host.resumed(recovered ? this.#missed : null);
    } catch (error) {
      const failure = /** @type {XinflightError} */ (error);
      if (failure.code !== DISCONNECTED) this.#host.failed(failure);
    }
  }

  /**
   * Fetch pages of older tasks until one has tasks that are new here, or none are left. Returns how many are new.
   * Rejects with an `XinflightError`.
   */
  async more() {
    let fresh = 0;
    while (this.#next !== undefined && fresh === 0) {
      const page = await this.#page({ limit: PAGE, cursor: this.#next });
      fresh = this.#merge(page.tasks);
      this.#next = page.next;
    }
    this.#host.listed(this.#next !== undefined);
    return fresh;
  }

  /**
   * Replay the events after a cursor and subscribe to everything that follows. Returns false if there is a gap.
   * @param {string} after
   */
  async #resume(after) {
    const answer = await this.#host.ask({ action: "resume", scope: "all", after });
    if (answer.type !== "recovered" || !answer.recovered) this.#cursor.lose();
    else this.#cursor.settle(answer.cursor);
    return this.done;
  }

  /** List the newest and all unfinished tasks, then resume after the list's cursor, so that no event is missed. */
  async #list() {
    do {
      const newest = await this.#page({ limit: PAGE });
      this.#merge(newest.tasks);
      /** @type {string | undefined} */
      let cursor;
      do {
        const page = await this.#page({ limit: MOST, state: "unfinished", cursor });
        this.#merge(page.tasks);
        cursor = page.next;
      } while (cursor !== undefined);
      this.#next = newest.next;
      this.#host.listed(this.#next !== undefined);
      await this.#resume(newest.cursor);
    } while (!this.done);
  }

  /** Find tasks that were deleted while this client was offline; deletions are not replayed. @param {string[]} ids */
  async #findGone(ids) {
    for (let at = 0; at < ids.length; at += IDS) {
      const tasks = ids.slice(at, at + IDS);
      const answer = await this.#host.ask({ action: "resume", tasks, after: this.#cursor.after });
      if (answer.type === "recovered" && answer.unknown) this.#host.gone(answer.unknown);
    }
  }

  /**
   * @param {{limit: number, state?: string, cursor?: string}} which
   * @returns {Promise<import("./protocol.js").Tasks>}
   */
  async #page(which) {
    return /** @type {import("./protocol.js").Tasks} */ (await this.#host.ask({ action: "list", ...which }));
  }

  /** @param {TaskInfo[]} infos @returns {number} how many are new here */
  #merge(infos) {
    return infos.filter((info) => this.#host.merge(info)).length;
  }
}
