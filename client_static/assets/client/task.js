// @ts-check
import { Emitter } from "./emitter.js";
import { eventsOf } from "./history.js";

/** @typedef {import("./protocol.js").End} End */
/** @typedef {import("./protocol.js").GenerateParams} GenerateParams */
/** @typedef {import("./protocol.js").Params} Params */
/** @typedef {import("./protocol.js").TaskEvent} TaskEvent */
/** @typedef {import("./protocol.js").TaskInfo} TaskInfo */
/** @typedef {import("./protocol.js").XinflightError} XinflightError */

/**
 * What a task tells. `taken` says once that the server has it; `event` is everything of the wire, in order and once;
 * `cancelling` with null means the whole task; `kept` says that a cancel was refused; `end` comes exactly once.
 * @typedef {object} TaskEvents
 * @property {Params} taken
 * @property {TaskEvent} event
 * @property {{index: number | null}} cancelling
 * @property {{index: number}} cancelled one picture of several
 * @property {XinflightError} kept
 * @property {End} end
 */

/**
 * A generation as its client sees it. Listen with `on`, or iterate: `for await (const event of task)`.
 * @extends {Emitter<TaskEvents>}
 */
export class Task extends Emitter {
  /** @type {string} */
  id;
  /** @type {Readonly<GenerateParams & {task_id: string}>} sent again as it is until the server has taken it */
  request;
  /** @type {Params | null} in effect, once the server has taken it */
  params = null;
  /** @type {number | null} Unix seconds of its acceptance, once known */
  created = null;
  /** @type {TaskInfo | null} as a list told it, where it was found in one */
  info = null;
  /** @type {End | null} */
  end = null;
  /** Whether the request ever went out; if not, the server can't know of it. */
  sent = false;
  /** @type {Set<number | null>} cancels that were asked for, null for the whole task */
  wanted = new Set();
  #lastSeq = -1;
  /** @type {(end: End) => void} */
  #finish = () => {};
  /** Resolves with the end, whichever it is. */
  finished = /** @type {Promise<End>} */ (new Promise((resolve) => (this.#finish = resolve)));

  /** @param {GenerateParams & {task_id: string}} request */
  constructor(request) {
    super();
    this.request = Object.freeze(request);
    this.id = request.task_id;
  }

  /** For `Xinflight`: a task of a list. @param {TaskInfo} info */
  static from(info) {
    const task = new Task({ ...info.params, task_id: info.task_id });
    task.catchUp(info);
    task.info = info;
    return task;
  }

  /** Whether the server has it, and keeps it by its own promise. */
  get taken() {
    return this.params !== null;
  }

  /** How many pictures. */
  get count() {
    return (this.params ?? this.request).n ?? 1;
  }

  /** For `Xinflight`: the server has it. @param {Params} params in effect */
  take(params) {
    const news = !this.taken;
    this.sent = true;
    this.params = params;
    if (news) this.emit("taken", params);
  }

  /** For `Xinflight`: go on to where a list says that it is. @param {TaskInfo} info */
  catchUp(info) {
    for (const event of eventsOf(info)) this.receive(event);
  }

  /** For `Xinflight`: a new epoch counts anew. */
  forgetSeq() {
    this.#lastSeq = -1;
  }

  /**
   * For `Xinflight`: receive an event, unless a replay brought it a second time; returns whether it was new.
   * @param {TaskEvent} event
   */
  receive(event) {
    if (this.end) return false;
    if (event.type !== "progress" && event.seq !== undefined) {
      if (event.seq <= this.#lastSeq) return false;
      this.#lastSeq = event.seq;
    }
    if (event.type === "accepted") {
      this.created = event.timestamp;
      this.take(event.params);
    }
    const ends = event.type === "result" || event.type === "cancelled" || event.type === "error";
    if (ends) this.end = event;
    this.emit("event", event);
    if (ends) {
      this.emit("end", event);
      this.#finish(event);
    }
    return true;
  }

  /**
   * For `Xinflight`: remember that a cancel is wanted; false when it was already.
   * @param {number | null} index
   */
  wantCancel(index) {
    if (this.end || this.wanted.has(null) || this.wanted.has(index)) return false;
    this.wanted.add(index);
    this.emit("cancelling", { index });
    return true;
  }

  /** Every event until the end, which is the last one; of progress that nobody took yet, only each picture's newest. */
  async *[Symbol.asyncIterator]() {
    /** @type {TaskEvent[]} */
    const waiting = this.end ? [this.end] : [];
    let wake = () => {};
    const off = this.on("event", (event) => {
      const stale = waiting.findIndex(
        (old) => old.type === "progress" && event.type === "progress" && old.index === event.index,
      );
      if (stale >= 0) waiting.splice(stale, 1);
      waiting.push(event);
      wake();
    });
    try {
      for (;;) {
        const event = waiting.shift();
        if (event) yield event;
        if (event && event === this.end) return;
        if (waiting.length === 0) await new Promise((resolve) => (wake = () => resolve(undefined)));
      }
    } finally {
      off();
    }
  }
}
