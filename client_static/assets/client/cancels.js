// @ts-check
import { DISCONNECTED } from "./answers.js";

/** @typedef {import("./protocol.js").Answer} Answer */
/** @typedef {import("./protocol.js").XinflightError} XinflightError */
/** @typedef {import("./task.js").Task} Task */
/** @typedef {import("./tasks.js").Tasks} Tasks */

const NEVER_STARTED = Object.freeze({ upstream: /** @type {const} */ ("never_started"), seconds: 0 });

/** Sends cancels. Those requested while offline are kept in their tasks and sent after the next `welcome`. */
export class Cancels {
  #ask;
  #tasks;

  /**
   * @param {(message: {action: string, [field: string]: unknown}) => Promise<Answer>} ask
   * @param {Tasks} tasks
   */
  constructor(ask, tasks) {
    this.#ask = ask;
    this.#tasks = tasks;
  }

  /**
   * Cancel a task or one of its outputs.
   * @param {Task} task
   * @param {number | undefined} index of one output
   */
  one(task, index) {
    const which = task.count > 1 ? (index ?? null) : null;
    if (!task.wantCancel(which)) return;
    if (!task.sent && which === null) endHere(task);
    else this.#send(task, which);
  }

  /**
   * Cancel all tasks of the owner or of a group.
   * @param {string | undefined} group
   * @param {string[]} except ids of tasks to spare
   */
  all(group, except) {
    const targets = this.#tasks.unfinished.filter(
      (task) => [undefined, task.request.group].includes(group) && !except.includes(task.id) && task.wantCancel(null),
    );
    targets.filter((task) => !task.sent).forEach(endHere);
    this.#ask({ action: "cancel", ...(group === undefined ? { scope: "all" } : { group }), except }).then(
      (answer) => this.#settle(answer),
      (error) => targets.forEach((task) => rejected(task, null, error)),
    );
  }

  /** Send a task's requested cancels again, on a new connection. @param {Task} task */
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
      (error) => rejected(task, index, error),
    );
  }

  /** @param {Answer} answer */
  #settle(answer) {
    for (const cancelled of answer.type === "ok" ? answer.tasks : []) {
      if (cancelled.was === "unknown") this.#tasks.lose(cancelled.task_id);
      else if (cancelled.was === "cancelled" && cancelled.index !== undefined) {
        this.#tasks.get(cancelled.task_id)?.emit("cancelled", { index: cancelled.index });
      }
    }
  }
}

/**
 * Handle a failed cancel: after a refusal it may be requested again; after a disconnect it is sent again by `again`.
 * @param {Task} task
 * @param {number | null} index
 * @param {XinflightError} error
 */
function rejected(task, index, error) {
  if (error.code === DISCONNECTED) return;
  task.wanted.delete(index);
  task.emit("cancelRefused", error);
}

/** End a task that was never sent, without asking the server. @param {Task} task */
function endHere(task) {
  task.receive({ type: "cancelled", task_id: task.id, ...NEVER_STARTED });
}
