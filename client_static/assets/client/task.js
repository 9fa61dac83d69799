// @ts-check
import { Emitter } from "./emitter.js";
import { Estimate } from "./estimate.js";
import { GrowingText } from "./growing_text.js";
import { eventsOf, marksOf } from "./history.js";

/** @typedef {import("./protocol.js").Delta} Delta */
/** @typedef {import("./protocol.js").End} End */
/** @typedef {import("./protocol.js").Marked} Marked */
/** @typedef {import("./protocol.js").OutputMarks} OutputMarks */
/** @typedef {import("./protocol.js").OutputRef} OutputRef */
/** @typedef {import("./protocol.js").Params} Params */
/** @typedef {import("./protocol.js").QueuedOutput} QueuedOutput */
/** @typedef {import("./protocol.js").TaskEvent} TaskEvent */
/** @typedef {import("./protocol.js").TaskInfo} TaskInfo */
/** @typedef {import("./protocol.js").TaskRequest} TaskRequest */
/** @typedef {import("./protocol.js").XinflightError} XinflightError */

/**
 * The events of a task. `acknowledged`: the server has stored it, emitted once. `event`: each event of the wire, in
 * order and once. `cancelling`: a cancel was requested, of the whole task if `index` is null. `cancelRefused`: the
 * server refused a cancel. `end`: the final event, emitted exactly once.
 * @typedef {object} TaskEvents
 * @property {Params} acknowledged
 * @property {TaskEvent} event
 * @property {ReadonlyMap<number, QueuedOutput>} places the places of its waiting outputs changed
 * @property {{index: number | null}} cancelling
 * @property {{index: number}} cancelled one output of several
 * @property {XinflightError} cancelRefused
 * @property {ReadonlyMap<number, OutputMarks>} marks outputs were starred, tagged, deleted or restored, also after the end
 * @property {End} end
 */

/**
 * A generation or a chat. Listen with `on`, or iterate: `for await (const event of task)`.
 * @extends {Emitter<TaskEvents>}
 */
export class Task extends Emitter {
  /** @type {string} */
  id;
  /** @type {"generate" | "chat"} */
  action;
  /** @type {Readonly<TaskRequest>} sent again unchanged until acknowledged */
  request;
  /** @type {Params | null} the parameters in effect, once acknowledged */
  params = null;
  /** @type {unknown} what its client noted with it */
  metadata;
  /** @type {number | null} Unix time of its acceptance, once known */
  created = null;
  /** @type {TaskInfo | null} the list entry, if the task was found in a list */
  info = null;
  /** @type {End | null} */
  end = null;
  /** Whether the request was ever sent. If not, the server can't know the task. */
  sent = false;
  /** @type {Set<number | null>} indexes of requested cancels; null means the whole task */
  wanted = new Set();
  /** @type {ReadonlyMap<number, QueuedOutput>} by index, the places of the outputs that wait, as far as they are known */
  places = new Map();
  /** @type {ReadonlyMap<number, OutputMarks>} by index, what the owner noted of outputs, and which were deleted */
  marks = new Map();
  /** @type {Set<number>} indexes of outputs that don't wait */
  #begun = new Set();
  /** @type {Map<string, GrowingText>} by index and channel */
  #texts = new Map();
  /** Seconds since the server found what the latest event tells, when it came: that of a snapshot may be old. */
  age = 0;
  /** @type {Map<number, Estimate>} by index */
  #estimates = new Map();
  /** @type {Set<number>} indexes of outputs that are there */
  #made = new Set();
  #lastSeq = -1;
  /** What was told already, by a list perhaps: its events have no seq, and the stored ones may follow. @type {Set<string>} */
  #told = new Set();
  /** @type {(end: End) => void} */
  #finish = () => {};
  /** Resolves with the final event, also if the task failed or was cancelled. */
  finished = /** @type {Promise<End>} */ (new Promise((resolve) => (this.#finish = resolve)));

  /**
   * @param {TaskRequest} request
   * @param {"generate" | "chat"} [action]
   */
  constructor(request, action = "generate") {
    super();
    this.action = action;
    this.request = Object.freeze(request);
    this.id = request.task_id;
    this.metadata = request.metadata;
  }

  /** Internal: create a task from a list. @param {TaskInfo} info */
  static from(info) {
    const task = new Task({ ...info.params, task_id: info.task_id });
    task.catchUp(info);
    task.info = info;
    return task;
  }

  /** Whether the server has acknowledged the task; from then on it is never lost. */
  get acknowledged() {
    return this.params !== null;
  }

  /** The number of outputs. */
  get count() {
    return (this.params ?? this.request).n ?? 1;
  }

  /** The text of a chat as far as it is known, also if it broke off. */
  get text() {
    return this.#texts.get("0 text")?.text ?? "";
  }

  /** What the model of a chat thought before, if it tells that apart from its text. */
  get reasoning() {
    return this.#texts.get("0 reasoning")?.text ?? "";
  }

  /** Internal: mark as acknowledged. @param {Params} params in effect */
  acknowledge(params) {
    const news = !this.acknowledged;
    this.sent = true;
    this.params = params;
    if (news) this.emit("acknowledged", params);
  }

  /** Internal: advance to the state that a list shows. @param {TaskInfo} info */
  catchUp(info) {
    for (const event of eventsOf(info)) this.receive(event);
    this.#mark(marksOf(info));
  }

  /**
   * Internal: take over outputs of an ended task that a list tells and no event did: they were deleted, and restored.
   * @param {TaskInfo} info
   */
  complete(info) {
    const fresh = (info.data ?? []).filter(({ index }) => !this.#made.has(index));
    if (!this.end || fresh.length === 0) return;
    this.#writeWhole(fresh);
    this.info = info;
    this.emit("marks", this.marks);
  }

  /** Internal: reset the last seq, because a new epoch numbers events from the start. */
  forgetSeq() {
    this.#lastSeq = -1;
    this.#told.clear();
  }

  /**
   * Internal: process an event, unless a replay delivered it before. Returns whether it was new.
   * @param {TaskEvent | Marked} event
   * @param {number} [age] in seconds
   */
  receive(event, age = 0) {
    if (this.end && event.type !== "marked") return false;
    this.age = age;
    if (event.type !== "progress" && event.seq !== undefined) {
      if (event.seq <= this.#lastSeq) return false;
      this.#lastSeq = event.seq;
    }
    if (event.type === "marked") return this.#mark(event.outputs);
    if ((event.type === "accepted" || event.type === "output") && !this.#tells(event)) return false;
    if (event.type === "accepted") {
      this.created = event.timestamp;
      this.metadata = event.metadata;
      this.acknowledge(event.params);
    }
    if (event.type === "delta" && !this.#write(event)) return false;
    if (event.type === "progress" || event.type === "output" || event.type === "delta") this.#follow(event);
    if (event.type === "progress") this.#estimate(event.index).take(event, performance.now(), age);
    if (event.type === "output" && !event.deleted) this.#writeWhole([event]);
    const ends = event.type === "result" || event.type === "cancelled" || event.type === "error";
    if (ends) {
      this.#writeWhole(dataOf(event));
      this.end = event;
    }
    this.emit("event", event);
    if (ends) {
      this.emit("end", event);
      this.#finish(event);
    }
    return true;
  }

  /**
   * Return whether an event is the first to tell that the task was accepted, or that an output is there.
   * @param {import("./protocol.js").Accepted | import("./protocol.js").OutputEvent} event
   */
  #tells(event) {
    const what = event.type === "output" ? `output ${event.index}` : event.type;
    const news = !this.#told.has(what);
    this.#told.add(what);
    return news;
  }

  /**
   * Return the progress of an output to show now: as the server told it, and where seconds pass between two values, an
   * estimate from the time left, which is marked as such.
   * @param {number} [index]
   * @param {number} [now] in milliseconds of `performance.now()`
   * @returns {import("./estimate.js").Shown}
   */
  progressOf(index = 0, now = performance.now()) {
    return this.#made.has(index) ? { percent: 100, estimate: false } : this.#estimate(index).at(now);
  }

  /** Take over all marks; return whether any is new. @param {OutputMarks[]} outputs */
  #mark(outputs) {
    if (outputs.length === 0 && this.marks.size === 0) return false;
    this.marks = new Map(outputs.map((marks) => [marks.index, marks]));
    this.emit("marks", this.marks);
    return true;
  }

  /** @param {number} index */
  #estimate(index) {
    const estimate = this.#estimates.get(index) ?? new Estimate();
    this.#estimates.set(index, estimate);
    return estimate;
  }

  /** Write a delta at its offset; return whether it has anything new. @param {Delta} delta */
  #write({ index, channel = "text", offset, text }) {
    const key = `${index} ${channel}`;
    const growing = this.#texts.get(key) ?? new GrowingText();
    this.#texts.set(key, growing);
    return growing.write(offset, text);
  }

  /** Note which outputs are there, and complete the texts by what events have as a whole. @param {OutputRef[]} outputs */
  #writeWhole(outputs) {
    for (const { index, text = "", reasoning = "" } of outputs) {
      this.#made.add(index);
      this.#write({ type: "delta", task_id: this.id, index, offset: 0, text });
      this.#write({ type: "delta", task_id: this.id, index, offset: 0, text: reasoning, channel: "reasoning" });
    }
  }

  /**
   * Note whether an output waits: a snapshot of the queue may be older than the news that the output began.
   * @param {import("./protocol.js").Progress | import("./protocol.js").OutputEvent | Delta} event
   */
  #follow(event) {
    if (event.type === "progress" && event.state === "queued") this.#begun.delete(event.index);
    else {
      this.#begun.add(event.index);
      this.places = new Map([...this.places].filter(([index]) => index !== event.index));
    }
  }

  /**
   * Internal: take over the places that the queue tells. An output that is not among them has no known place.
   * @param {QueuedOutput[]} outputs of this task
   */
  wait(outputs) {
    if (this.end || (outputs.length === 0 && this.places.size === 0)) return;
    const waiting = outputs.filter(({ index }) => !this.#begun.has(index));
    this.places = new Map(waiting.map((output) => [output.index, output]));
    this.emit("places", this.places);
  }

  /**
   * Internal: record a requested cancel. Returns false if it is redundant.
   * @param {number | null} index
   */
  wantCancel(index) {
    if (this.end || this.wanted.has(null) || this.wanted.has(index)) return false;
    this.wanted.add(index);
    this.emit("cancelling", { index });
    return true;
  }

  /** Iterate over the events up to the end. Of unread progress only the latest of each output is kept. */
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

/** Return the outputs that an end carries. @param {End} end @returns {OutputRef[]} */
function dataOf(end) {
  return (end.type === "result" ? end.data.data : end.data) ?? [];
}
