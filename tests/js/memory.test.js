import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { Emitter } from "../../client_static/assets/client/emitter.js";
import { remember } from "../../client_static/assets/page/memory.js";
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
    const task = new Task({ ...request });
    this.#tasks.push(task);
    this.emit("task", task);
    return task;
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
  const client = reloaded();
  client.generate({ prompt: "sent", task_id: "a" }).acknowledge(PARAMS);
  client.generate({ prompt: "not sent", task_id: "b" });
  assert.deepEqual(reloaded().unfinished.map(({ request }) => request), [{ prompt: "not sent", task_id: "b" }]);
  assert.equal(reloaded().unfinished.length, 1);
});

test("an end, too, takes it out of the memory", () => {
  reloaded().generate({ prompt: "a", task_id: "a" }).receive({ type: "cancelled", task_id: "a" });
  assert.deepEqual(reloaded().unfinished, []);
});

test("another server at the same origin has a memory of its own", () => {
  reloaded("/one/ws").generate({ prompt: "a", task_id: "a" });
  assert.deepEqual(reloaded("/two/ws").unfinished, []);
  assert.equal(reloaded("/one/ws").unfinished.length, 1);
});

test("storage that is off, full or damaged loses only the memory", () => {
  globalThis.sessionStorage = {
    getItem: () => "{",
    setItem() {
      throw new Error("quota");
    },
  };
  const client = reloaded();
  client.generate({ prompt: "a", task_id: "a" });
  assert.equal(client.unfinished.length, 1);
});
