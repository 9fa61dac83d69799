import assert from "node:assert/strict";
import { test } from "node:test";

import { Task } from "../../client_static/assets/client/task.js";
import { PARAMS, accepted, info, output, progress, result } from "./factories.js";

const asked = (fields) => new Task({ prompt: "a boat", n: 3, task_id: "t", ...fields });

function recorded(task, name) {
  const heard = [];
  task.on(name, (detail) => heard.push(detail));
  return heard;
}

test("it is acknowledged once, by the reply or by its first event, with the params in effect", () => {
  const task = asked();
  const acknowledged = recorded(task, "acknowledged");
  assert.ok(!task.acknowledged);
  assert.ok(task.receive(accepted({ seq: 1 })));
  task.acknowledge(PARAMS);
  assert.deepEqual(acknowledged, [PARAMS]);
  assert.deepEqual([task.acknowledged, task.created, task.params], [true, 100, PARAMS]);
});

test("what is asked for can't be changed afterwards, since it may be sent again", () => {
  const task = asked();
  assert.throws(() => (task.request.prompt = "other"), TypeError);
});

test("a stored event is told once, however often a replay brings it; progress always", () => {
  const task = asked();
  const events = recorded(task, "event");
  const output1 = { type: "output", task_id: "t", seq: 5, ...output(1) };
  assert.deepEqual(
    [accepted({ seq: 3 }), output1, accepted({ seq: 3 }), output1, progress({})].map((e) => task.receive(e)),
    [true, true, false, false, true],
  );
  assert.deepEqual(events.map(({ type }) => type), ["accepted", "output", "progress"]);
});

test("what a list told is not told again by the stored events that follow", () => {
  const task = asked();
  const events = recorded(task, "event");
  task.catchUp(info({ state: "running", data: [output(0)] }));
  const stored = (index, seq) => ({ type: "output", task_id: "t", seq, ...output(index) });
  assert.deepEqual(
    [accepted({ seq: 3 }), stored(0, 4), stored(1, 5)].map((event) => task.receive(event)),
    [false, false, true],
  );
  assert.deepEqual(events.map(({ type, index }) => [type, index]), [["accepted", undefined], ["output", 0], ["output", 1]]);
});

test("another epoch counts anew", () => {
  const task = asked();
  task.receive(accepted({ seq: 300 }));
  task.forgetSeq();
  assert.ok(task.receive(accepted({ seq: 1 })));
});

test("there is one end, and nothing after it", async () => {
  const task = asked();
  const ends = recorded(task, "end");
  const end = result({ seq: 9 });
  assert.ok(task.receive(end));
  assert.ok(!task.receive({ type: "cancelled", task_id: "t", seq: 10 }));
  assert.ok(!task.receive(progress({})));
  assert.deepEqual(ends, [end]);
  assert.equal(await task.finished, end);
});

test("a cancel of all makes one of a part needless, and an ended task wants none", () => {
  const task = asked();
  const cancelling = recorded(task, "cancelling");
  assert.deepEqual([1, 1, null, null, 2].map((index) => task.wantCancel(index)), [true, false, true, false, false]);
  assert.deepEqual(cancelling, [{ index: 1 }, { index: null }]);
  const ended = asked();
  ended.receive(result({}));
  assert.ok(!ended.wantCancel(null));
});

test("one from a list stands where the list says", () => {
  const running = Task.from(info({ state: "running", data: [output(0)] }));
  assert.deepEqual([running.acknowledged, running.count, running.created, running.end], [true, 3, 100, null]);
  const done = Task.from(info({ state: "completed", ended: 200, data: [output(0)] }));
  assert.equal(done.end.type, "result");
});

test("events can be iterated to the end; of progress that waits, the newest of each output", async () => {
  const task = asked();
  const events = task[Symbol.asyncIterator]();
  const first = events.next();
  task.receive(accepted({ seq: 1 }));
  assert.equal((await first).value.type, "accepted");
  for (const percent of [10, 20]) for (const index of [0, 1]) task.receive(progress({ index, progress: percent }));
  task.receive(result({ seq: 2 }));
  const rest = [];
  for await (const event of events) rest.push(event.progress ?? event.type);
  assert.deepEqual(rest, [20, 20, "result"]);
});

test("iterating one that has ended tells its end", async () => {
  const task = asked();
  task.receive(result({}));
  const told = [];
  for await (const event of task) told.push(event.type);
  assert.deepEqual(told, ["result"]);
});
