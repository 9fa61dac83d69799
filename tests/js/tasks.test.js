import assert from "node:assert/strict";
import { test } from "node:test";

import { Task } from "../../client_static/assets/client/task.js";
import { Tasks } from "../../client_static/assets/client/tasks.js";
import { PARAMS, accepted, info, progress, result } from "./factories.js";

function filled() {
  const tasks = new Tasks();
  const news = [];
  tasks.on("task", ({ id }) => news.push(`+${id}`));
  tasks.on("removed", ({ id }) => news.push(`-${id}`));
  return { tasks, news };
}

test("a task that was started elsewhere begins with its first event, not in the middle", () => {
  const { tasks, news } = filled();
  assert.ok(!tasks.hear(progress({ task_id: "x" })));
  assert.ok(tasks.hear(accepted({ task_id: "x", seq: 1 })));
  assert.ok(tasks.hear(progress({ task_id: "x" })));
  assert.deepEqual(news, ["+x"]);
});

test("a task that is not kept belongs to whoever started it", () => {
  const { tasks, news } = filled();
  const params = { ...PARAMS, store: false };
  assert.ok(!tasks.hear(accepted({ task_id: "theirs", seq: 1, params })));
  assert.ok(!tasks.merge(info({ task_id: "theirs", params }), true));
  tasks.add(new Task({ prompt: "a", task_id: "ours", store: false }));
  assert.ok(tasks.hear(accepted({ task_id: "ours", seq: 2, params })));
  assert.deepEqual(news, ["+ours"]);
});

test("a list adds what is new, and moves what is known only where it may know more", () => {
  const { tasks, news } = filled();
  assert.ok(tasks.merge(info({ task_id: "x" }), true));
  const ended = info({ task_id: "x", state: "completed", ended: 200 });
  assert.ok(!tasks.merge(ended, false));
  assert.equal(tasks.get("x").end, null);
  assert.ok(!tasks.merge(ended, true));
  assert.equal(tasks.get("x").end.type, "result");
  assert.deepEqual(news, ["+x"]);
});

test("what the server lost is gone when it had ended, and has failed when it had not", () => {
  const { tasks, news } = filled();
  for (const id of ["done", "open"]) tasks.add(new Task({ prompt: "a", task_id: id }));
  tasks.hear(result({ task_id: "done", seq: 1 }));
  for (const id of ["done", "open", "unknown"]) tasks.lose(id);
  assert.deepEqual(news, ["+done", "+open", "-done"]);
  assert.equal(tasks.get("open").end.code, "lost");
  assert.deepEqual(tasks.unfinished, []);
});

test("forgetting what is not there says nothing", () => {
  const { tasks, news } = filled();
  tasks.remove("nobody");
  assert.deepEqual(news, []);
});
