import assert from "node:assert/strict";
import { test } from "node:test";

import { Emitter } from "../../client_static/assets/client/emitter.js";

test("listeners hear their event in order until they leave", () => {
  const emitter = new Emitter();
  const heard = [];
  const off = emitter.on("a", (detail) => heard.push(`first ${detail}`));
  emitter.on("a", (detail) => heard.push(`second ${detail}`));
  emitter.on("b", () => heard.push("never"));
  emitter.emit("a", 1);
  off();
  emitter.emit("a", 2);
  emitter.emit("nobody", 3);
  assert.deepEqual(heard, ["first 1", "second 1", "second 2"]);
});

test("a listener that throws is reported and keeps nobody from hearing", (t) => {
  const reported = [];
  globalThis.reportError = (error) => reported.push(error.message);
  t.after(() => delete globalThis.reportError);
  const emitter = new Emitter();
  let heard = 0;
  emitter.on("a", () => {
    throw new Error("broken");
  });
  emitter.on("a", () => (heard += 1));
  emitter.emit("a", null);
  assert.equal(heard, 1);
  assert.deepEqual(reported, ["broken"]);
});

test("outside of browsers, too, an error in a listener is one that nobody caught", (t) => {
  const jobs = [];
  t.mock.method(globalThis, "queueMicrotask", (job) => jobs.push(job));
  const emitter = new Emitter();
  emitter.on("a", () => {
    throw new Error("broken");
  });
  emitter.emit("a", null);
  assert.throws(() => jobs[0](), /broken/);
});

test("who leaves or comes while an event is told changes only the next one", () => {
  const emitter = new Emitter();
  const heard = [];
  const off = emitter.on("a", () => {
    off();
    emitter.on("a", () => heard.push("late"));
  });
  emitter.on("a", () => heard.push("there"));
  emitter.emit("a", null);
  assert.deepEqual(heard, ["there"]);
  emitter.emit("a", null);
  assert.deepEqual(heard, ["there", "there", "late"]);
});
