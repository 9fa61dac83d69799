import assert from "node:assert/strict";
import { test } from "node:test";

import { eventsOf } from "../../client_static/assets/client/history.js";
import { PARAMS, info, output } from "./factories.js";

const types = (listed) => [...eventsOf(listed)].map(({ type }) => type);
const end = (listed) => [...eventsOf(listed)].at(-1);

test("an unfinished task begins with its params and goes on to what there is", () => {
  const listed = info({ state: "running", data: [output(0)], failed: [1], cancelled: [2] });
  const [accepted, made, ...stopped] = eventsOf(listed);
  assert.deepEqual(accepted, { type: "accepted", task_id: "t", params: PARAMS, timestamp: 100 });
  assert.equal(made.url, output(0).url);
  assert.deepEqual(stopped.map(({ type, index, state }) => [type, index, state]), [
    ["progress", 1, "failed"],
    ["progress", 2, "cancelled"],
  ]);
});

test("no event of a list has a number, so none can hide one of the wire", () => {
  const listed = info({ state: "completed", ended: 200.7, data: [output(0)] });
  assert.ok([...eventsOf(listed)].every(({ seq }) => seq === undefined));
});

test("every end is told as the wire tells it", () => {
  const failures = [{ index: 1, code: "upstream_failed" }];
  const completed = info({ state: "completed", ended: 200.7, data: [output(0)], failed: [1], failures, cancelled: [2] });
  assert.deepEqual(types(completed), ["accepted", "output", "result"]);
  assert.deepEqual(end(completed), {
    type: "result",
    task_id: "t",
    data: { created: 200, data: [output(0)] },
    failed: [1],
    failures,
    cancelled: [2],
  });
  const cancelled = info({ state: "cancelled", ended: 200 });
  assert.deepEqual(end(cancelled), { type: "cancelled", task_id: "t", data: [] });
  const expired = info({ state: "expired", ended: 200, code: "timeout" });
  assert.deepEqual(end(expired), { type: "error", task_id: "t", state: "expired", code: "timeout", data: [] });
  assert.equal(end(info({ state: "failed", ended: 200 })).code, "internal");
});

test("what of a cancelled task had failed before is told before its end", () => {
  const listed = info({ state: "cancelled", ended: 200, failed: [1], cancelled: [0] });
  assert.deepEqual([...eventsOf(listed)].slice(1).map(({ type, index }) => [type, index]), [
    ["progress", 1],
    ["cancelled", undefined],
  ]);
});
