import assert from "node:assert/strict";
import { test } from "node:test";

import { Emitter } from "../../client_static/assets/client/emitter.js";
import { promptLines } from "../../client_static/assets/page/dock/batch.js";
import { PromptHistory } from "../../client_static/assets/page/dock/prompt_history.js";
import { EarlierPrompts } from "../../client_static/assets/page/store/earlier_prompts.js";

test("a text has a prompt per line; blank lines and the ends of lines count for nothing", () => {
  assert.deepEqual(promptLines(" a boat \r\n\n\t\na house\n"), ["a boat", "a house"]);
  assert.deepEqual(promptLines("  \n "), []);
});

test("it goes back to the oldest prompt, and forth to what was being typed", () => {
  const history = new PromptHistory(() => ["third", "second", "first"]);
  assert.equal(history.older("a draft"), "third");
  assert.equal(history.older("third"), "second");
  assert.equal(history.older("second"), "first");
  assert.equal(history.older("first"), null);
  assert.equal(history.newer("first"), "second");
  assert.equal(history.newer("second"), "third");
  assert.equal(history.newer("third"), "a draft");
  assert.equal(history.newer("a draft"), null);
});

test("what is typed over an earlier prompt is the draft from then on", () => {
  const history = new PromptHistory(() => ["second", "first"]);
  history.older("");
  assert.equal(history.newer("second, changed"), null);
  assert.equal(history.older("second, changed"), "second");
  assert.equal(history.newer("second"), "second, changed");
});

test("a prompt is offered once, and not while it is shown already", () => {
  const history = new PromptHistory(() => ["a", "b", "a", "", "c"]);
  assert.equal(history.older("a"), "b");
  assert.equal(history.older("b"), "c");
});

test("a prompt that is asked for meanwhile does not shift the others", () => {
  const prompts = ["b", "a"];
  const history = new PromptHistory(() => prompts);
  assert.equal(history.older(""), "b");
  prompts.unshift("c");
  assert.equal(history.older("b"), "a");
});

test("at the end it goes on with what became known meanwhile", () => {
  const prompts = ["b", "a"];
  const history = new PromptHistory(() => prompts);
  assert.equal(history.older("a draft"), "b");
  assert.equal(history.older("b"), "a");
  assert.equal(history.older("a"), null);
  prompts.unshift("c");
  prompts.push("b", "older", "oldest");
  assert.equal(history.older("a"), "older");
  assert.equal(history.older("older"), "oldest");
  assert.equal(history.newer("oldest"), "older");
});

/** A client with a history of pages, and a store that has loaded the newest tasks. */
function history(loaded, pages) {
  const client = new Emitter();
  client.asked = [];
  client.library = {
    find: async (query) => {
      client.asked.push(query);
      const at = Number(query.cursor ?? 0);
      if (!pages[at]) throw new Error("disconnected");
      const tasks = pages[at].map((prompt) => ({ params: prompt === null ? {} : { prompt } }));
      return { tasks, ...(at + 1 < pages.length ? { next: String(at + 1) } : {}) };
    },
  };
  const generations = { value: loaded.map((prompt, at) => ({ params: { prompt }, created: 100 - at })) };
  return { client, earlier: new EarlierPrompts(client, { generations }) };
}

test("it looks back until there is another prompt, from the oldest that is loaded", async () => {
  const { client, earlier } = history(["b", "a"], [["a", "a", null], ["a"], ["old"], ["older"]]);
  client.emit("welcome", { owner: "ann" });
  assert.equal(await earlier.more(), true);
  assert.deepEqual(earlier.known, ["b", "a", "a", "a", "a", "old"]);
  assert.deepEqual(client.asked, [{ limit: 100, until: 99 }, { limit: 100, cursor: "1" }, { limit: 100, cursor: "2" }]);
  assert.equal(await earlier.more(), true);
  assert.equal(await earlier.more(), false);
  assert.equal(client.asked.length, 4);
});

test("another owner sees nothing of what was found for the one before", async () => {
  const { client, earlier } = history([], [["a secret"], ["another"]]);
  client.emit("welcome", { owner: "ann" });
  assert.equal(await earlier.more(), true);
  client.emit("welcome", { owner: "ann" });
  assert.deepEqual(earlier.known, ["a secret"]);
  client.emit("welcome", { owner: "bob" });
  assert.deepEqual(earlier.known, []);
  const late = earlier.more();
  client.emit("welcome", { owner: "ann" });
  assert.equal(await late, false);
  assert.deepEqual(earlier.known, []);
});

test("without a connection there are no older prompts", async () => {
  const { earlier } = history(["a"], []);
  assert.equal(await earlier.more(), false);
});
