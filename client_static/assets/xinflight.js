// @ts-check
import { Answers, DISCONNECTED } from "./answers.js";
import { Connection } from "./connection.js";
import { Emitter } from "./emitter.js";
import { XinflightError, randomId } from "./protocol.js";
import { Task } from "./task.js";

/** @typedef {import("./connection.js").Status} Status */
/** @typedef {import("./protocol.js").CancelledTask} CancelledTask */
/** @typedef {import("./protocol.js").GenerateParams} GenerateParams */
/** @typedef {import("./protocol.js").ModelInfo} ModelInfo */
/** @typedef {import("./protocol.js").Notice} Notice */
/** @typedef {import("./protocol.js").ServerMessage} ServerMessage */
/** @typedef {import("./protocol.js").Upstream} Upstream */
/** @typedef {import("./protocol.js").Welcome} Welcome */

/**
 * `problem`: an error that belongs to no task and answers nothing.
 * @typedef {object} XinflightEvents
 * @property {Status} status
 * @property {Welcome} welcome
 * @property {ModelInfo[]} models
 * @property {Upstream} upstream
 * @property {Notice} notice
 * @property {Task} task
 * @property {XinflightError} problem
 */

const NEVER_STARTED = Object.freeze({ upstream: /** @type {const} */ ("never_started"), seconds: 0 });

/**
 * Many generations over one WebSocket that comes back.
 *
 *     const client = new Xinflight("/images/ws/generate", { lang: "en" });
 *     client.connect();
 *     const task = client.generate({ prompt: "a red boat", n: 2 });
 *     for await (const event of task) console.log(event.type);
 *
 * A generation asked for while there is no connection goes out when there is one; one that was running when the
 * line dropped is attached again. Cancels are kept the same way.
 * @extends {Emitter<XinflightEvents>}
 */
export class Xinflight extends Emitter {
  /** @type {Connection} */
  #connection;
  /** @type {Map<string, Task>} unfinished ones only, in the order they were asked for */
  #tasks = new Map();
  #answers = new Answers();
  /** @type {Welcome | null} */
  #welcome = null;

  /**
   * @param {string} path of the socket, or its whole ws(s) URL
   * @param {{lang?: string}} [options] the language of what the server writes
   */
  constructor(path, { lang } = {}) {
    super();
    this.lang = lang;
    this.#connection = new Connection(() => this.#url(path));
    this.#connection.on("status", (status) => this.emit("status", status));
    this.#connection.on("welcome", (welcome) => this.#begin(welcome));
    this.#connection.on("message", (message) => this.#receive(message));
    this.#connection.on("lost", () => this.#answers.fail());
  }

  /** @returns {Status} */
  get status() {
    return this.#connection.status;
  }

  /** @returns {Welcome | null} the newest; null before the first */
  get welcome() {
    return this.#welcome;
  }

  /** @returns {Task[]} */
  get unfinished() {
    return [...this.#tasks.values()];
  }

  /** Connect now: at first, in the middle of a pause, or after giving up. */
  connect() {
    this.#connection.connect();
  }

  /**
   * Have the server write in another language from now on. What it already said of a troubled upstream is asked
   * for again, by a new connection.
   * @param {string} lang
   */
  speak(lang) {
    this.lang = lang;
    if (this.#connection.live && this.#welcome?.upstream.state !== "ready") {
      this.#answers.fail();
      this.#connection.restart();
    }
  }

  /**
   * Start a generation, or attach to the one with this `task_id`. Refusals arrive as its end.
   * @param {GenerateParams} params
   * @returns {Task}
   */
  generate(params) {
    const task = new Task({ ...params, task_id: params.task_id ?? randomId() });
    this.#tasks.set(task.id, task);
    task.on("end", () => this.#tasks.delete(task.id));
    this.emit("task", task);
    this.#attach(task);
    return task;
  }

  /**
   * Cancel a task or, with `index`, one picture of it. Its end says what that achieved.
   * @param {string} taskId
   * @param {{index?: number}} [options]
   */
  cancel(taskId, { index } = {}) {
    const task = this.#tasks.get(taskId);
    if (!task) return;
    const which = (task.request.n ?? 1) > 1 ? (index ?? null) : null;
    if (!task.wantCancel(which)) return;
    if (!task.sent && which === null) this.#endHere(task);
    else this.#sendCancel(task, which);
  }

  /**
   * Cancel everything of this owner, in whatever window it was started, but the tasks named.
   * @param {{except?: string[]}} [options]
   */
  cancelAll({ except = [] } = {}) {
    const targets = this.unfinished.filter((task) => !except.includes(task.id) && task.wantCancel(null));
    const unsent = targets.filter((task) => !task.sent);
    unsent.forEach((task) => this.#endHere(task));
    this.#ask({ action: "cancel", scope: "all", except }).then(
      (answer) => answer.type === "ok" && answer.tasks.forEach((told) => this.#settleCancel(told)),
      (error) => targets.forEach((task) => this.#keep(task, null, error)),
    );
  }

  /** @param {string} path */
  #url(path) {
    const url = new URL(path, location.href);
    url.protocol = url.protocol.replace("http", "ws");
    if (this.lang) url.searchParams.set("lang", this.lang);
    return url.href;
  }

  /** @param {Welcome} welcome */
  #begin(welcome) {
    const epochChanged = this.#welcome !== null && this.#welcome.epoch !== welcome.epoch;
    this.#welcome = welcome;
    this.#reattach(epochChanged);
    this.emit("welcome", welcome);
    this.emit("models", welcome.models);
    this.emit("upstream", welcome.upstream);
  }

  /**
   * Catch up with every unfinished task. This is the place for `resume` with the cursor `epoch:seq` of the last
   * stored event; until the server has it, `generate` with the same id and content does: it replays what the task
   * has stored, and each task drops what it saw.
   * @param {boolean} epochChanged
   */
  #reattach(epochChanged) {
    for (const task of this.unfinished) {
      if (epochChanged) task.forgetSeq();
      this.#attach(task);
      for (const index of task.wanted) this.#sendCancel(task, index);
    }
  }

  /** @param {Task} task */
  #attach(task) {
    task.sent ||= this.#connection.live;
    this.#ask({ action: "generate", ...task.request }).then(
      (answer) => answer.type === "ack" && task.acknowledge(answer),
      (error) => error.code === DISCONNECTED || task.receive({ ...error.told, type: "error", task_id: task.id }),
    );
  }

  /**
   * @param {Task} task
   * @param {number | null} index
   */
  #sendCancel(task, index) {
    const message = { action: "cancel", task_id: task.id, ...(index === null ? {} : { index }) };
    this.#ask(message).then(
      (answer) => answer.type === "ok" && answer.tasks.forEach((told) => this.#settleCancel(told)),
      (error) => this.#keep(task, index, error),
    );
  }

  /** @param {CancelledTask} told */
  #settleCancel(told) {
    const task = this.#tasks.get(told.task_id);
    if (told.was === "unknown") task?.receive({ type: "error", code: "lost", state: "failed", task_id: task.id });
    else if (told.was === "cancelled" && told.index !== undefined) task?.emit("cancelled", { index: told.index });
  }

  /**
   * @param {Task} task
   * @param {number | null} index
   * @param {XinflightError} error
   */
  #keep(task, index, error) {
    if (error.code === DISCONNECTED) return;
    task.wanted.delete(index);
    task.emit("kept", error);
  }

  /** @param {Task} task one the server never heard of */
  #endHere(task) {
    task.receive({ type: "cancelled", task_id: task.id, seq: 0, ...NEVER_STARTED });
  }

  /**
   * @param {object} message
   * @returns {Promise<import("./protocol.js").Answer>}
   */
  #ask(message) {
    const limit = this.#welcome?.limits.frame_bytes ?? Infinity;
    return this.#answers.ask(message, (text) => this.#connection.send(text), limit);
  }

  /** @param {ServerMessage} message */
  #receive(message) {
    if (this.#answers.take(message)) return;
    if (message.type === "notice") this.#notice(message);
    else if (message.type === "error" && message.seq === undefined) this.emit("problem", new XinflightError(message));
    else if ("task_id" in message && message.type !== "ack") this.#tasks.get(message.task_id ?? "")?.receive(message);
  }

  /** @param {Notice} notice */
  #notice(notice) {
    if (this.#welcome) {
      this.#welcome = {
        ...this.#welcome,
        upstream: notice.upstream ?? this.#welcome.upstream,
        models: notice.models ?? this.#welcome.models,
      };
    }
    if (notice.models) this.emit("models", notice.models);
    if (notice.upstream) this.emit("upstream", notice.upstream);
    this.emit("notice", notice);
  }
}
