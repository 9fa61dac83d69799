import assert from "node:assert/strict";
import { test } from "node:test";

import { Overall } from "../../client_static/assets/page/overall.js";
import { OutputState } from "../../client_static/assets/page/output_state.js";
import { output, progress } from "./factories.js";

function at(percent) {
  const state = new OutputState();
  state.advance(progress({ progress: percent }), 0);
  return state;
}

test("a finished output counts until all are finished", () => {
  const overall = new Overall();
  const [quick, slow] = [at(0), at(60)];
  overall.update([quick, slow]);
  assert.deepEqual([overall.percent, overall.left], [30, 2]);
  quick.finish(output(0));
  // Its generation has ended, so only the other one is told of.
  overall.update([slow]);
  assert.deepEqual([overall.percent, overall.left], [80, 1]);
  slow.finish(output(0));
  overall.update([]);
  assert.deepEqual([overall.percent, overall.left], [0, 0]);
});

test("it does not fall when more is asked for, or when an output begins anew", () => {
  const overall = new Overall();
  const first = at(60);
  overall.update([first]);
  overall.update([first, at(0), at(0)]);
  assert.deepEqual([overall.percent, overall.left], [60, 3]);
  first.advance(progress({ progress: 0, details: { attempt: 2 } }), 0);
  overall.update([first]);
  assert.equal(overall.percent, 60);
});

test("what comes after a pause begins at nothing", () => {
  const overall = new Overall();
  overall.update([at(90)]);
  overall.update([]);
  overall.update([at(10)]);
  assert.equal(overall.percent, 10);
});

test("it is below 100 while anything is to come, and what vanished holds nothing back", () => {
  const overall = new Overall();
  const many = Array.from({ length: 300 }, () => at(99));
  for (const state of many.slice(1)) state.finish(output(0));
  overall.update(many);
  assert.equal(overall.percent, 99);
  const other = new Overall();
  other.update([at(0), at(0)]);
  other.update([at(50)]);
  assert.equal(other.percent, 50);
});
