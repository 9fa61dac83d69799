import assert from "node:assert/strict";
import { test } from "node:test";

import { Emitter } from "../../client_static/assets/client/emitter.js";
import { Task } from "../../client_static/assets/client/task.js";
import { groupOf, textOf, titleOf } from "../../client_static/assets/page/chat/conversation.js";
import { Conversations } from "../../client_static/assets/page/chat/conversations.js";
import { isChat } from "../../client_static/assets/page/store/chats.js";
import { info } from "./factories.js";

const user = (content) => ({ role: "user", content });
const assistant = (content) => ({ role: "assistant", content });
const asked = (task_id, group, ...messages) => new Task({ task_id, group, messages, metadata: { title: "boats" } }, "chat");

function listed(task_id, created, group, text) {
  const data = [{ index: 0, text, bytes: 1, media_type: "text/plain" }];
  return Task.from(info({ task_id, created, params: { kind: "chat", n: 1, group }, data, metadata: { title: group } }));
}

function told() {
  const client = new Emitter();
  const changes = [];
  const all = new Conversations(client, (conversation, task) => changes.push(`${conversation.id}: ${task.id}`));
  return { client, all, changes, add: (task) => all.add(task) };
}

test("chats of one group are one conversation, and one without is a conversation of its own", () => {
  const { all, add, changes } = told();
  for (const task of [listed("c", 3, "g", "c"), listed("b", 2, undefined, "b"), listed("a", 1, "g", "a")]) add(task);
  assert.deepEqual(all.all.map(({ id, tasks }) => [id, tasks.length]), [["g", 2], ["b", 1]]);
  assert.deepEqual([all.get("g").last.id, all.get("g").title, all.get("x")], ["c", "g", undefined]);
  assert.deepEqual(changes, ["g: c", "b: b", "g: a"]);
});

test("the next message goes along with all before it and the answer, as far as it came", () => {
  const { all, add } = told();
  const first = asked("a", "g", user("one"));
  add(first);
  const conversation = all.get("g");
  assert.ok(conversation.busy);
  first.receive({ type: "delta", task_id: "a", seq: 1, index: 0, offset: 0, text: "two" });
  first.receive({ type: "cancelled", task_id: "a", seq: 2 });
  assert.ok(!conversation.busy);
  assert.deepEqual(conversation.next("three"), [user("one"), assistant("two"), user("three")]);
  // One that was refused said nothing.
  const second = asked("b", "g", ...conversation.next("three"));
  add(second);
  second.receive({ type: "error", task_id: "b", code: "shutting_down" });
  assert.deepEqual(conversation.next("four").slice(2), [user("three"), user("four")]);
});

test("the messages of what was asked elsewhere are not known, nor those of what is left after a deletion", () => {
  const { client, all, add } = told();
  add(asked("mine", "g", user("one")));
  const conversation = all.get("g");
  assert.deepEqual(conversation.messages, [user("one")]);
  add(listed("older", 1, "g", "text"));
  assert.deepEqual(conversation.messages, [user("one")]);
  const theirs = new Task({ task_id: "theirs", group: "g", kind: "chat", n: 1 });
  add(theirs);
  assert.deepEqual([conversation.last, conversation.messages], [theirs, null]);
  client.emit("removed", theirs);
  assert.deepEqual(conversation.messages, [user("one")]);
  for (const task of [...conversation.tasks]) client.emit("removed", task);
  assert.deepEqual(all.all, []);
});

test("what a task is follows from how it was asked for, or what the server says", () => {
  assert.ok(isChat(asked("a", "g")));
  assert.ok(isChat(listed("a", 1, "g", "")));
  assert.ok(!isChat(new Task({ task_id: "a", prompt: "a boat" })));
  assert.equal(groupOf(listed("a", 1, undefined, "")), "a");
});

test("a message has the text of its parts, and a title is its first line of words", () => {
  const parts = [{ type: "text", text: "What is " }, { type: "image", image: "u1" }, { type: "text", text: "this?" }];
  assert.deepEqual([textOf(user(parts)), textOf(user("a")), textOf({ role: "assistant" })], ["What is this?", "a", ""]);
  assert.equal(titleOf("  one\n\ntwo "), "one two");
  assert.equal([...titleOf("🚣".repeat(100))].length, 60);
});
