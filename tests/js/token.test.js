import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";

import { Xinflight } from "../../client_static/assets/client/xinflight.js";
import { FakeSocket, settled } from "./fake_socket.js";

const SERVER = "ws://127.0.0.1:8000/ws/generate";
const EXPIRING = { type: "notice", kind: "expiring", message: "", seconds: 60 };

let now = 0;

beforeEach(() => {
  FakeSocket.install();
  now = 0;
  mock.restoreAll();
  mock.timers.reset();
  mock.timers.enable({ apis: ["setTimeout", "setInterval"] });
  mock.method(globalThis.performance, "now", () => now);
});

/** Let time pass. */
async function pass(milliseconds) {
  now += milliseconds;
  mock.timers.tick(milliseconds);
  await settled();
}

/** A client, and what it told about its credentials. */
function connected(token) {
  const client = new Xinflight(SERVER, { token });
  const told = { unauthorised: [], problems: [] };
  client.on("unauthorised", (why) => told.unauthorised.push(why));
  client.on("problem", ({ code }) => told.problems.push(code));
  client.connect();
  return { client, told };
}

/** A token function that numbers its tokens. */
function numbered() {
  let count = 0;
  return async () => `token-${(count += 1)}`;
}

async function live(owner = "ann") {
  await settled();
  FakeSocket.last.open();
  FakeSocket.last.welcome(owner);
  await settled();
  return FakeSocket.last;
}

test("the token is the first message, and never in the address", async () => {
  for (const token of ["secret", () => "secret", async () => "secret"]) {
    const { client } = connected(token);
    const socket = await live();
    assert.deepEqual(socket.sent[0], { action: "authenticate", token: "secret" });
    assert.equal(socket.url.searchParams.get("auth"), "message");
    assert.ok(!socket.url.href.includes("secret"));
    assert.equal(client.status.state, "live");
  }
});

test("without a token a ping is sent first, so that a server that wants one refuses at once", async () => {
  const { told } = connected();
  FakeSocket.last.open();
  assert.deepEqual(FakeSocket.last.sent, [{ action: "ping" }]);
  assert.equal(FakeSocket.last.url.search, "");
  FakeSocket.last.end(4401, "a token is needed");
  assert.deepEqual(told.unauthorised, [{ code: 4401, reason: "a token is needed" }]);
});

test("a refused token is told once, and not tried again until somebody connects", async () => {
  const { client, told } = connected(numbered());
  await settled();
  FakeSocket.last.open();
  FakeSocket.last.end(4401, "wrong");
  await pass(3_600_000);
  assert.equal(FakeSocket.made.length, 1);
  assert.deepEqual(told.unauthorised, [{ code: 4401, reason: "wrong" }]);
  assert.deepEqual(client.status, { state: "given_up", code: 4401 });
  client.connect();
  const socket = await live();
  assert.equal(socket.sent[0].token, "token-2");
});

test("a token that expires is renewed on the open connection", async () => {
  const { told } = connected(numbered());
  const socket = await live();
  socket.say(EXPIRING);
  await settled();
  const { action, token, ref } = socket.sent.at(-1);
  assert.deepEqual({ action, token }, { action: "authenticate", token: "token-2" });
  socket.say({ type: "ok", ref, tasks: [] });
  assert.equal(FakeSocket.made.length, 1);
  assert.deepEqual(told, { unauthorised: [], problems: [] });
});

test("a refused renewal is a problem, and the connection lives on", async () => {
  const { client, told } = connected(numbered());
  const socket = await live();
  socket.say(EXPIRING);
  await settled();
  socket.say({ type: "error", ref: socket.sent.at(-1).ref, code: "forbidden" });
  await settled();
  assert.deepEqual(told.problems, ["forbidden"]);
  assert.equal(client.status.state, "live");
});

test("after 4402 it connects again with a fresh token", async () => {
  connected(numbered());
  (await live()).end(4402);
  await pass(600);
  const socket = await live();
  assert.equal(FakeSocket.made.length, 2);
  assert.equal(socket.sent[0].token, "token-2");
});

test("a token that is a text can't be renewed: 4402 is final", async () => {
  const { told } = connected("secret");
  const socket = await live();
  socket.say(EXPIRING);
  await settled();
  assert.ok(!socket.sent.slice(1).some(({ action }) => action === "authenticate"));
  socket.end(4402, "expired");
  await pass(3_600_000);
  assert.equal(FakeSocket.made.length, 1);
  assert.deepEqual(told.unauthorised, [{ code: 4402, reason: "expired" }]);
});

test("a token function that fails is called again after a pause, and its error is told", async () => {
  let fails = true;
  const { client, told } = connected(async () => {
    if (fails) throw new Error("offline");
    return "secret";
  });
  await settled();
  assert.deepEqual(told.problems, ["token_unavailable"]);
  assert.equal(client.status.state, "reconnecting");
  fails = false;
  await pass(600);
  await live();
  assert.equal(client.status.state, "live");
});

test("a function without a token gives up without a connection", async () => {
  const { told } = connected(async () => "");
  await settled();
  assert.equal(FakeSocket.made.length, 0);
  assert.deepEqual(told.unauthorised, [{ code: 0, reason: "no token" }]);
});

test("a token that comes too late, or after a disconnect, opens no socket", async () => {
  let give = () => {};
  const { client } = connected(() => new Promise((resolve) => (give = resolve)));
  await pass(15_000);
  assert.equal(client.status.state, "reconnecting");
  client.reset();
  give("secret");
  await settled();
  assert.equal(FakeSocket.made.length, 0);
});

test("with a cookie it reconnects once before the expiry, for the server to renew the cookie", async () => {
  connected();
  (await live()).say(EXPIRING);
  assert.equal(FakeSocket.made.length, 2);
  (await live()).say(EXPIRING);
  assert.equal(FakeSocket.made.length, 2);
});

test("another owner gets nothing of the former one's", async () => {
  const { client } = connected();
  const removed = [];
  client.on("removed", ({ id }) => removed.push(id));
  await live("ann");
  client.generate({ prompt: "a secret", task_id: "a" });
  FakeSocket.last.end(4402);
  client.generate({ prompt: "another", task_id: "b" });
  await pass(600);
  const socket = await live("bob");
  assert.deepEqual(removed, ["a", "b"]);
  assert.deepEqual(client.unfinished, []);
  assert.ok(!socket.sent.some(({ action }) => action === "generate" || action === "resume"));
  assert.equal(socket.sent.find(({ action }) => action === "list").cursor, undefined);
});

test("the same owner keeps everything, and what was requested meanwhile is sent", async () => {
  const { client } = connected();
  await live("ann");
  FakeSocket.last.end(4402);
  client.generate({ prompt: "b", task_id: "b" });
  await pass(600);
  const socket = await live("ann");
  assert.equal(client.unfinished.length, 1);
  assert.ok(socket.sent.some(({ action, task_id: id }) => action === "generate" && id === "b"));
});

test("after a reset nothing is left and nothing connects", async () => {
  const { client } = connected(numbered());
  const socket = await live();
  client.generate({ prompt: "a", task_id: "a" });
  client.reset();
  await pass(3_600_000);
  assert.equal(socket.readyState, 3);
  assert.equal(FakeSocket.made.length, 1);
  assert.deepEqual([client.unfinished, client.welcome], [[], null]);
});

test("closed, it stays so until it connects, and has everything again", async () => {
  const { client } = connected(numbered());
  const socket = await live();
  const task = client.generate({ prompt: "a", task_id: "a" });
  client.close();
  assert.deepEqual([client.status.state, socket.readyState], ["given_up", 3]);
  await pass(3_600_000);
  assert.equal(FakeSocket.made.length, 1);
  client.connect();
  const again = await live();
  assert.deepEqual(client.unfinished, [task]);
  assert.ok(again.sent.some(({ action, task_id: id }) => action === "generate" && id === "a"));
});
