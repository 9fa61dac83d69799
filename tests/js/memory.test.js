import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { Emitter } from "../../client_static/assets/client/emitter.js";
import { remember } from "../../client_static/assets/page/store/memory.js";
import { Task } from "../../client_static/assets/client/task.js";
import { PARAMS } from "./factories.js";
import { Storage } from "./storage.js";

/** A client that only holds tasks. */
class Client extends Emitter {
  #tasks = [];

  get unfinished() {
    return this.#tasks.filter(({ end }) => end === null);
  }

  generate(request) {
    return this.#start(new Task({ ...request }));
  }

  chat(request) {
    return this.#start(new Task({ ...request }, "chat"));
  }

  cancel(taskId, { index = null } = {}) {
    this.#tasks.find(({ id }) => id === taskId)?.wantCancel(index);
  }

  /** All that has not ended is known now: some tasks that the server acknowledged before. */
  list(...ids) {
    for (const id of ids) this.generate({ prompt: "listed", n: 2, task_id: id }).acknowledge(PARAMS);
    this.emit("history", false);
    return this;
  }

  #start(task) {
    this.#tasks.push(task);
    this.emit("task", task);
    return task;
  }

  /** The server has named the owner. */
  welcome(owner) {
    this.emit("welcome", { owner });
    return this;
  }
}

beforeEach(() => {
  globalThis.sessionStorage = new Storage();
});

function reloaded(key = "/ws") {
  const client = new Client();
  remember(client, key);
  return client;
}

test("what the server has not acknowledged is requested again after a reload, under the same id", () => {
  const client = reloaded().welcome("ann");
  client.generate({ prompt: "sent", task_id: "a" }).acknowledge(PARAMS);
  client.generate({ prompt: "not sent", task_id: "b" });
  const again = reloaded();
  assert.deepEqual(again.unfinished, []);
  again.welcome("ann");
  assert.deepEqual(again.unfinished.map(({ request }) => request), [{ prompt: "not sent", task_id: "b" }]);
  assert.equal(reloaded().welcome("ann").unfinished.length, 1);
});

test("a chat is asked for again as a chat", () => {
  reloaded().welcome("ann").chat({ messages: [{ role: "user", content: "hello" }], task_id: "a" });
  const [again] = reloaded().welcome("ann").unfinished;
  assert.deepEqual([again.action, again.request.messages.length], ["chat", 1]);
});

test("another user of the tab neither sees nor sends it, and it is gone", () => {
  reloaded().welcome("ann").generate({ prompt: "a secret", task_id: "a" });
  assert.deepEqual(reloaded().welcome("bob").unfinished, []);
  assert.deepEqual(reloaded().welcome("ann").unfinished, []);
});

test("what was requested before the server named an owner belongs to whom it names", () => {
  reloaded().generate({ prompt: "a", task_id: "a" });
  assert.equal(reloaded().welcome("ann").unfinished.length, 1);
  assert.equal(reloaded().welcome("bob").unfinished.length, 0);
});

test("a second reload before the server answered loses nothing", () => {
  reloaded().welcome("ann").generate({ prompt: "a", task_id: "a" });
  reloaded().generate({ prompt: "b", task_id: "b" });
  assert.equal(reloaded().welcome("ann").unfinished.length, 2);
});

test("an end, too, takes it out of the memory", () => {
  const client = reloaded().welcome("ann");
  client.generate({ prompt: "a", task_id: "a" }).receive({ type: "cancelled", task_id: "a" });
  assert.deepEqual(reloaded().welcome("ann").unfinished, []);
});

test("another server at the same origin has a memory of its own", () => {
  reloaded("/one/ws").welcome("ann").generate({ prompt: "a", task_id: "a" });
  assert.deepEqual(reloaded("/two/ws").welcome("ann").unfinished, []);
  assert.equal(reloaded("/one/ws").welcome("ann").unfinished.length, 1);
});

test("a cancel that the server did not hear of is requested again after a reload", async () => {
  const client = reloaded().welcome("ann").list("a", "b", "c");
  client.cancel("a");
  client.cancel("b", { index: 1 });
  client.cancel("c");
  client.unfinished[2].receive({ type: "cancelled", task_id: "c" });
  await Promise.resolve();
  // A reload while the server is still away loses nothing.
  reloaded();
  const wanted = ({ unfinished }) => unfinished.map(({ id, wanted: indexes }) => [id, ...indexes]);
  assert.deepEqual(wanted(reloaded().welcome("ann").list("a", "b", "c")), [["a", null], ["b", 1], ["c"]]);
  await Promise.resolve();
  assert.deepEqual(wanted(reloaded().welcome("bob").list("a", "b")), [["a"], ["b"]]);
  await Promise.resolve();
  assert.deepEqual(wanted(reloaded().welcome("ann").list("a", "b")), [["a"], ["b"]]);
});

test("what can't be read is nothing", () => {
  for (const saved of ["3", "[]", '{"requests":3}', '{"owner":3,"requests":null}']) {
    globalThis.sessionStorage.setItem("xinflight.unacknowledged /ws", saved);
    assert.deepEqual(reloaded().welcome("ann").unfinished, []);
  }
});

test("storage that is off, full or damaged loses only the memory", () => {
  globalThis.sessionStorage = {
    getItem: () => "{",
    setItem() {
      throw new Error("quota");
    },
  };
  const client = reloaded().welcome("ann");
  client.generate({ prompt: "a", task_id: "a" });
  assert.equal(client.unfinished.length, 1);
});
