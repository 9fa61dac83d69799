import assert from "node:assert/strict";
import { test } from "node:test";

import { healthOf, isSignedOut, lineText } from "../../client_static/assets/page/status/line_words.js";
import "./languages.js";

const FINE = { status: { state: "live" }, upstream: "ready", model: "painter", restarting: false, news: "" };

test("the chip tells of the line first, then of the model server, then of the model", () => {
  assert.equal(lineText(FINE), "painter ready");
  assert.equal(lineText({ ...FINE, model: "" }), "live");
  assert.equal(lineText({ ...FINE, news: "resumed" }), "resumed");
  const away = { ...FINE, upstream: "unreachable", news: "resumed" };
  assert.equal(lineText(away), "model server away");
  const reconnecting = { ...away, status: { state: "reconnecting", seconds: 2 } };
  assert.equal(lineText(reconnecting), "reconnecting in 2 s");
  assert.equal(lineText({ ...reconnecting, restarting: true }), "server restarts, back in 2 s");
  assert.equal(lineText({ ...FINE, status: { state: "given_up", code: 4401 } }), "signed out");
  assert.equal(lineText({ ...FINE, status: { state: "given_up", code: 4403 } }), "not connected");
});

test("it is bad where somebody has to act, and not where it mends itself", () => {
  const health = (state, upstream = "ready") => healthOf({ status: { state }, upstream });
  assert.deepEqual(["live", "connecting", "reconnecting", "given_up"].map((state) => health(state)), ["good", "wait", "wait", "bad"]);
  assert.deepEqual(
    ["loading", "no_model", "unreachable", "unauthorised"].map((upstream) => health("live", upstream)),
    ["wait", "bad", "bad", "bad"],
  );
});

test("who has signed out is not told to connect", () => {
  assert.ok(isSignedOut({ state: "given_up" }));
  assert.ok(isSignedOut({ state: "given_up", code: 4401 }));
  assert.ok(!isSignedOut({ state: "given_up", code: 4403 }));
  assert.ok(!isSignedOut({ state: "live" }));
});
