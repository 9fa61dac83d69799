import assert from "node:assert/strict";
import { test } from "node:test";

import { cancelText } from "../../client_static/assets/page/board/cancel_words.js";
import { OutputState } from "../../client_static/assets/page/store/output_state.js";
import "./languages.js";

/** An output as a toast names it: `ran` tells whether it had begun. */
function output(name) {
  return { name, state: new OutputState() };
}

function outputs(n) {
  return Array.from({ length: n }, (_, i) => output(`“${i}”`));
}

function told(all, waited, later = false) {
  return cancelText(all, { waited: new Set(waited), later });
}

test("one that had not begun, and several", () => {
  const [one, two] = outputs(2);
  assert.equal(told([one], [one]), "“0” cancelled before it started.");
  assert.equal(told([one, two], [one, two]), "2 images cancelled before they started.");
});

test("one that ran is being stopped, then what that achieved is told", () => {
  const [one] = outputs(1);
  assert.equal(told([one], []), "“0” is being stopped.");
  one.state.cancel({ upstream: "stopped", seconds: 0.381 });
  assert.equal(told([one], []), "“0” stopped 0.38 s after the cancel: the model is free again.");
  const endings = { stopped: "free again", running_on: "computes to the end", unconfirmed: "has not confirmed" };
  for (const [upstream, words] of Object.entries(endings)) {
    const [other] = outputs(1);
    other.state.cancel({ upstream });
    assert.ok(told([other], []).includes(words), upstream);
  }
  const [unknown] = outputs(1);
  unknown.state.cancel({});
  assert.equal(told([unknown], []), "“0” was cancelled.");
});

test("the server knows better what had begun", () => {
  const [late, early] = outputs(2);
  late.state.cancel({ upstream: "stopped", seconds: 2 });
  early.state.cancel({ upstream: "never_started", seconds: 0 });
  assert.equal(told([late], [late]), "“0” stopped 2 s after the cancel: the model is free again.");
  assert.equal(told([early], []), "“1” cancelled before it started.");
});

test("of several the worst is told, once all have ended", () => {
  const all = outputs(4);
  const [waited, stopped, ranOn, landed] = all;
  assert.equal(told(all, [waited]), "1 cancelled before they started, 3 are being stopped.");
  stopped.state.cancel({ upstream: "stopped" });
  ranOn.state.cancel({ upstream: "running_on" });
  assert.equal(told(all, [waited]), "1 cancelled before they started, 3 are being stopped.");
  landed.state.finish({ url: "x" });
  assert.match(told(all, [waited]), /^1 image cancelled before it started\. 2 images discarded/);
  assert.equal(told([landed], []), "“3” was finished before it could be stopped.");
});

test("a failure has a strip of its own, so nothing is told of it", () => {
  const [one, two] = outputs(2);
  one.state.fail(null, "failed");
  two.state.fail(null, "failed");
  assert.equal(told([one], []), "");
  assert.equal(told([one, two], []), "");
});

test("without a connection a cancel is kept", () => {
  const [one, two] = outputs(2);
  assert.equal(told([one], [], true), "“0” will be cancelled as soon as there is a connection.");
  assert.match(told([one, two], [], true), /^2 images will be/);
  one.state.cancel({ upstream: "stopped" });
  assert.equal(told([one], [], true), "“0” stopped: the model is free again.");
});
