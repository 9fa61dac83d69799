import assert from "node:assert/strict";
import { test } from "node:test";

import { moved } from "../../client_static/assets/page/board/moving.js";
import { allDone, inOrder } from "../../client_static/assets/page/board/rows.js";
import { placesOf } from "../../client_static/assets/page/board/undo.js";

function output(taskId, fields) {
  return { key: taskId, taskId, index: 0, waiting: false, phase: "active", nearly: false, left: null, ...fields };
}

function waits(taskId, fields) {
  return output(taskId, { waiting: true, ...fields });
}

const ids = (outputs) => outputs.map(({ taskId }) => taskId);

test("what runs comes first, by the time left, and what is unknown after it", () => {
  const outputs = [waits("w"), output("x"), output("b", { left: 9 }), output("a", { left: 2 })];
  assert.deepEqual(ids(inOrder(outputs, [], [])), ["a", "b", "x", "w"]);
});

test("what waits stands as the queue tells, then what the server has not queued, as it was asked for", () => {
  const outputs = [
    waits("unsent", { phase: "offline" }),
    waits("sent", { phase: "sending" }),
    waits("second"),
    waits("taken", { phase: "accepted" }),
    waits("first"),
    waits("paused"),
  ];
  const queue = ["first", "second"].map((task_id) => ({ task_id, index: 0 }));
  assert.deepEqual(ids(inOrder(outputs, queue, [])), ["first", "second", "paused", "taken", "sent", "unsent"]);
});

test("rows keep their order while estimates waver, and change it for a clear reason", () => {
  const [a, b] = [output("a", { left: 5 }), output("b", { left: 6 })];
  const shown = inOrder([a, b], [], []);
  assert.deepEqual(ids(shown), ["a", "b"]);
  assert.deepEqual(ids(inOrder([a, output("b", { left: 4 })], [], shown)), ["a", "b"]);
  assert.deepEqual(ids(inOrder([a, output("b", { left: 2 })], [], shown)), ["b", "a"]);
  // What ended leaves, and what begins comes in by its time.
  const c = output("c", { left: 1 });
  assert.deepEqual(ids(inOrder([b, c], [], [b, a])), ["c", "b"]);
  assert.deepEqual(ids(inOrder([a, c], [], [b, a])), ["c", "a"]);
});

test("all is done when the last one is, if that is known of all", () => {
  assert.equal(allDone([output("a", { left: 2 }), output("b", { left: 24 })]), 24);
  assert.equal(allDone([output("a", { left: 2 }), output("b")]), null);
  assert.equal(allDone([]), null);
});

test("a move names the task before which the moved one stands", () => {
  const queue = ["a", "b", "c", "d"];
  assert.deepEqual(moved(queue, "c", -1), { before: "b" });
  assert.deepEqual(moved(queue, "c", -9), { before: "a" });
  assert.deepEqual(moved(queue, "a", 1), { before: "c" });
  assert.deepEqual(moved(queue, "a", 9), { to: "last" });
  assert.deepEqual(moved(queue, "c", 1), { to: "last" });
  for (const [id, by] of [["a", -1], ["d", 1], ["b", 0], ["x", 1]]) assert.equal(moved(queue, id, by), null);
});

test("what is brought back goes before the next one that stayed", () => {
  assert.deepEqual(placesOf(["a", "b", "c", "d"], new Set(["b", "c", "x"])), [
    { taskId: "b", before: "d" },
    { taskId: "c", before: "d" },
  ]);
  assert.deepEqual(placesOf(["a", "b"], new Set(["b"])), [{ taskId: "b", before: null }]);
  assert.deepEqual(placesOf(["a"], new Set(["a"])), [{ taskId: "a", before: null }]);
});

test("what has done its steps is not passed by what still takes seconds", () => {
  const decoding = output("a", { nearly: true });
  assert.deepEqual(ids(inOrder([decoding, output("b", { left: 5 })], [], [decoding])), ["a", "b"]);
  assert.deepEqual(ids(inOrder([output("a"), output("b", { left: 5 })], [], [decoding])), ["b", "a"]);
});
