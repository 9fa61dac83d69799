import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";

import { OwnPreferences } from "../../client_static/assets/page/store/preferences.js";
import { settled } from "./fake_socket.js";
import { Storage } from "./storage.js";
import { StoredValues } from "./stored_values.js";

function visit(client = new StoredValues("preferences", "prefer")) {
  const told = [];
  const problems = [];
  const host = { follow: (preferences, first) => told.push([preferences, first]), problem: ({ code }) => problems.push(code) };
  return { client, told, problems, own: new OwnPreferences(client, "/ws", host) };
}

async function pass(milliseconds) {
  mock.timers.tick(milliseconds);
  await settled();
}

beforeEach(() => {
  globalThis.sessionStorage = new Storage();
  mock.timers.reset();
  mock.timers.enable({ apis: ["setTimeout"] });
});

test("what another device has set is followed from the first welcome on", async () => {
  const { client, told } = visit();
  await client.greet("ann");
  assert.deepEqual(client.asked, [undefined]);
  await client.answer(3, { theme: "dark", dock: { steps: "8" } });
  client.emit("notice", { kind: "preferences", version: 4, preferences: { theme: "light" } });
  client.emit("notice", { kind: "preferences", version: 3, preferences: { theme: "dark" } });
  client.emit("notice", { kind: "host", message: "hello" });
  assert.deepEqual(told, [[{ theme: "dark", dock: { steps: "8" } }, true], [{ theme: "light" }, false]]);
});

test("it may begin after the first welcome", async () => {
  const client = new StoredValues("preferences", "prefer");
  await client.greet("ann");
  const { told } = visit(client);
  await client.answer(1, { sound: true });
  assert.deepEqual(told, [[{ sound: true }, true]]);
});

test("a choice is stored, and counts against what others had set before", async () => {
  const { client, told, own } = visit();
  own.choose({ theme: "light" });
  await pass(0);
  await client.refuse("disconnected");
  await client.greet("ann");
  assert.deepEqual(client.asked, [{ theme: "light" }, { theme: "light" }]);
  client.emit("notice", { kind: "preferences", version: 1, preferences: { theme: "dark", sound: true } });
  await client.answer(2, { theme: "light", sound: true });
  assert.deepEqual(told, [[{ sound: true }, true], [{ theme: "light", sound: true }, false]]);
  assert.equal(globalThis.sessionStorage.getItem("xinflight.chosen /ws"), null);
});

test("of choices that follow each other, the last one is stored", async () => {
  const { client, own } = visit();
  await client.greet("ann");
  await client.answer(0, {});
  own.choose({ dock: { steps: "1" } }, 1000);
  await pass(900);
  own.choose({ dock: { steps: "12" } }, 1000);
  await pass(900);
  assert.deepEqual(client.asked, [undefined]);
  await pass(100);
  own.choose({ dock: { steps: "13" } }, 1000);
  await client.answer(1, { dock: { steps: "12" } });
  assert.deepEqual(client.asked.slice(1), [{ dock: { steps: "12" } }, { dock: { steps: "13" } }]);
});

test("what was not stored before a reload is stored after it, but never as somebody else's", async () => {
  const first = visit();
  await first.client.greet("ann");
  await first.client.answer(0, {});
  first.own.choose({ theme: "dark" });
  const reloaded = visit();
  await reloaded.client.greet("ann");
  assert.deepEqual(reloaded.client.asked, [{ theme: "dark" }]);
  const other = visit();
  await other.client.greet("bob");
  assert.deepEqual(other.client.asked, [undefined]);
  assert.equal(globalThis.sessionStorage.getItem("xinflight.chosen /ws"), null);
});

test("another owner's come as at a first visit, whatever their version", async () => {
  const { client, told } = visit();
  await client.greet("ann");
  await client.answer(9, { theme: "dark" });
  await client.greet("bob");
  await client.answer(1, { theme: "light" });
  await client.greet("bob");
  await client.answer(0, {});
  assert.deepEqual(told, [[{ theme: "dark" }, true], [{ theme: "light" }, true], [{}, false]]);
});

test("a refusal is told once, and not tried again", async () => {
  const { client, own, problems } = visit();
  await client.greet("ann");
  await client.answer(0, {});
  own.choose({ sound: true });
  await pass(0);
  await client.refuse("out_of_bounds");
  await pass(10_000);
  assert.deepEqual([client.asked.length, problems], [2, ["out_of_bounds"]]);
});
