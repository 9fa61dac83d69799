import assert from "node:assert/strict";
import { test } from "node:test";

import { Library } from "../../client_static/assets/client/library.js";
import { Task } from "../../client_static/assets/client/task.js";
import { Tasks } from "../../client_static/assets/client/tasks.js";
import { accepted, info, output, result } from "./factories.js";

const marked = (outputs, fields) => ({ type: "marked", task_id: "t", seq: 20, outputs, ...fields });

function watched(task) {
  const told = [];
  task.on("marks", (marks) => told.push([...marks.values()]));
  return told;
}

test("marks arrive after the end of a task, too, once and as a whole", () => {
  const task = new Task({ prompt: "a boat", n: 3, task_id: "t" });
  const told = watched(task);
  task.receive(accepted({ seq: 1 }));
  task.receive(result({ seq: 9 }));
  const first = [{ index: 0, starred: true, tags: ["sea"] }, { index: 1, deleted: true }];
  assert.ok(task.receive(marked(first)));
  assert.ok(!task.receive(marked(first)), "a replay");
  assert.ok(task.receive(marked([], { seq: 21 })));
  assert.deepEqual(told, [first, []]);
  assert.equal(task.end.type, "result");
});

test("a list tells the marks of a task as events do", () => {
  const data = [{ ...output(0), starred: true }, { ...output(2), tags: ["sea"] }, output(3)];
  const task = Task.from(info({ state: "completed", ended: 110, data, deleted: [1] }));
  assert.deepEqual(
    [...task.marks.values()],
    [{ index: 0, starred: true, tags: [] }, { index: 2, starred: false, tags: ["sea"] }, { index: 1, deleted: true }],
  );
});

test("what was found is kept up to date, and announced to nobody", async () => {
  const tasks = new Tasks();
  tasks.on("task", () => assert.fail("announced"));
  const asked = [];
  const library = new Library(async (message) => {
    asked.push(message);
    return { type: "tasks", tasks: [info({ state: "completed", ended: 110 })], next: "7", cursor: "e:1" };
  }, tasks);
  const page = await library.find({ search: "boat", starred: true });
  assert.deepEqual(asked, [{ action: "list", search: "boat", starred: true }]);
  assert.equal(page.next, "7");
  const told = watched(page.tasks[0]);
  tasks.hear(marked([{ index: 0, starred: true }]));
  assert.equal(told.length, 1);
  assert.equal((await library.find({})).tasks[0], page.tasks[0]);
  tasks.clear();
  assert.notEqual((await library.find({})).tasks[0], page.tasks[0]);
});

test("a task that is known is found as it is", async () => {
  const tasks = new Tasks();
  const known = tasks.merge(info({ state: "completed", ended: 110 }), true) && tasks.get("t");
  const library = new Library(async () => ({ type: "tasks", tasks: [info({})], cursor: "e:1" }), tasks);
  assert.equal((await library.find({})).tasks[0], known);
});

test("each change is one request", async () => {
  const asked = [];
  const answer = { type: "preferences", version: 3, preferences: { theme: "dark" } };
  const library = new Library(async (message) => (asked.push(message), answer), new Tasks());
  await library.mark("t", { index: 1, starred: true });
  await library.deleteOutput("t", 2);
  await library.restore("t", 2);
  assert.deepEqual(await library.prefer({ theme: "dark", sound: null }), answer);
  assert.deepEqual(JSON.parse(JSON.stringify(asked)), [
    { action: "mark", task_id: "t", index: 1, starred: true },
    { action: "delete", task_id: "t", index: 2 },
    { action: "restore", task_id: "t", index: 2 },
    { action: "prefer", change: { theme: "dark", sound: null } },
  ]);
});

test("a change of what the server does not have is refused", async () => {
  const answer = { type: "ok", tasks: [{ task_id: "t", was: "unknown" }] };
  const library = new Library(async () => answer, new Tasks());
  for (const change of [library.mark("t", { starred: true }), library.deleteOutput("t", 0), library.restore("t", 0)]) {
    await assert.rejects(change, { code: "not_found" });
  }
});
