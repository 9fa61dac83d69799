// @ts-check
import { t } from "../words/words.js";
import { More } from "./sheet/more.js";
import { isChat } from "./store/chats.js";
import { Draft } from "./store/draft.js";
import { keep, readKept } from "./store/storage.js";
import { loadStyle } from "./ui/style.js";
import { Tabs } from "./ui/tabs.js";

/** @typedef {import("../client/xinflight.js").Task} Task */
/** @typedef {import("./page.js").Page} Page */

/**
 * Offer the chat where there is a model for one, or a conversation; its parts are loaded then, before its tab is there.
 * @param {Page} page
 */
export function offerChat(page) {
  const { client, key, announcer, problem } = page;
  const place = `xinflight.tab ${key}`;
  const draft = new Draft(`${key} chat`);
  /** @type {Set<Task>} */
  const chats = new Set();
  /** @type {import("./chat/chat.js").Chat | null} */
  let chat = null;
  let model = "";

  const load = page.lazy(async () => {
    const [{ Chat }] = await Promise.all([import("./chat/chat.js"), loadStyle("chat.css")]);
    chat = new Chat(client, draft, chats, {
      say: (text) => announcer.say(text),
      mayDelete: (title) => page.mayDelete(t("delete.title", { prompt: title }), t("chat.delete_text")),
      asks: (id) => {
        model = id;
        told();
      },
      problem,
    });
    return chat;
  });
  const told = () => (page.chatModel.value = tabs.shown === "chat" ? model : "");
  const tabs = new Tabs((name) => {
    keep(place, name);
    told();
  });
  const offered = () => {
    const models = client.welcome?.models ?? [];
    return chats.size > 0 || models.some(({ kinds }) => kinds.includes("chat"));
  };
  const offer = async () => {
    if (offered()) await load();
    tabs.offer(chat !== null && offered());
    // Again the one that was shown before a reload.
    if (chat && offered() && readKept(place) === "chat") tabs.show("chat");
  };
  new More(client, { grown: () => {}, problem }, "chat-more");

  client.on("models", offer);
  page.later(async () => (offered() ? load() : null));
  client.on("task", (task) => {
    if (!isChat(task)) return;
    chats.add(task);
    offer();
  });
  client.on("removed", (task) => chats.delete(task));
  client.on("welcome", ({ owner }) => {
    if (!draft.claim(owner)) chat?.clear();
  });
  page.onLeave(() => {
    draft.clear();
    chat?.clear();
  });
}
