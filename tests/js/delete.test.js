import assert from "node:assert/strict";
import { test } from "node:test";

import { Xinflight } from "../../client_static/assets/client/xinflight.js";
import { FakeSocket, settled } from "./fake_socket.js";

test("a task is deleted on the server also if it was only found, and is not known otherwise", async () => {
  FakeSocket.install();
  const client = new Xinflight("ws://127.0.0.1/ws/generate");
  client.connect();
  await settled();
  FakeSocket.last.open();
  FakeSocket.last.welcome("ann");
  const deleted = client.delete("long-ago");
  const asked = FakeSocket.last.sent.find(({ action }) => action === "delete");
  assert.equal(asked?.task_id, "long-ago");
  FakeSocket.last.say({ type: "ok", ref: asked.ref, tasks: [{ task_id: "long-ago", was: "failed" }] });
  await deleted;
  client.close();
});
