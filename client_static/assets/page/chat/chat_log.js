// @ts-check
import { t } from "../../words/words.js";
import { Answer } from "./answer.js";
import { textOf } from "./conversation.js";
import { byId, fromTemplate, part } from "../ui/dom.js";

/** @typedef {import("./conversation.js").Conversation} Conversation */
/** @typedef {import("../../client/xinflight.js").ChatMessage} ChatMessage */

/** Pixels from its end within which the log follows what is written. */
const NEAR = 60;

/** The messages of the conversation that is shown, and the answer that is being written. */
export class ChatLog {
  #root = byId("chat-log", HTMLElement);
  #again;
  /** @type {Conversation | null} */
  #shown = null;
  /** @type {Answer | null} */
  #answer = null;
  /** What is shown, to build it anew only if that is another one. @type {unknown[]} */
  #built = [];

  /** @param {() => void} again called to ask the last message once more */
  constructor(again) {
    this.#again = again;
  }

  /**
   * Show a conversation as it is now; null shows the beginning of a new one.
   * @param {Conversation | null} conversation
   * @param {boolean} live
   */
  show(conversation, live) {
    const other = conversation !== this.#shown;
    const { scrollTop, clientHeight, scrollHeight } = this.#root;
    const follows = other || scrollTop + clientHeight >= scrollHeight - NEAR;
    this.#shown = conversation;
    const parts = [conversation, conversation?.last, conversation?.messages];
    if (parts.some((each, i) => each !== this.#built[i])) this.#build(conversation);
    this.#built = parts;
    this.#answer?.render(live);
    if (follows) this.#root.scrollTop = this.#root.scrollHeight;
  }

  /** Write all in another language. @param {boolean} live */
  renew(live) {
    this.#built = [];
    this.show(this.#shown, live);
  }

  /** @param {Conversation | null} conversation */
  #build(conversation) {
    const task = conversation?.last;
    const messages = conversation?.messages ?? [];
    const turns = messages.map((message) => turn(message.role, textOf(message)));
    this.#answer = null;
    if (task) {
      const element = turn("assistant", "");
      this.#answer = new Answer(element, task, this.#again);
      if (conversation?.messages === null) turns.push(hint(t("chat.loading")));
      turns.push(element);
    } else turns.push(hint(t("chat.empty")));
    this.#root.replaceChildren(...turns);
  }
}

/**
 * @param {ChatMessage["role"]} role
 * @param {string} text
 */
function turn(role, text) {
  const element = fromTemplate("turn-template");
  element.dataset.role = role;
  part(element, "who", HTMLElement).textContent = t(role === "user" ? "chat.you" : role === "assistant" ? "chat.model" : "chat.other");
  part(element, "text", HTMLElement).textContent = text;
  return element;
}

/** @param {string} text */
function hint(text) {
  const element = document.createElement("p");
  element.className = "hint";
  element.textContent = text;
  return element;
}
