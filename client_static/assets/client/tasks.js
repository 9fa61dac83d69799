// @ts-check
import { Emitter } from "./emitter.js";
import { Ages } from "./estimate.js";
import { Task } from "./task.js";

/** @typedef {import("./protocol.js").QueuedOutput} QueuedOutput */
/** @typedef {import("./protocol.js").TaskEvent} TaskEvent */
/** @typedef {import("./protocol.js").TaskInfo} TaskInfo */

/** Found tasks whose marks are kept up to date. */
const FOUND = 2000;

/**
 * All known tasks of the owner, whichever client started them.
 * @extends {Emitter<{task: Task, removed: Task, marked: {taskId: string, task: Task | undefined}}>}
 */
export class Tasks extends Emitter {
  /** @type {Map<string, Task>} */
  #byId = new Map();
  /** @type {Map<string, Task>} found in the history, and not announced; the latest ones last */
  #found = new Map();
  #ages = new Ages();

  /** @returns {Task[]} */
  get all() {
    return [...this.#byId.values()];
  }

  /** @returns {Task[]} */
  get unfinished() {
    return this.all.filter(({ end }) => end === null);
  }

  /** @param {string} id */
  get(id) {
    return this.#byId.get(id);
  }

  /** @param {Task} task */
  add(task) {
    this.#byId.set(task.id, task);
    this.emit("task", task);
    return task;
  }

  /**
   * Pass an event to its task, and return whether it was new. A task that another client started is added at its
   * `accepted` event, unless the server keeps it only until it is delivered: whoever shows its images takes delivery.
   * @param {TaskEvent | import("./protocol.js").Marked} event
   */
  hear(event) {
    const id = event.task_id ?? "";
    const kept = event.type === "accepted" && event.params?.store !== false;
    if (kept && !this.#byId.has(id)) this.add(new Task({ ...event.params, task_id: id }));
    const age = this.#ages.of("timestamp" in event ? event.timestamp : undefined, performance.now());
    const task = this.get(id) ?? this.#found.get(id);
    const fresh = task?.receive(event, age) ?? false;
    if (event.type === "marked" && (fresh || !task)) this.emit("marked", { taskId: id, task });
    return fresh;
  }

  /**
   * Add or update a task from a list, and return whether it is new here. One that is not kept is not added.
   * @param {TaskInfo} info
   * @param {boolean} newer whether the list may be ahead of a known task
   */
  merge(info, newer) {
    const known = this.get(info.task_id);
    if (!known && info.params.store === false) return false;
    if (!known) {
      // One that was found before stays the same task.
      this.add(this.#found.get(info.task_id) ?? Task.from(info));
      this.#found.delete(info.task_id);
    } else if (newer) known.catchUp(info);
    return !known;
  }

  /** Return the task of a list entry without announcing it. @param {TaskInfo} info */
  find(info) {
    const known = this.get(info.task_id);
    const task = known ?? this.#found.get(info.task_id) ?? Task.from(info);
    task.complete(info);
    if (known) return known;
    this.#found.delete(info.task_id);
    this.#found.set(info.task_id, task);
    for (const id of this.#found.keys()) if (this.#found.size > FOUND) this.#found.delete(id);
    return task;
  }

  /**
   * Tell every unfinished task which of its outputs wait where.
   * @param {QueuedOutput[]} outputs
   */
  wait(outputs) {
    /** @type {Map<string, QueuedOutput[]>} */
    const byTask = new Map();
    for (const output of outputs) byTask.set(output.task_id, [...(byTask.get(output.task_id) ?? []), output]);
    for (const task of this.unfinished) task.wait(byTask.get(task.id) ?? []);
  }

  /** Remove all tasks. */
  clear() {
    this.#found.clear();
    for (const { id } of this.all) this.remove(id);
  }

  /** Forget what was found: after a gap in the events it may not be up to date. */
  forgetFound() {
    this.#found.clear();
  }

  /** Remove a task. @param {string} id */
  remove(id) {
    const task = this.get(id) ?? this.#found.get(id);
    this.#found.delete(id);
    this.#byId.delete(id);
    if (task) this.emit("removed", task);
  }

  /**
   * Handle a task that the server no longer has: remove an ended one, and end any other as failed with code `lost`.
   * @param {string} id
   */
  lose(id) {
    const task = this.get(id);
    if (task?.end) this.remove(id);
    else task?.receive({ type: "error", code: "lost", state: "failed", task_id: id });
  }
}
