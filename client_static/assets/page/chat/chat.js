// @ts-check
import { errorText, lang, onLang, t, when } from "../../words/words.js";
import { ask } from "../account/api.js";
import { isChat } from "../store/chats.js";
import { ChatLog } from "./chat_log.js";
import { Composer } from "./composer.js";
import { titleOf } from "./conversation.js";
import { Conversations } from "./conversations.js";
import { byId, showText } from "../ui/dom.js";
import { MESSAGES } from "../dock/kinds.js";
import { ModelChoice } from "../dock/model_choice.js";
import { showOptions } from "../dock/model_options.js";

/** @typedef {import("./conversation.js").Conversation} Conversation */
/** @typedef {import("../store/draft.js").Draft} Draft */
/** @typedef {import("../../client/xinflight.js").ChatMessage} ChatMessage */
/** @typedef {import("../../client/xinflight.js").ModelInfo} ModelInfo */
/** @typedef {import("../../client/xinflight.js").Task} Task */
/** @typedef {import("../../client/xinflight.js").Xinflight} Xinflight */

/**
 * @typedef {object} ChatHost
 * @property {(text: string) => void} say announce something
 * @property {(title: string) => Promise<boolean>} mayDelete ask for confirmation
 * @property {(model: string) => void} asks called with the model that is asked from now on; empty if there is none
 * @property {(error: {code: string}) => void} problem
 */

/** The chat tab: one conversation at a time, with its model, and the list of all. */
export class Chat {
  #client;
  #host;
  #draft;
  #log = new ChatLog(() => this.#again());
  #composer = new Composer({ send: (text) => this.#send(text), stop: () => this.#stop(), typed: () => this.#keep() });
  #conversations;
  #list = byId("conversation", HTMLSelectElement);
  #model = byId("chat-model", HTMLSelectElement);
  #remove = byId("chat-delete", HTMLButtonElement);
  #choice = new ModelChoice();
  /** The group of the conversation that is shown; empty for a new one. */
  #current = "";
  #live = false;
  /** Tasks whose messages were asked for on this connection. @type {Set<Task>} */
  #fetched = new Set();
  /** What the list of conversations shows. */
  #listed = "";
  /** @type {number | undefined} */
  #timer;

  /**
   * @param {Xinflight} client
   * @param {Draft} draft keeps what was typed and chosen over a reload
   * @param {Iterable<Task>} chats those that are known already
   * @param {ChatHost} host
   */
  constructor(client, draft, chats, host) {
    this.#client = client;
    this.#host = host;
    this.#draft = draft;
    this.#choice.given = MESSAGES;
    this.#restore();
    this.#conversations = new Conversations(client, (_, task) => this.#changed(task));
    for (const task of chats) this.#add(task);
    client.on("task", (task) => {
      if (isChat(task)) this.#add(task);
    });
    this.#live = client.status.state === "live";
    client.on("status", ({ state }) => {
      if (state !== "live") this.#fetched.clear();
      this.#live = state === "live";
      this.#later();
    });
    this.#setModels(client.welcome?.models ?? []);
    client.on("models", (models) => this.#setModels(models));
    this.#list.addEventListener("change", () => this.#open(this.#list.value));
    this.#model.addEventListener("change", () => {
      this.#choice.chosen = this.#model.value;
      this.#keep();
      this.#showModels();
    });
    this.#remove.addEventListener("click", () => this.#delete());
    byId("chat-new", HTMLButtonElement).addEventListener("click", () => {
      this.#open("");
      this.#composer.focus();
    });
    onLang(() => {
      this.#showModels();
      this.#render();
      this.#log.renew(this.#live);
    });
    this.#render();
  }

  /** @param {Task} task */
  #add(task) {
    this.#conversations.add(task);
    task.on("end", () => this.#ended(task));
  }

  /** @param {ModelInfo[]} models */
  #setModels(models) {
    this.#choice.models = models;
    this.#showModels();
  }

  /** Reset what belongs to another user. */
  clear() {
    this.#choice.chosen = null;
    this.#composer.text = this.#current = "";
    this.#showModels();
    this.#render();
  }

  #restore() {
    const { text = "", model = "", conversation = "" } = this.#draft.load() ?? {};
    this.#composer.text = text;
    this.#choice.chosen = model || null;
    this.#current = conversation;
  }

  #keep() {
    const { text } = this.#composer;
    this.#draft.save({ text, model: this.#choice.chosen ?? "", conversation: this.#current });
  }

  /** @returns {Conversation | null} */
  get #shown() {
    return this.#conversations.get(this.#current) ?? null;
  }

  /** @param {string} id */
  #open(id) {
    this.#current = id;
    this.#keep();
    this.#render();
  }

  /** @param {string} text */
  #send(text) {
    const shown = this.#shown;
    if (shown && shown.messages === null) {
      this.#composer.text = text;
      return;
    }
    const group = shown?.id ?? `chat-${crypto.getRandomValues(new Uint32Array(4)).join("-")}`;
    const messages = shown?.next(text) ?? [{ role: /** @type {const} */ ("user"), content: text }];
    this.#ask(messages, group, shown?.title || titleOf(text));
  }

  /** Ask the last message of the conversation once more. */
  #again() {
    const shown = this.#shown;
    if (shown?.messages && !shown.busy) this.#ask(shown.messages, shown.id, shown.title);
  }

  /**
   * @param {ChatMessage[]} messages
   * @param {string} group
   * @param {string} title
   */
  #ask(messages, group, title) {
    const model = this.#choice.id;
    this.#current = group;
    this.#client.chat({ messages, model, group, metadata: title ? { title } : undefined, lang: lang() });
    this.#keep();
    this.#render();
    this.#composer.focus();
  }

  #stop() {
    const task = this.#shown?.last;
    if (task) this.#client.cancel(task.id);
  }

  /** Delete all tasks of the conversation, also those that were not loaded. */
  async #delete() {
    const shown = this.#shown;
    if (!shown || shown.busy || !(await this.#host.mayDelete(shown.title || t("chat.untitled")))) return;
    try {
      for (const id of await this.#idsOf(shown)) await ask(`tasks/${encodeURIComponent(id)}`, "DELETE");
      this.#composer.focus();
    } catch (error) {
      this.#host.problem({ code: /** @type {Error} */ (error).message });
    }
  }

  /** @param {Conversation} conversation */
  async #idsOf({ id, tasks }) {
    const ids = new Set(tasks.map((task) => task.id));
    let next = "";
    do {
      const path = `tasks?limit=200&group=${encodeURIComponent(id)}${next && `&cursor=${encodeURIComponent(next)}`}`;
      const page = /** @type {{tasks: {task_id: string}[], next?: string}} */ (await ask(path, "GET"));
      for (const task of page.tasks) ids.add(task.task_id);
      next = page.next ?? "";
    } while (next);
    return ids;
  }

  /** @param {Task} task */
  #ended(task) {
    const shown = this.#shown;
    if (shown?.last !== task || !task.end) return;
    const { end } = task;
    if (end.type === "result") this.#host.say(t("say.answered"));
    else if (end.type === "error") this.#host.say(errorText(end));
  }

  /** @param {Task} task */
  #changed(task) {
    const shown = this.#shown;
    // What is written in another conversation changes nothing that is shown.
    if (!shown || shown.tasks.includes(task) || task.end !== null || task.text === "") this.#later();
  }

  /** Schedule one render for all changes of the next 16 ms; a hidden page gets no animation frames. */
  #later() {
    this.#timer ??= setTimeout(() => this.#render(), 16);
  }

  #render() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const shown = this.#shown;
    if (shown?.messages === null) this.#fetch(shown);
    this.#showList();
    this.#log.show(shown, this.#live);
    this.#composer.show({ busy: shown?.busy === true, stopping: shown?.last?.wanted.has(null) === true });
    this.#remove.hidden = shown === null || shown.busy;
  }

  /** Get the messages of a conversation that was begun elsewhere, or before a reload. @param {Conversation} conversation */
  async #fetch(conversation) {
    const task = conversation.last;
    if (!this.#live || !task?.acknowledged || this.#fetched.has(task)) return;
    this.#fetched.add(task);
    try {
      const path = `tasks/${encodeURIComponent(task.id)}/messages`;
      const { messages } = /** @type {{messages: ChatMessage[]}} */ (await ask(path, "GET"));
      if (conversation.last === task) conversation.messages = messages;
      this.#later();
    } catch (error) {
      this.#host.problem({ code: /** @type {Error} */ (error).message });
    }
  }

  #showList() {
    const all = this.#conversations.all;
    const signature = [lang(), this.#shown === null, ...all.map(({ id, time, title }) => `${id} ${time} ${title}`)].join("\n");
    // Text grows many times a second, and an open list would close each time.
    if (signature !== this.#listed) {
      const options = all.map((conversation) => new Option(nameOf(conversation), conversation.id));
      if (this.#shown === null) options.unshift(new Option(t("chat.new_one"), ""));
      this.#list.replaceChildren(...options);
      this.#listed = signature;
    }
    this.#list.value = this.#shown ? this.#current : "";
  }

  #showModels() {
    const { options, id, away } = this.#choice;
    showOptions(this.#model, options);
    this.#model.value = id ?? "";
    this.#host.asks(id ?? "");
    showText(byId("chat-hint", HTMLElement), away ? t("form.model_away_hint") : options.length ? "" : t("chat.no_model"));
  }
}

/** @param {Conversation} conversation */
function nameOf({ title, time }) {
  const name = title || t("chat.untitled");
  return Number.isFinite(time) ? `${name} · ${when(time, "short")}` : name;
}
