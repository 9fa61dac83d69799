// @ts-check
import { DISCONNECTED } from "./answers.js";

/** @typedef {import("./protocol.js").Answer} Answer */
/** @typedef {import("./protocol.js").XinflightError} XinflightError */
/** @typedef {import("./task.js").Task} Task */
/** @typedef {import("./tasks.js").Tasks} Tasks */

const NEVER_STARTED = Object.freeze({ upstream: /** @type {const} */ ("never_started"), seconds: 0 });

/** Cancels on their way; those asked for without a connection are kept in their tasks until there is one. */
export class Cancels {
  #ask;
  #tasks;

  /**
   * @param {(message: object) => Promise<Answer>} ask
   * @param {Tasks} tasks
   */
  constructor(ask, tasks) {
    this.#ask = ask;
    this.#tasks = tasks;
  }

  /**
   * @param {Task} task
   * @param {number | undefined} index of one picture
   */
  one(task, index) {
    const which = task.count > 1 ? (index ?? null) : null;
    if (!task.wantCancel(which)) return;
    if (!task.sent && which === null) endHere(task);
    else this.#send(task, which);
  }

  /** @param {string[]} except ids of tasks that go on */
  all(except) {
    const targets = this.#tasks.unfinished.filter((task) => !except.includes(task.id) && task.wantCancel(null));
    targets.filter((task) => !task.sent).forEach(endHere);
    this.#ask({ action: "cancel", scope: "all", except }).then(
      (answer) => this.#settle(answer),
      (error) => targets.forEach((task) => keep(task, null, error)),
    );
  }

  /** Ask again, on a new connection. @param {Task} task */
  again(task) {
    for (const index of task.wanted) this.#send(task, index);
  }

  /**
   * @param {Task} task
   * @param {number | null} index
   */
  #send(task, index) {
    const message = { action: "cancel", task_id: task.id, ...(index === null ? {} : { index }) };
    this.#ask(message).then(
      (answer) => this.#settle(answer),
      (error) => keep(task, index, error),
    );
  }

  /** @param {Answer} answer */
  #settle(answer) {
    for (const told of answer.type === "ok" ? answer.tasks : []) {
      if (told.was === "unknown") this.#tasks.lose(told.task_id);
      else if (told.was === "cancelled" && told.index !== undefined) {
        this.#tasks.get(told.task_id)?.emit("cancelled", { index: told.index });
      }
    }
  }
}

/**
 * The cancel was refused; without a connection it was not, and is asked for again.
 * @param {Task} task
 * @param {number | null} index
 * @param {XinflightError} error
 */
function keep(task, index, error) {
  if (error.code === DISCONNECTED) return;
  task.wanted.delete(index);
  task.emit("kept", error);
}

/** @param {Task} task one the server never heard of */
function endHere(task) {
  task.receive({ type: "cancelled", task_id: task.id, ...NEVER_STARTED });
}
