import assert from "node:assert/strict";
import { test } from "node:test";

import { OutputState } from "../../client_static/assets/page/store/output_state.js";
import { output, progress } from "./factories.js";

test("only a new attempt may show less, and being back in the queue begins one", () => {
  const state = new OutputState();
  const told = [["running", 40, 1], ["running", 30, 1], ["running", 5, 2], ["running", 4, 1], ["queued", 0, 2]];
  const shown = told.map(([name, percent, attempt]) => {
    state.advance(progress({ state: name, progress: percent, details: { attempt } }), 0);
    return state.shown;
  });
  assert.deepEqual(shown, [40, 40, 5, 5, 0]);
  assert.equal(state.attempt, 2);
});

test("a request waits for a connection, is sent, and is acknowledged", () => {
  const state = new OutputState();
  assert.equal(state.phase, "offline");
  state.setLive(true, 0);
  assert.equal(state.phase, "sending");
  state.setLive(false, 0);
  assert.equal(state.phase, "offline");
  state.acknowledged();
  assert.equal(state.phase, "accepted");
  state.setLive(false, 0);
  assert.equal(state.phase, "accepted");
});

test("whatever is not being computed waits", () => {
  const state = new OutputState();
  assert.ok(state.waiting);
  state.advance(progress({ state: "queued" }), 0);
  assert.ok(state.waiting);
  state.advance(progress({}), 0);
  assert.ok(!state.waiting);
  state.finish(output(0));
  assert.ok(!state.waiting);
});

test("an output counts, whatever was said before", () => {
  const state = new OutputState();
  state.cancel({});
  state.finish(output(0));
  assert.deepEqual([state.phase, state.shown, state.output], ["done", 100, output(0)]);
});

test("nothing moves an output that has ended", () => {
  const state = new OutputState();
  state.advance(progress({ state: "failed" }), 0);
  assert.ok(state.ended && state.stopped);
  state.advance(progress({ progress: 50 }), 0);
  state.cancel({ upstream: "stopped" });
  assert.deepEqual([state.phase, state.shown, state.outcome], ["failed", 0, null]);
});

test("the reason of a failure may come after it", () => {
  const state = new OutputState();
  state.fail(null, "failed");
  state.fail({ code: "upstream_died" }, "failed");
  assert.equal(state.error.code, "upstream_died");
  assert.equal(state.phase, "failed");
});

test("an estimate counts down to nothing, and not for who is being cancelled", () => {
  const state = new OutputState();
  assert.equal(state.remaining(0), null);
  state.advance(progress({ estimated_time: 3 }), 1000);
  assert.deepEqual([1000, 2500, 9000].map((now) => state.remaining(now)), [3, 1.5, 0]);
  state.advance(progress({ state: "cancelling", estimated_time: 3 }), 1000);
  assert.ok(state.cancelling);
  assert.equal(state.remaining(1000), null);
});

test("nobody counts down without a line, nor after it until the server tells", () => {
  const state = new OutputState();
  state.advance(progress({ estimated_time: 90 }), 1000);
  state.setLive(false, 2000);
  assert.equal(state.remaining(2000), null);
  state.setLive(true, 2500);
  assert.equal(state.remaining(3000), null);
  state.advance(progress({ estimated_time: 80 }), 4000);
  assert.equal(state.remaining(5000), 79);
});

test("what is shown between two values is an estimate, until there is an end or no line", () => {
  const state = new OutputState();
  state.advance(progress({ progress: 20, estimated_time: 10 }), 0);
  assert.deepEqual(state.shownAt(5000), { percent: 60, estimate: true });
  assert.equal(state.shown, 20);
  state.setLive(false, 5000);
  assert.equal(state.shownAt(60_000).percent, 60);
  state.fail({ code: "upstream_died" }, "failed");
  assert.deepEqual(state.shownAt(60_000), { percent: 20, estimate: false });
});

const cancelled = (upstream) => progress({ state: "cancelled", details: { upstream } });
const WORST = { upstream: "stopped", seconds: 0.38 };

test("an output's own end stands when the task tells the worst of all", () => {
  const state = new OutputState();
  state.advance(cancelled("never_started"), 0);
  state.cancelWithTask(WORST, 4);
  state.cancel(WORST);
  assert.deepEqual(state.outcome, { upstream: "never_started", seconds: undefined });
});

test("the task's end is that of its only output, of one that ran, and of all when none started", () => {
  const [only, ran, waited] = [new OutputState(), new OutputState(), new OutputState()];
  ran.advance(progress({}), 0);
  only.cancelWithTask(WORST, 1);
  ran.cancelWithTask(WORST, 4);
  waited.cancelWithTask({ upstream: "never_started", seconds: 0 }, 4);
  assert.deepEqual([only, ran, waited].map(({ outcome }) => outcome.upstream), ["stopped", "stopped", "never_started"]);
});

test("of one that waited beside one that was stopped, or whose end was told without more, nothing is claimed", () => {
  const [waited, listed] = [new OutputState(), new OutputState()];
  listed.cancel({});
  for (const state of [waited, listed]) state.cancelWithTask(WORST, 4);
  assert.deepEqual([waited, listed].map(({ phase, outcome }) => [phase, outcome]), [
    ["cancelled", null],
    ["cancelled", null],
  ]);
});

test("what a cancel achieved may come after the news that it did", () => {
  const state = new OutputState();
  state.cancel({});
  state.advance(cancelled("running_on"), 0);
  assert.equal(state.outcome.upstream, "running_on");
});
