// @ts-check
import { Answers, DISCONNECTED } from "./answers.js";
import { Cancels } from "./cancels.js";
import { CatchUp } from "./catch_up.js";
import { Connection } from "./connection.js";
import { Emitter } from "./emitter.js";
import { XinflightError, randomId } from "./protocol.js";
import { Task } from "./task.js";
import { Tasks } from "./tasks.js";

/** @typedef {import("./connection.js").Status} Status */
/** @typedef {import("./protocol.js").GenerateParams} GenerateParams */
/** @typedef {import("./protocol.js").ModelInfo} ModelInfo */
/** @typedef {import("./protocol.js").Notice} Notice */
/** @typedef {import("./protocol.js").ServerMessage} ServerMessage */
/** @typedef {import("./protocol.js").Upstream} Upstream */
/** @typedef {import("./protocol.js").Welcome} Welcome */

/**
 * `task`: one more is known here, whoever asked for it; `forgotten`: one is no more. `resumed`: after a reconnect all
 * that was missed has come, so many stored events, or null where a gap made it list everything anew. `history`: whether
 * there are older tasks than those known here. `problem`: an error that belongs to no task and answers nothing.
 * @typedef {object} XinflightEvents
 * @property {Status} status
 * @property {Welcome} welcome
 * @property {ModelInfo[]} models
 * @property {Upstream} upstream
 * @property {Notice} notice
 * @property {Task} task
 * @property {Task} forgotten
 * @property {number | null} resumed
 * @property {boolean} history
 * @property {XinflightError} problem
 */

/**
 * Many generations over one WebSocket that comes back.
 *
 *     const client = new Xinflight("/images/ws/generate", { lang: "en" });
 *     client.connect();
 *     const task = client.generate({ prompt: "a red boat", n: 2 });
 *     for await (const event of task) console.log(event.type);
 *
 * It knows every task of its owner, in whatever window it was started: the newest and the unfinished ones at first,
 * older ones with `more`. After a lost line it goes on behind the last event seen. A generation or a cancel asked for
 * while there is no connection goes out when there is one.
 * @extends {Emitter<XinflightEvents>}
 */
export class Xinflight extends Emitter {
  /** @type {Connection} */
  #connection;
  #tasks = new Tasks();
  #answers = new Answers();
  /** @type {Welcome | null} */
  #welcome = null;
  #cancels = new Cancels((message) => this.#ask(message), this.#tasks);
  /** @type {CatchUp} */
  #catchUp = new CatchUp({
    ask: (message) => this.#ask(message),
    merge: (info) => this.#tasks.merge(info, !this.#catchUp.done),
    known: () => this.#tasks.all.filter(({ taken }) => taken).map(({ id }) => id),
    gone: (ids) => ids.forEach((id) => this.#tasks.lose(id)),
    resumed: (events) => this.emit("resumed", events),
    listed: (more) => this.emit("history", more),
    failed: (error) => {
      this.emit("problem", error);
      this.#connection.drop(1013);
    },
  });

  /**
   * @param {string} path of the socket, or its whole ws(s) URL
   * @param {{lang?: string}} [options] the language of what the server writes
   */
  constructor(path, { lang } = {}) {
    super();
    this.lang = lang;
    this.#tasks.on("task", (task) => this.emit("task", task));
    this.#tasks.on("forgotten", (task) => this.emit("forgotten", task));
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
    return this.#tasks.unfinished;
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
    const task = this.#tasks.add(new Task({ ...params, task_id: params.task_id ?? randomId() }));
    this.#submit(task);
    return task;
  }

  /**
   * Delete an ended task and its pictures, everywhere. Rejects with an `XinflightError`.
   * @param {string} taskId
   */
  async delete(taskId) {
    if (this.#tasks.get(taskId)?.taken) await this.#ask({ action: "delete", task_id: taskId });
    this.#tasks.forget(taskId);
  }

  /** Fetch older tasks; how many came. Rejects with an `XinflightError`. */
  async more() {
    return this.#catchUp.more();
  }

  /**
   * Cancel a task or, with `index`, one picture of it. Its end says what that achieved.
   * @param {string} taskId
   * @param {{index?: number}} [options]
   */
  cancel(taskId, { index } = {}) {
    const task = this.#tasks.get(taskId);
    if (task) this.#cancels.one(task, index);
  }

  /**
   * Cancel everything of this owner, in whatever window it was started, but the tasks named.
   * @param {{except?: string[]}} [options]
   */
  cancelAll({ except = [] } = {}) {
    this.#cancels.all(except);
  }

  /** @param {string} path */
  #url(path) {
    const url = new URL(path, globalThis.location?.href);
    url.protocol = url.protocol.replace("http", "ws");
    if (this.lang) url.searchParams.set("lang", this.lang);
    return url.href;
  }

  /** @param {Welcome} welcome */
  #begin(welcome) {
    if (this.#welcome?.epoch !== welcome.epoch) this.#tasks.all.forEach((task) => task.forgetSeq());
    this.#welcome = welcome;
    this.#catchUp.begin(welcome.epoch);
    for (const task of this.unfinished) {
      if (!task.taken) this.#submit(task);
      this.#cancels.again(task);
    }
    this.emit("welcome", welcome);
    this.emit("models", welcome.models);
    this.emit("upstream", welcome.upstream);
  }

  /**
   * Ask for a task, with an id under which it is started once, however often it is asked for.
   * @param {Task} task
   */
  #submit(task) {
    task.sent ||= this.#connection.live;
    this.#ask({ action: "generate", ...task.request }).then(
      (answer) => answer.type === "ack" && task.take(answer.params),
      ({ code, told }) => {
        if (code !== DISCONNECTED && !task.taken) task.receive({ ...told, type: "error", task_id: task.id });
      },
    );
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
    else if ("task_id" in message && message.type !== "ack") {
      const news = this.#tasks.hear(message);
      this.#catchUp.see(message, news);
    }
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
    if (notice.kind === "deleted") this.#tasks.forget(notice.task_id ?? "");
    if (notice.models) this.emit("models", notice.models);
    if (notice.upstream) this.emit("upstream", notice.upstream);
    this.emit("notice", notice);
  }
}
