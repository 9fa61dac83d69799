import assert from "node:assert/strict";
import { test } from "node:test";

import { Xinflight } from "../../client_static/assets/client/client.js";
import { Task } from "../../client_static/assets/client/task.js";
import { Tasks } from "../../client_static/assets/client/tasks.js";
import { accepted, info, result } from "./factories.js";
import { FakeSocket, settled } from "./fake_socket.js";

const MESSAGES = [{ role: "user", content: "Hello" }];
const PARAMS = { kind: "chat", model: "writer", n: 1 };
const asked = () => new Task({ messages: MESSAGES, task_id: "t" }, "chat");
const delta = (offset, text, fields) => ({ type: "delta", task_id: "t", index: 0, offset, text, ...fields });
const written = (text, fields) => ({ index: 0, bytes: 1, media_type: "text/plain", text, ...fields });

function heard(task) {
  const events = [];
  task.on("event", ({ type }) => events.push([type, task.text]));
  return events;
}

test("a chat grows by its deltas, and its output and its end complete it", () => {
  const task = asked();
  const events = heard(task);
  task.receive(accepted({ seq: 1, params: PARAMS }));
  task.receive(delta(0, "A 🚢", { seq: 2 }));
  // Merged for a client that was slow.
  task.receive(delta(0, "A 🚢 is", { seq: 4 }));
  assert.ok(!task.receive(delta(3, " is", { seq: 4 })));
  task.receive({ type: "output", task_id: "t", seq: 9, ...written("A 🚢 is red.") });
  task.receive(result({ seq: 10 }));
  assert.deepEqual(events, [
    ["accepted", ""],
    ["delta", "A 🚢"],
    ["delta", "A 🚢 is"],
    ["output", "A 🚢 is red."],
    ["result", "A 🚢 is red."],
  ]);
});

test("what the model thinks is a text of its own", () => {
  const task = asked();
  task.receive(delta(0, "Hm. ", { seq: 1, channel: "reasoning" }));
  task.receive(delta(0, "Red", { seq: 2 }));
  task.receive(delta(4, "Red!", { seq: 3, channel: "reasoning" }));
  assert.deepEqual([task.text, task.reasoning], ["Red", "Hm. Red!"]);
  task.receive({ type: "output", task_id: "t", seq: 4, ...written("Red.", { reasoning: "Hm. Red!" }) });
  assert.deepEqual([task.text, task.reasoning], ["Red.", "Hm. Red!"]);
});

test("one that broke off keeps its text so far", () => {
  for (const end of [
    { type: "cancelled", upstream: "stopped", seconds: 1 },
    { type: "error", code: "interrupted", state: "failed" },
  ]) {
    const task = asked();
    task.receive(delta(0, "A", { seq: 1 }));
    task.receive({ ...end, task_id: "t", seq: 2, data: [written("A boat", { incomplete: true })] });
    assert.equal(task.text, "A boat");
  }
});

test("a running chat of a list goes on where its text stands, without a lost or doubled character", () => {
  const listed = info({ state: "running", params: PARAMS, data: [written("船 is", { incomplete: true })] });
  const task = Task.from(listed);
  const events = heard(task);
  assert.deepEqual([task.text, task.end], ["船 is", null]);
  task.receive(delta(1, " is a", { seq: 5 }));
  task.receive(delta(6, " ship", { seq: 6 }));
  assert.deepEqual(events, [
    ["delta", "船 is a"],
    ["delta", "船 is a ship"],
  ]);
});

test("a list that is behind a running chat takes nothing back", () => {
  const tasks = new Tasks();
  tasks.hear(accepted({ seq: 1, params: PARAMS }));
  tasks.hear(delta(0, "A red boat", { seq: 2 }));
  const listed = { state: "running", params: PARAMS, data: [written("A red", { incomplete: true })] };
  tasks.merge(info(listed), true);
  assert.equal(tasks.get("t").text, "A red boat");
});

test("an ended chat of a list that broke off is no output", () => {
  const data = [written("A bo", { incomplete: true, reasoning: "Hm" })];
  const task = Task.from(info({ state: "failed", ended: 200, params: PARAMS, data, code: "interrupted" }));
  assert.deepEqual([task.text, task.reasoning, task.end.type, task.end.data], ["A bo", "Hm", "error", data]);
});

test("it is asked for by its own action, with the limit of chats", async () => {
  FakeSocket.install();
  const client = new Xinflight("ws://localhost/ws/generate");
  client.connect();
  FakeSocket.last.open();
  FakeSocket.last.welcome("ann", { limits: { frame_bytes: 100, chat_bytes: 1000 } });
  const long = client.chat({ messages: [{ role: "user", content: "x".repeat(500) }], model: "writer" });
  const longer = client.chat({ messages: [{ role: "user", content: "x".repeat(1000) }] });
  const drawn = client.generate({ prompt: "x".repeat(500) });
  const sent = FakeSocket.last.sent.filter(({ action }) => action === "chat" || action === "generate");
  assert.deepEqual(sent.map(({ action, task_id, model }) => [action, task_id, model]), [["chat", long.id, "writer"]]);
  await settled();
  assert.deepEqual([longer.end.code, drawn.end.code, long.end], ["frame_too_large", "frame_too_large", null]);
  client.reset();
});
