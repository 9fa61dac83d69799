// @ts-check
import { Answers, DISCONNECTED } from "./answers.js";
import { Cancels } from "./cancels.js";
import { CatchUp } from "./catch_up.js";
import { Connection } from "./connection.js";
import { Credentials } from "./credentials.js";
import { Emitter } from "./emitter.js";
import { Library } from "./library.js";
import { XinflightError, randomId } from "./protocol.js";
import { fetchTask } from "./rest.js";
import { Task } from "./task.js";
import { Tasks } from "./tasks.js";
import { upload } from "./uploads.js";

/** @typedef {import("./connection.js").Status} Status */
/** @typedef {import("./connection.js").TokenSource} TokenSource */
/** @typedef {import("./connection.js").Unauthorised} Unauthorised */
/** @typedef {import("./protocol.js").ChatParams} ChatParams */
/** @typedef {import("./protocol.js").GenerateParams} GenerateParams */
/** @typedef {import("./protocol.js").ModelInfo} ModelInfo */
/** @typedef {import("./protocol.js").Notice} Notice */
/** @typedef {import("./protocol.js").Queue} Queue */
/** @typedef {import("./protocol.js").QueuedOutput} QueuedOutput */
/** @typedef {import("./protocol.js").ServerMessage} ServerMessage */
/** @typedef {import("./protocol.js").TaskRequest} TaskRequest */
/** @typedef {import("./protocol.js").Upstream} Upstream */
/** @typedef {import("./protocol.js").Welcome} Welcome */

/**
 * What waits of the owner's: at most 200 outputs of `waiting`, the next one first. With `paused` nothing of it is
 * started, nor of what is submitted; with `held` nothing of anybody, by an admin's wish.
 * @typedef {{outputs: QueuedOutput[], waiting: number, paused: boolean, held: boolean}} QueueState
 */

/** @type {Readonly<QueueState>} */
const EMPTY = Object.freeze({ outputs: [], waiting: 0, paused: false, held: false });

/**
 * `task`: a task became known, whichever client started it. `removed`: a task was deleted. `resumed`: everything missed
 * before a reconnect has arrived, with the number of missed events, or null if a gap required a new list. `history`:
 * whether the server has older tasks than those known here. `unauthorised`: the server does not accept the credentials;
 * `connect` tries again. `problem`: an error that belongs to no task and no request.
 * @typedef {object} XinflightEvents
 * @property {Status} status
 * @property {Welcome} welcome
 * @property {ModelInfo[]} models
 * @property {Upstream} upstream
 * @property {Notice} notice
 * @property {Task} task
 * @property {Task} removed
 * @property {number | null} resumed
 * @property {QueueState} queue
 * @property {boolean} history
 * @property {Unauthorised} unauthorised
 * @property {XinflightError} problem
 */

/**
 * A client for many concurrent generations over one WebSocket that reconnects and resumes.
 *
 *     const client = new Xinflight("/images/ws/generate", { lang: "en" });
 *     client.connect();
 *     const task = client.generate({ prompt: "a red boat", n: 2 });
 *     for await (const event of task) console.log(event.type);
 *
 * It knows the owner's tasks, whichever client started them: the newest and the unfinished ones at first, older ones
 * after `more`. After a disconnect it resumes where it was, so that no event is lost or delivered twice. Generations
 * and cancels requested while offline are sent once there is a connection. If the next connection belongs to another
 * owner, it forgets all that was the former one's. It needs no DOM; without a page, pass a whole URL.
 *
 * Without a token, the browser's cookies authenticate it. A token function is called at every connect and again before
 * the credentials expire, so it should return a fresh token each time.
 * @extends {Emitter<XinflightEvents>}
 */
export class Xinflight extends Emitter {
  /** @type {Connection} */
  #connection;
  #tasks = new Tasks();
  #answers = new Answers();
  /** @type {Welcome | null} */
  #welcome = null;
  /** @type {Readonly<QueueState>} */
  #queue = EMPTY;
  #cancels = new Cancels((message) => this.#ask(message), this.#tasks);
  /** Finds tasks in the history, stars, tags and deletes outputs, and knows the preferences of the owner. */
  library = new Library(
    (message) => this.#ask(message),
    this.#tasks,
    (taskId) => fetchTask(new URL(this.#url()), taskId, this.#token),
  );
  #credentials;
  #path;
  #token;
  /** @type {import("./catch_up.js").CatchUpHost} */
  #catchUpHost = {
    ask: (message) => this.#ask(message),
    merge: (info) => this.#tasks.merge(info, !this.#catchUp.done),
    known: () => this.#tasks.all.filter(({ acknowledged }) => acknowledged).map(({ id }) => id),
    gone: (ids) => ids.forEach((id) => this.#tasks.lose(id)),
    resumed: (events) => {
      if (events === null) this.#tasks.forgetFound();
      this.emit("resumed", events);
    },
    listed: (more) => this.emit("history", more),
    failed: (error) => {
      this.emit("problem", error);
      this.#connection.drop(1013);
    },
  };
  #catchUp = new CatchUp(this.#catchUpHost);

  /**
   * @param {string} path of the WebSocket, relative to the page, or a whole ws(s) or http(s) URL
   * @param {{lang?: string, token?: TokenSource}} [options] `lang`: the language of the server's messages; `token`: a
   *   token, or a function that returns one, also as a promise
   */
  constructor(path, { lang, token } = {}) {
    super();
    this.lang = lang;
    this.#path = path;
    this.#token = token ?? null;
    this.#credentials = new Credentials(this.#token, {
      ask: (message) => this.#ask(message),
      reconnect: () => this.reconnect(),
      problem: (error) => this.emit("problem", error),
    });
    this.#tasks.on("task", (task) => this.emit("task", task));
    this.#tasks.on("removed", (task) => this.emit("removed", task));
    this.#connection = new Connection(() => this.#url(), this.#token);
    this.#connection.on("status", (status) => this.emit("status", status));
    this.#connection.on("welcome", (welcome) => this.#begin(welcome));
    this.#connection.on("message", (message) => this.#receive(message));
    this.#connection.on("lost", () => this.#answers.fail());
    this.#connection.on("unauthorised", (why) => this.emit("unauthorised", why));
    this.#connection.on("tokenFailed", (error) => this.#credentials.failed(error));
  }

  /** @returns {Status} */
  get status() {
    return this.#connection.status;
  }

  /** @returns {Welcome | null} the latest, kept up to date by notices; null before the first connection */
  get welcome() {
    return this.#welcome;
  }

  /** @returns {Readonly<QueueState>} what the server told last on this connection; `task.places` has it by task */
  get queue() {
    return this.#queue;
  }

  /** @returns {Task[]} */
  get unfinished() {
    return this.#tasks.unfinished;
  }

  /** Connect now: initially, during a pause, or after giving up. */
  connect() {
    this.#connection.connect();
  }

  /** Close the connection, if there is one, and connect again: for new credentials, or another language. */
  reconnect() {
    this.#answers.fail();
    this.#connection.restart();
  }

  /**
   * Disconnect until `connect`, which resumes where this left off. Unfinished tasks continue on the server. A script
   * that has what it wanted calls this to end.
   */
  close() {
    this.#connection.close();
  }

  /**
   * Disconnect and forget all tasks, for a person who signs out. Unfinished ones continue on the server.
   */
  reset() {
    this.close();
    this.#forget();
    this.#welcome = null;
  }

  /**
   * Change the language of the server's messages. Reconnects if the server has described a problem of the upstream, to
   * get that text in the new language.
   * @param {string} lang
   */
  setLang(lang) {
    this.lang = lang;
    if (this.#connection.live && this.#welcome?.upstream.state !== "ready") this.reconnect();
  }

  /**
   * Start a generation, or attach to the one with this `task_id`. A refusal arrives as the task's end.
   * @param {GenerateParams} params
   * @returns {Task}
   */
  generate(params) {
    return this.#start(new Task({ ...params, task_id: params.task_id ?? randomId() }));
  }

  /**
   * Start a chat completion, or attach to the one with this `task_id`. `task.text` has its text as it grows.
   * @param {ChatParams} params
   * @returns {Task}
   */
  chat(params) {
    const request = /** @type {TaskRequest} */ ({ ...params, task_id: params.task_id ?? randomId() });
    return this.#start(new Task(request, "chat"));
  }

  /** @param {Task} task */
  #start(task) {
    this.#tasks.add(task);
    this.#submit(task);
    return task;
  }

  /**
   * Upload an image, for `image`, `images` and `mask` of a generation. The server keeps it for a day after its last
   * use. Rejects with an `XinflightError`, or with the reason of the signal that aborted it.
   * @param {Blob} image
   * @param {import("./uploads.js").UploadOptions} [options]
   */
  async upload(image, options = {}) {
    return upload(new URL(this.#url()), image, this.#token, options);
  }

  /**
   * Delete an ended task and its outputs from the server. Rejects with an `XinflightError`.
   * @param {string} taskId
   */
  async delete(taskId) {
    // One that was only found, or is not known here, is on the server, too.
    if (this.#tasks.get(taskId)?.acknowledged !== false) await this.#ask({ action: "delete", task_id: taskId });
    this.#tasks.remove(taskId);
  }

  /** Fetch older tasks and return how many are new. Rejects with an `XinflightError`. */
  async more() {
    return this.#catchUp.more();
  }

  /**
   * Cancel a task or, with `index`, one of its outputs. The end event tells what that achieved upstream.
   * @param {string} taskId
   * @param {{index?: number}} [options]
   */
  cancel(taskId, { index } = {}) {
    const task = this.#tasks.get(taskId);
    if (task) this.#cancels.one(task, index);
  }

  /**
   * Cancel all unfinished tasks of this owner or those of a group, whichever client started them, except those listed.
   * @param {{group?: string, except?: string[]}} [options]
   */
  cancelAll({ group, except = [] } = {}) {
    this.#cancels.all(group, except);
  }

  /**
   * Move a waiting task before another one of this owner, or before or behind all. Resolves once the server has stored
   * it. Rejects with an `XinflightError`, also while there is no connection.
   * @param {string} taskId
   * @param {{before?: string, to?: "first" | "last"}} where
   */
  async move(taskId, { before, to }) {
    await this.#ask({ action: "move", task_id: taskId, before, to });
  }

  /**
   * Hold the waiting outputs of a task, or without an id of all tasks and of what is submitted later; as `move`.
   * @param {string} [taskId]
   */
  async pause(taskId) {
    await this.#ask({ action: "pause", ...which(taskId) });
  }

  /**
   * Let the held outputs of a task, or of all tasks, wait for their turns again; as `move`.
   * @param {string} [taskId]
   */
  async unpause(taskId) {
    await this.#ask({ action: "unpause", ...which(taskId) });
  }

  #url() {
    const url = new URL(this.#path, globalThis.location?.href);
    url.protocol = url.protocol.replace("http", "ws");
    if (this.lang) url.searchParams.set("lang", this.lang);
    if (this.#token !== null) url.searchParams.set("auth", "message");
    return url.href;
  }

  /** @param {Welcome} welcome */
  #begin(welcome) {
    if (this.#welcome && this.#welcome.owner !== welcome.owner) this.#forget();
    if (this.#welcome?.epoch !== welcome.epoch) this.#tasks.all.forEach((task) => task.forgetSeq());
    this.#welcome = welcome;
    // Of an owner for whom nothing waits the server tells nothing.
    this.#setQueue(EMPTY);
    this.#catchUp.begin(welcome.epoch);
    for (const task of this.unfinished) {
      if (!task.acknowledged) this.#submit(task);
      this.#cancels.again(task);
    }
    this.emit("welcome", welcome);
    this.emit("models", welcome.models);
    this.emit("upstream", welcome.upstream);
  }

  /** Remove all tasks, their places and the position in their events, which are of no use to another owner. */
  #forget() {
    this.#catchUp = new CatchUp(this.#catchUpHost);
    this.#setQueue(EMPTY);
    this.#tasks.clear();
  }

  /**
   * Send a task's request. It carries the task's id, so sending it again never starts a second task.
   * @param {Task} task
   */
  #submit(task) {
    task.sent ||= this.#connection.live;
    this.#ask({ action: task.action, ...task.request }).then(
      (answer) => answer.type === "ack" && task.acknowledge(answer.params),
      ({ code, details }) => {
        if (code !== DISCONNECTED && !task.acknowledged) task.receive({ ...details, type: "error", task_id: task.id });
      },
    );
  }

  /**
   * Send a request and wait for its reply.
   * @param {{action: string, [field: string]: unknown}} message
   * @returns {Promise<import("./protocol.js").Answer>}
   */
  #ask(message) {
    const { frame_bytes = Infinity, chat_bytes = Infinity } = this.#welcome?.limits ?? {};
    const limit = message.action === "chat" ? chat_bytes : frame_bytes;
    return this.#answers.ask(message, (text) => this.#connection.send(text), limit);
  }

  /** @param {ServerMessage} message */
  #receive(message) {
    if (this.#answers.take(message)) return;
    if (message.type === "notice") this.#notice(message);
    else if (message.type === "queue") this.#wait(message);
    else if (message.type === "error" && message.seq === undefined) this.emit("problem", new XinflightError(message));
    else if ("task_id" in message && message.type !== "ack") {
      const news = this.#tasks.hear(message);
      this.#catchUp.see(message, news);
    }
  }

  /** @param {Queue} message */
  #wait({ outputs = [], waiting = 0, paused = false, held = false }) {
    this.#tasks.wait(outputs);
    this.#setQueue({ outputs, waiting, paused, held });
  }

  /** @param {Readonly<QueueState>} queue */
  #setQueue(queue) {
    this.#queue = queue;
    this.emit("queue", queue);
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
    if (notice.kind === "expiring") this.#credentials.renew();
    if (notice.kind === "deleted") this.#tasks.remove(notice.task_id ?? "");
    if (notice.kind === "erased") this.#tasks.clear();
    if (notice.models) this.emit("models", notice.models);
    if (notice.upstream) this.emit("upstream", notice.upstream);
    this.emit("notice", notice);
  }
}

/** @param {string | undefined} taskId */
function which(taskId) {
  return taskId === undefined ? { scope: "all" } : { task_id: taskId };
}
