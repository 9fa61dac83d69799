// @ts-check
import { Emitter } from "./emitter.js";
import { XinflightError } from "./protocol.js";

/** @typedef {import("./protocol.js").Answer} Answer */
/** @typedef {import("./protocol.js").Preferences} Preferences */
/** @typedef {import("./protocol.js").Preset} Preset */
/** @typedef {import("./task.js").Task} Task */
/** @typedef {import("./tasks.js").Tasks} Tasks */

/**
 * Which tasks to find: those that every given field allows. `since` and `until` in Unix seconds; `cursor` is the `next`
 * of the page before.
 * @typedef {object} Query
 * @property {string} [search] words of prompt, model and tags
 * @property {boolean} [starred]
 * @property {string} [tag]
 * @property {string} [model]
 * @property {import("./protocol.js").Kind} [kind]
 * @property {"unfinished"|"completed"|"failed"|"cancelled"|"expired"|"unsuccessful"} [state]
 * @property {string} [group]
 * @property {number} [since]
 * @property {number} [until]
 * @property {number} [limit]
 * @property {string} [cursor]
 */

/**
 * `marked`: outputs of a task were starred, tagged, deleted or restored, whichever client did it; without `task` if it is
 * none of those known here.
 * @typedef {object} LibraryEvents
 * @property {{taskId: string, task: Task | undefined}} marked
 */

/**
 * What the owner finds in the history, notes in it, and has set. Everything here rejects with an `XinflightError`, also
 * while there is no connection. What changes arrives as `marks` of the tasks, and as `marked`.
 * @extends {Emitter<LibraryEvents>}
 */
export class Library extends Emitter {
  #ask;
  #tasks;
  #fetchTask;

  /**
   * @param {(message: {action: string, [field: string]: unknown}) => Promise<Answer>} ask
   * @param {Tasks} tasks
   * @param {(taskId: string) => Promise<import("./protocol.js").TaskInfo>} fetchTask
   */
  constructor(ask, tasks, fetchTask) {
    super();
    this.#ask = ask;
    this.#tasks = tasks;
    this.#fetchTask = fetchTask;
    tasks.on("marked", (marked) => this.emit("marked", marked));
  }

  /**
   * Find tasks, newest first. A page may have fewer than `limit`, or none, and still a `next`: only the last has none.
   * Tasks that are not known otherwise are not announced; their marks are kept up to date for the latest 2,000 of them.
   * @param {Query} query
   * @returns {Promise<{tasks: Task[], next?: string}>}
   */
  async find(query) {
    const answer = await this.#ask({ action: "list", ...query });
    if (answer.type !== "tasks") return { tasks: [] };
    return { tasks: answer.tasks.map((info) => this.#tasks.find(info)), next: answer.next };
  }

  /**
   * Return one task, which may be older than those known here; it is not announced either.
   * @param {string} taskId
   * @returns {Promise<Task>}
   */
  async get(taskId) {
    return this.#tasks.get(taskId) ?? this.#tasks.find(await this.#fetchTask(taskId));
  }

  /**
   * Star or tag a finished output of a task, or without `index` all of them. `tags` takes the place of all tags before.
   * @param {string} taskId
   * @param {{index?: number, starred?: boolean, tags?: string[]}} marks
   */
  async mark(taskId, { index, starred, tags }) {
    await this.#change({ action: "mark", task_id: taskId, index, starred, tags });
  }

  /**
   * Delete a finished output of a task. `restore` brings it back within `welcome.limits.undo_seconds`.
   * @param {string} taskId
   * @param {number} index
   */
  async deleteOutput(taskId, index) {
    await this.#change({ action: "delete", task_id: taskId, index });
  }

  /**
   * Bring back an output that was deleted.
   * @param {string} taskId
   * @param {number} index
   */
  async restore(taskId, index) {
    await this.#change({ action: "restore", task_id: taskId, index });
  }

  /** Send a change of outputs, and reject if the server has no such task. @param {{action: string, [field: string]: unknown}} message */
  async #change(message) {
    const answer = await this.#ask(message);
    if (answer.type === "ok" && answer.tasks.some(({ was }) => was === "unknown")) throw new XinflightError({ code: "not_found" });
  }

  /**
   * Return the preferences of the owner, after replacing the given fields; null removes one.
   * @param {{[Field in keyof Preferences]?: Preferences[Field] | null}} [change]
   * @returns {Promise<{version: number, preferences: Preferences}>}
   */
  async prefer(change) {
    const answer = await this.#ask({ action: "prefer", change });
    return answer.type === "preferences" ? answer : { version: 0, preferences: {} };
  }

  /**
   * Return the presets of the owner, after deleting and saving some of them.
   * @param {import("./protocol.js").PresetsChange} [change]
   * @returns {Promise<{version: number, presets: Preset[]}>}
   */
  async presets(change) {
    const answer = await this.#ask({ action: "preset", change });
    return answer.type === "presets" ? answer : { version: 0, presets: [] };
  }
}
