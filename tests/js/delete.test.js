import assert from "node:assert/strict";
import { test } from "node:test";

import { Xinflight } from "../../client_static/assets/client/xinflight.js";
import { FakeSocket, settled } from "./fake_socket.js";

/** A client that is welcome; it ends with the test, also a failed one: its timers would keep the process. */
async function welcomed(context) {
  FakeSocket.install();
  const client = new Xinflight("ws://127.0.0.1/ws/generate");
  context.after(() => client.close());
  client.connect();
  await settled();
  FakeSocket.last.open();
  FakeSocket.last.welcome("ann");
  return client;
}

const asked = () => FakeSocket.last.sent.find(({ action }) => action === "delete");

test("a task is deleted on the server also if it was only found, or is not known here", async (context) => {
  const client = await welcomed(context);
  const deleted = client.delete("long-ago");
  assert.equal(asked()?.task_id, "long-ago");
  FakeSocket.last.say({ type: "ok", ref: asked().ref, tasks: [{ task_id: "long-ago", was: "failed" }] });
  await deleted;
});

test("one that the server never took is forgotten without asking it", async (context) => {
  const client = await welcomed(context);
  const removed = [];
  client.on("removed", (task) => removed.push(task));
  const task = client.generate({ prompt: "a boat" });
  const deleted = client.delete(task.id);
  assert.equal(asked(), undefined);
  await deleted;
  assert.deepEqual(removed, [task]);
});
