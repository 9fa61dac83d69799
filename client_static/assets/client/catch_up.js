// @ts-check
import { DISCONNECTED } from "./answers.js";
import { Cursor } from "./cursor.js";

/** @typedef {import("./protocol.js").Answer} Answer */
/** @typedef {import("./protocol.js").TaskEvent} TaskEvent */
/** @typedef {import("./protocol.js").TaskInfo} TaskInfo */
/** @typedef {import("./protocol.js").XinflightError} XinflightError */

/** Tasks on a page of the history. */
const PAGE = 50;
/** The most that a list gives at once. */
const MOST = 200;
/** Ids in one question: with 64 characters each they stay below the server's 64 KiB. */
const IDS = 500;

/**
 * `merge` a task as a list tells it, true if it is new here; `known` the ids of all tasks that the server took;
 * `gone` are those that it has no more. `resumed` says how many stored events were missed, null when there was a gap
 * and everything was listed anew.
 * @typedef {object} CatchUpHost
 * @property {(message: object) => Promise<Answer>} ask
 * @property {(info: TaskInfo) => boolean} merge
 * @property {() => string[]} known
 * @property {(ids: string[]) => void} gone
 * @property {(events: number | null) => void} resumed
 * @property {(more: boolean) => void} listed
 * @property {(error: XinflightError) => void} failed
 */

/** Brings a new connection to where the server is, by the one cursor, and pages back through the history. */
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

  /** Whether this connection has told all that was missed. */
  get done() {
    return this.#cursor.moving;
  }

  /**
   * An event arrived. Only stored ones move the cursor: a snapshot may have overtaken one that is still on its way.
   * @param {TaskEvent} event
   * @param {boolean} fresh whether it was not here yet
   */
  see(event, fresh) {
    if (event.type === "progress" || event.seq === undefined) return;
    if (fresh && !this.done) this.#missed += 1;
    this.#cursor.see(event.seq);
  }

  /** A connection begins. Never rejects: what goes wrong is told to the host. @param {string} epoch */
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
      const told = /** @type {XinflightError} */ (error);
      if (told.code !== DISCONNECTED) this.#host.failed(told);
    }
  }

  /** Fetch older tasks, until some are new here or there are none left. Rejects with an `XinflightError`. */
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
   * Replay what came after a cursor, and follow everything from there on. False: there is a gap.
   * @param {string} after
   */
  async #resume(after) {
    const answer = await this.#host.ask({ action: "resume", scope: "all", after });
    if (answer.type !== "recovered" || !answer.recovered) this.#cursor.lose();
    else this.#cursor.settle(answer.cursor);
    return this.done;
  }

  /** The newest tasks and the unfinished ones, then what happened since: nothing falls between. */
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

  /** Ask which of these the server has no more: nobody tells of a deletion to who is away. @param {string[]} ids */
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
