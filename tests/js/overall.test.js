import assert from "node:assert/strict";
import { test } from "node:test";

import { Overall } from "../../client_static/assets/page/store/overall.js";
import { OutputState } from "../../client_static/assets/page/store/output_state.js";
import { output, progress } from "./factories.js";

function at(percent) {
  const state = new OutputState();
  state.advance(progress({ progress: percent }), 0);
  return state;
}

test("a finished output counts until all are finished", () => {
  const overall = new Overall();
  const [quick, slow] = [at(0), at(60)];
  overall.update([quick, slow], 0);
  assert.deepEqual([overall.percent, overall.left], [30, 2]);
  quick.finish(output(0));
  // Its generation has ended, so only the other one is told of.
  overall.update([slow], 0);
  assert.deepEqual([overall.percent, overall.left], [80, 1]);
  slow.finish(output(0));
  overall.update([], 0);
  assert.deepEqual([overall.percent, overall.left], [0, 0]);
});

test("it does not fall when more is asked for, or when an output begins anew", () => {
  const overall = new Overall();
  const first = at(60);
  overall.update([first], 0);
  overall.update([first, at(0), at(0)], 0);
  assert.deepEqual([overall.percent, overall.left], [60, 3]);
  first.advance(progress({ progress: 0, details: { attempt: 2 } }), 0);
  overall.update([first], 0);
  assert.equal(overall.percent, 60);
});

test("what comes after a pause begins at nothing", () => {
  const overall = new Overall();
  overall.update([at(90)], 0);
  overall.update([], 0);
  overall.update([at(10)], 0);
  assert.equal(overall.percent, 10);
});

test("it is below 100 while anything is to come, and what vanished holds nothing back", () => {
  const overall = new Overall();
  const many = Array.from({ length: 300 }, () => at(99));
  for (const state of many.slice(1)) state.finish(output(0));
  overall.update(many, 0);
  assert.equal(overall.percent, 99);
  const other = new Overall();
  other.update([at(0), at(0)]);
  other.update([at(50)]);
  assert.equal(other.percent, 50);
});

test("it goes on with the estimates, says so, and does not fall either", () => {
  const overall = new Overall();
  const [slow, other] = [new OutputState(), at(40)];
  slow.advance(progress({ progress: 20, estimated_time: 10 }), 0);
  overall.update([slow, other], 0);
  assert.deepEqual([overall.percent, overall.estimate], [30, false]);
  overall.update([slow, other], 5000);
  assert.deepEqual([overall.percent, overall.estimate], [50, true]);
  slow.advance(progress({ progress: 21, estimated_time: 20 }), 5000);
  overall.update([slow, other], 5000);
  assert.deepEqual([overall.percent, overall.estimate], [50, true]);
  slow.finish(output(0));
  overall.update([other], 6000);
  assert.deepEqual([overall.percent, overall.estimate], [70, false]);
});
