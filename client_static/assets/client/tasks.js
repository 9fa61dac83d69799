// @ts-check
import { Emitter } from "./emitter.js";
import { Task } from "./task.js";

/** @typedef {import("./protocol.js").TaskEvent} TaskEvent */
/** @typedef {import("./protocol.js").TaskInfo} TaskInfo */

/**
 * Every task of the owner that is known here, whoever asked for it.
 * @extends {Emitter<{task: Task, forgotten: Task}>}
 */
export class Tasks extends Emitter {
  /** @type {Map<string, Task>} */
  #byId = new Map();

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
   * Take an event to its task; whether it is news. A task that was started elsewhere begins with its `accepted`.
   * @param {TaskEvent} event
   */
  hear(event) {
    const id = event.task_id ?? "";
    if (event.type === "accepted" && !this.#byId.has(id)) this.add(new Task({ ...event.params, task_id: id }));
    return this.get(id)?.receive(event) ?? false;
  }

  /**
   * Take a task as a list tells it; whether it is new here.
   * @param {TaskInfo} info
   * @param {boolean} newer whether the list may know more of a known one than we do
   */
  merge(info, newer) {
    const known = this.get(info.task_id);
    if (!known) this.add(Task.from(info));
    else if (newer) known.catchUp(info);
    return !known;
  }

  /** Nothing is left of a task. @param {string} id */
  forget(id) {
    const task = this.get(id);
    if (this.#byId.delete(id) && task) this.emit("forgotten", task);
  }

  /**
   * The server knows a task no more: nothing is left of an ended one, any other never comes to its end.
   * @param {string} id
   */
  lose(id) {
    const task = this.get(id);
    if (task?.end) this.forget(id);
    else task?.receive({ type: "error", code: "lost", state: "failed", task_id: id });
  }
}
