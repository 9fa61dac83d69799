import assert from "node:assert/strict";
import { test } from "node:test";

import { OutputState } from "../../client_static/assets/page/store/output_state.js";
import { causeText, eachOnce, figureText, noteText, stepText, tileName, verdictText, whichFailed } from "../../client_static/assets/page/store/output_words.js";
import { output, progress } from "./factories.js";
import "./languages.js";

function after(...events) {
  const state = new OutputState();
  for (const event of events) state.advance(progress(event), 0);
  return state;
}

test("what an output does is said in the order of its life", () => {
  const state = new OutputState();
  const said = [stepText(state)];
  const then = (act) => {
    act();
    said.push(stepText(state));
  };
  then(() => state.setLive(true, 0));
  then(() => state.acknowledged());
  then(() => state.advance(progress({ state: "queued", position: 3 }), 0));
  then(() => state.advance(progress({ state: "queued", position: 1 }), 0));
  then(() => state.advance(progress({ step_index: 2, step_count: 8 }), 0));
  then(() => state.advance(progress({ step: "decoding" }), 0));
  then(() => state.advance(progress({ step: "from_the_future", message: "Polishing" }), 0));
  then(() => (state.cancelling = true));
  then(() => state.finish(output(0)));
  assert.deepEqual(said, [
    "will be sent when connected",
    "sending",
    "accepted",
    "queued 3rd",
    "next in the queue",
    "step 2 of 8",
    "decoding",
    "Polishing",
    "cancelling…",
    "",
  ]);
});

test("a figure is shown once there is something to show, with a sign where it is a guess", () => {
  assert.equal(figureText(after({ progress: 0 }), 0), "");
  assert.equal(figureText(after({ progress: 40 }), 0), "40%");
  assert.equal(figureText(after({ progress: 40, source: "estimate" }), 0), "≈ 40%");
  const estimated = after({ progress: 40, estimated_time: 6 });
  assert.deepEqual([0, 2000].map((now) => figureText(estimated, now)), ["40%", "≈ 60%"]);
});

test("a cancel says what it achieved, as far as it is known", () => {
  const cancelled = (outcome) => {
    const state = new OutputState();
    state.cancel(outcome);
    return verdictText(state);
  };
  assert.equal(cancelled({ upstream: "stopped", seconds: 0.384 }), "Stopped 0.38 s after the cancel: the model is free again.");
  assert.equal(cancelled({ upstream: "stopped" }), "Stopped: the model is free again.");
  assert.equal(cancelled({}), "It was cancelled.");
});

test("a failure says why, or that it is one", () => {
  const state = new OutputState();
  state.fail(null, "failed");
  assert.equal(verdictText(state), "It could not be generated.");
  state.fail({ code: "timeout" }, "expired");
  assert.equal(verdictText(state), "It took longer than allowed. Fewer steps or a smaller size take less time.");
  const large = new OutputState();
  large.fail({ code: "upstream_out_of_memory" }, "failed");
  assert.equal(verdictText(large), "The model has too little memory for this. A smaller size may fit.");
  const other = new OutputState();
  other.fail({ code: "upstream_garbage" }, "failed");
  assert.equal(verdictText(other), "The model server sent an invalid response.");
});

test("another attempt is told with its reason", () => {
  assert.equal(noteText(after({ details: { attempt: 1 } })), "");
  const died = { attempt: 2, retry_reason: "upstream_died" };
  assert.equal(noteText(after({ details: died })), "2nd attempt: The model process stopped.");
  assert.equal(noteText(after({ details: { attempt: 3, retry_reason: "from_the_future" } })), "3rd attempt");
});

test("an output is called by its prompt, shortened, and its place", () => {
  assert.equal(tileName("a boat", 0, 1), "“a boat”");
  assert.equal(tileName("a boat", 1, 3), "“a boat”, image 2 of 3");
  // A name from right to left does not turn the sentence that it stands in.
  assert.equal(tileName("חתול", 0, 1), "“\u2068חתול\u2069”");
  assert.equal(tileName("x".repeat(41), 0, 1), `“${"x".repeat(39)}…”`);
});

test("one strip says which failed, and each cause once", () => {
  const which = (n, ...failed) => whichFailed({ outputs: Array(n), failed: failed.map((index) => ({ index })) });
  assert.equal(which(1, 0), "");
  assert.equal(which(4), "");
  assert.equal(which(4, 2), "Number 3 of 4:");
  assert.equal(which(4, 0, 2), "2 of 4 (numbers 1, 3):");
  assert.equal(which(2, 0, 1), "All 2:");
  const failed = ["timeout", "upstream_died", "timeout"].map((code) => ({ state: new OutputState(), code }));
  for (const { state, code } of failed) state.fail({ code }, "failed");
  const [late, died] = failed.map(({ state }) => causeText(state));
  assert.notEqual(late, died);
  assert.equal(eachOnce(failed, causeText), `${late} ${died}`);
});
