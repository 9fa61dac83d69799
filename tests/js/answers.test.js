import assert from "node:assert/strict";
import { test } from "node:test";

import { Answers, DISCONNECTED } from "../../client_static/assets/client/answers.js";

test("each answer goes to its question, in whatever order", async () => {
  const answers = new Answers();
  const sent = [];
  const ask = (action) => answers.ask({ action }, (text) => sent.push(JSON.parse(text)), Infinity);
  const [list, cancel] = [ask("list"), ask("cancel")];
  assert.deepEqual(sent.map(({ action }) => action), ["list", "cancel"]);
  assert.ok(answers.take({ type: "ok", ref: sent[1].ref, tasks: [] }));
  assert.ok(answers.take({ type: "tasks", ref: sent[0].ref, tasks: [], cursor: "e:1" }));
  assert.deepEqual([(await list).type, (await cancel).type], ["tasks", "ok"]);
});

test("what carries no ref is no answer", () => {
  const answers = new Answers();
  assert.ok(!answers.take({ type: "pong" }));
  assert.ok(!answers.take({ type: "cancelled", task_id: "t" }));
});

test("a refusal rejects with its code and field", async () => {
  const answers = new Answers();
  let ref;
  const asked = answers.ask({}, (text) => (ref = JSON.parse(text).ref), Infinity);
  answers.take({ type: "error", ref, code: "out_of_bounds", field: "n" });
  await assert.rejects(asked, { code: "out_of_bounds", field: "n" });
});

test("a frame over the limit is refused here, in bytes, and never sent", async () => {
  const answers = new Answers();
  const never = () => assert.fail("sent");
  await assert.rejects(answers.ask({ prompt: "画".repeat(40) }, never, 120), { code: "frame_too_large", limit: "120" });
});

test("without a line, and when it is lost, every question ends as disconnected", async () => {
  const answers = new Answers();
  await assert.rejects(answers.ask({}, () => false, Infinity), { code: DISCONNECTED });
  const waiting = [answers.ask({}, () => true, Infinity), answers.ask({}, () => true, Infinity)];
  answers.fail();
  for (const one of waiting) await assert.rejects(one, { code: DISCONNECTED });
});
