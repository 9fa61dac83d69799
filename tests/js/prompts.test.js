import assert from "node:assert/strict";
import { test } from "node:test";

import { promptLines } from "../../client_static/assets/page/dock/batch.js";
import { PromptHistory } from "../../client_static/assets/page/dock/prompt_history.js";

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
