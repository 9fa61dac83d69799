import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as settled } from "node:timers/promises";

import { DISCONNECTED } from "../../client_static/assets/client/answers.js";
import { Cancels } from "../../client_static/assets/client/cancels.js";
import { XinflightError } from "../../client_static/assets/client/protocol.js";
import { Task } from "../../client_static/assets/client/task.js";
import { Tasks } from "../../client_static/assets/client/tasks.js";
import { PARAMS } from "./factories.js";

/** Cancels with a server that answers by `answer`. */
function setUp(answer = () => ({ type: "ok", tasks: [] })) {
  const tasks = new Tasks();
  const sent = [];
  const ask = async (message) => {
    sent.push(message);
    return answer(message);
  };
  const add = (id, { acknowledged = true, n = 1, group } = {}) => {
    const task = tasks.add(new Task({ prompt: "a", task_id: id, n, group }));
    if (acknowledged) task.acknowledge({ ...PARAMS, n });
    return task;
  };
  return { cancels: new Cancels(ask, tasks), sent, add };
}

test("one output of several is named, the only one is not", () => {
  const { cancels, sent, add } = setUp();
  cancels.one(add("one"), 0);
  cancels.one(add("many", { n: 3 }), 2);
  assert.deepEqual(sent, [
    { action: "cancel", task_id: "one" },
    { action: "cancel", task_id: "many", index: 2 },
  ]);
});

test("what the server never heard of ends here, and nothing is sent", () => {
  const { cancels, sent, add } = setUp();
  const task = add("unsent", { acknowledged: false });
  cancels.one(task, undefined);
  assert.deepEqual([task.end.type, task.end.upstream, sent], ["cancelled", "never_started", []]);
});

test("a cancel of all but some spares them here too", () => {
  const { cancels, sent, add } = setUp();
  const [kept, other, unsent] = [add("kept"), add("other"), add("unsent", { acknowledged: false })];
  cancels.all(undefined, ["kept"]);
  assert.deepEqual(sent, [{ action: "cancel", scope: "all", except: ["kept"] }]);
  assert.deepEqual([kept.wanted.size, other.wanted.size, unsent.end.type], [0, 1, "cancelled"]);
});

test("a cancel of a group is about its tasks only", () => {
  const { cancels, sent, add } = setUp();
  const tasks = [add("a", { group: "g" }), add("b", { group: "h" }), add("c"), add("d", { group: "g" })];
  const unsent = add("e", { acknowledged: false, group: "g" });
  cancels.all("g", ["d"]);
  assert.deepEqual(sent, [{ action: "cancel", group: "g", except: ["d"] }]);
  assert.deepEqual(
    tasks.map((task) => task.wanted.size),
    [1, 0, 0, 0],
  );
  assert.equal(unsent.end.type, "cancelled");
});

test("a refused cancel is told and may be asked for again; a lost line only defers it", async () => {
  let code = "internal";
  const { cancels, sent, add } = setUp(() => {
    throw new XinflightError({ code });
  });
  const task = add("t");
  const refused = [];
  task.on("cancelRefused", (error) => refused.push(error.code));
  cancels.one(task, undefined);
  await settled();
  assert.deepEqual([refused, task.wanted.size], [["internal"], 0]);
  code = DISCONNECTED;
  cancels.one(task, undefined);
  await settled();
  assert.deepEqual([refused.length, task.wanted.size], [1, 1]);
  cancels.again(task);
  assert.equal(sent.length, 3);
});

test("a task that the server does not know has failed; an output that was cancelled already is", async () => {
  const { cancels, add } = setUp(({ task_id, index }) => ({
    type: "ok",
    tasks: [{ task_id, index, was: index === undefined ? "unknown" : "cancelled" }],
  }));
  const [unknown, many] = [add("unknown"), add("many", { n: 3 })];
  const cancelled = [];
  many.on("cancelled", ({ index }) => cancelled.push(index));
  cancels.one(unknown, undefined);
  cancels.one(many, 1);
  await settled();
  assert.equal(unknown.end.code, "lost");
  assert.deepEqual(cancelled, [1]);
});
