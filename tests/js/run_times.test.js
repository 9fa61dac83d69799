import assert from "node:assert/strict";
import { test } from "node:test";

import { Task } from "../../client_static/assets/client/xinflight.js";
import { RunTimes } from "../../client_static/assets/page/dock/run_times.js";
import { accepted, output, progress, result } from "./factories.js";

const PARAMS = { prompt: "a boat", model: "painter", n: 2, size: "1000x1000", steps: 10 };

function started(params = PARAMS) {
  const task = new Task({ ...params, task_id: "t" });
  task.receive(accepted({ params }));
  return task;
}

/** Let an output run from its request on, `seconds` long. */
function run(times, seconds, params = PARAMS) {
  const task = started(params);
  times.take(task, progress({ details: { elapsed: 1 } }), 1000);
  return times.take(task, { type: "output", task_id: "t", ...output(0) }, seconds * 1000);
}

test("a time is learnt from the request to the output, and scaled by the work of another one", () => {
  const times = new RunTimes();
  assert.equal(times.seconds(PARAMS), null);
  assert.equal(run(times, 4), true);
  assert.equal(times.seconds(PARAMS), 4);
  assert.equal(times.seconds({ ...PARAMS, steps: 20 }), 8);
  assert.equal(times.seconds({ ...PARAMS, size: "500x1000" }), 2);
  assert.equal(times.seconds({ ...PARAMS, frames: 10 }), 40);
  assert.equal(times.seconds({ ...PARAMS, model: "other" }), null);
});

test("one slow run among quick ones does not count, and alike ones come before scaled ones", () => {
  const times = new RunTimes();
  for (const seconds of [4, 60, 4]) run(times, seconds);
  assert.equal(times.seconds(PARAMS), 4);
  run(times, 30, { ...PARAMS, steps: 20 });
  assert.equal(times.seconds(PARAMS), 4);
  assert.equal(times.seconds({ ...PARAMS, steps: 20 }), 30);
});

test("nothing is learnt of what waited, ended without an output, or was not seen running", () => {
  const times = new RunTimes();
  const task = started();
  const made = { type: "output", task_id: "t", ...output(0) };
  assert.equal(times.take(task, made, 0), false);
  times.take(task, progress({ details: { elapsed: 1 } }), 1000);
  times.take(task, progress({ state: "queued" }), 2000);
  assert.equal(times.take(task, made, 3000), false);
  times.take(task, progress({ details: { elapsed: 1 } }), 4000);
  times.take(task, result(), 5000);
  assert.equal(times.take(task, made, 6000), false);
  assert.equal(times.seconds(PARAMS), null);
});

test("the latest runs of the latest models survive a reload, and rubbish counts as nothing", () => {
  const times = new RunTimes();
  for (let n = 0; n < 30; n += 1) run(times, 4, { ...PARAMS, model: `model ${n}` });
  for (let n = 0; n < 30; n += 1) run(times, n + 1, { ...PARAMS, model: "model 29" });
  const saved = JSON.parse(JSON.stringify(times.saved));
  assert.equal(saved.length, 20);
  assert.equal(saved.at(-1)[1].length, 8);
  assert.equal(new RunTimes(saved).seconds({ ...PARAMS, model: "model 10" }), 4);
  for (const rubbish of [null, "x", [["a"]], [["a", [[1]]]], [["a", [[1, 0]]]], [["a", [["1", 2]]]]]) {
    assert.deepEqual(new RunTimes(rubbish).saved, []);
  }
});
