// @ts-check
import { isChat } from "../store/chats.js";
import { Conversation, groupOf } from "./conversation.js";

/** @typedef {import("../../client/xinflight.js").Task} Task */
/** @typedef {import("../../client/xinflight.js").Xinflight} Xinflight */

/** All conversations of the owner, as far as their tasks are known here. */
export class Conversations {
  /** @type {Map<string, Conversation>} */
  #byId = new Map();
  #changed;

  /**
   * @param {Xinflight} client
   * @param {(conversation: Conversation, task: Task) => void} changed called after each change of a conversation, for
   *   the task that changed
   */
  constructor(client, changed) {
    this.#changed = changed;
    client.on("removed", (task) => {
      const conversation = this.#byId.get(groupOf(task));
      if (!isChat(task) || !conversation) return;
      conversation.remove(task);
      if (conversation.tasks.length === 0) this.#byId.delete(conversation.id);
      changed(conversation, task);
    });
  }

  /** Add a chat to its conversation. @param {Task} task */
  add(task) {
    const conversation = this.#byId.get(groupOf(task)) ?? new Conversation(groupOf(task));
    this.#byId.set(conversation.id, conversation);
    conversation.add(task);
    const tell = () => this.#changed(conversation, task);
    for (const name of /** @type {const} */ (["acknowledged", "event", "places", "cancelling", "cancelRefused"])) {
      task.on(name, tell);
    }
    tell();
  }

  /** The one that was written in last comes first. @returns {Conversation[]} */
  get all() {
    return [...this.#byId.values()].sort((one, other) => (one.time === other.time ? 0 : other.time - one.time));
  }

  /** @param {string} id */
  get(id) {
    return this.#byId.get(id);
  }
}
