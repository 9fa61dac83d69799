// @ts-check

/** @typedef {import("../../client/xinflight.js").ChatMessage} ChatMessage */
/** @typedef {import("../../client/xinflight.js").Task} Task */

/** Characters of a title. */
const TITLE = 60;

/**
 * A conversation: the chats of one group. Each of them was asked with all messages before it, so the newest one has the
 * whole conversation: what it was asked, and its answer.
 */
export class Conversation {
  /** The group of its tasks. */
  id;
  /** @type {Task[]} */
  #tasks = [];
  /** The messages that the newest task was asked with; null until they are known. @type {ChatMessage[] | null} */
  messages = null;

  /** @param {string} id */
  constructor(id) {
    this.id = id;
  }

  /** @returns {readonly Task[]} */
  get tasks() {
    return this.#tasks;
  }

  /** The newest task. @returns {Task | undefined} */
  get last() {
    return this.#tasks.reduce((/** @type {Task | undefined} */ last, task) => (last && age(last) > age(task) ? last : task), undefined);
  }

  /** Unix seconds of its newest task; Infinity while the server has not accepted that. */
  get time() {
    return this.last ? age(this.last) : -Infinity;
  }

  /** Whether an answer is still being written. */
  get busy() {
    return this.last !== undefined && this.last.end === null;
  }

  /** The beginning of its first message; empty if the client that began it did not note that. */
  get title() {
    const noted = /** @type {{title?: unknown} | null | undefined} */ (this.last?.metadata)?.title;
    return typeof noted === "string" ? noted : "";
  }

  /** @param {Task} task */
  add(task) {
    const before = this.last;
    this.#tasks.push(task);
    if (this.last === before) return;
    this.messages = task.request.messages ?? null;
  }

  /** @param {Task} task */
  remove(task) {
    const before = this.last;
    this.#tasks = this.#tasks.filter((other) => other !== task);
    if (this.last !== before) this.messages = this.last?.request.messages ?? null;
  }

  /** Return the messages for the next request: all before it, and the answer as far as it came. @param {string} text */
  next(text) {
    const answer = this.last?.text ?? "";
    /** @type {ChatMessage[]} */
    const said = answer ? [{ role: "assistant", content: answer }] : [];
    return [...(this.messages ?? []), ...said, { role: /** @type {const} */ ("user"), content: text }];
  }
}

/** Return the group of a task; one without is a conversation of its own. @param {Task} task */
export function groupOf(task) {
  return (task.params ?? task.request).group ?? task.id;
}

/** Return the text of a message; other parts than text are left out. @param {ChatMessage} message */
export function textOf({ content }) {
  if (typeof content === "string") return content;
  return (content ?? []).map((part) => (part.type === "text" ? part.text : "")).join("");
}

/** Return the title for a conversation that begins with a text. @param {string} text */
export function titleOf(text) {
  const line = [...text.trim().replace(/\s+/g, " ")];
  return line.length > TITLE ? `${line.slice(0, TITLE - 1).join("")}…` : line.join("");
}

/** @param {Task} task */
function age(task) {
  return task.created ?? Infinity;
}
