import assert from "node:assert/strict";
import { test } from "node:test";

import { Library } from "../../client_static/assets/client/library.js";
import { Tasks } from "../../client_static/assets/client/tasks.js";
import { Task } from "../../client_static/assets/client/xinflight.js";
import { GenerationState } from "../../client_static/assets/page/store/generation_state.js";
import { accepted, info, output, result } from "./factories.js";

const marked = (outputs, fields) => ({ type: "marked", task_id: "t", seq: 20, outputs, ...fields });
const QUIET = { changed: () => {}, marked: () => {}, news: () => {} };

function stateOf(task, listener = QUIET) {
  return new GenerationState(task, listener, true);
}

const shown = ({ outputs }) => outputs.map((each) => each.shown);

test("a deleted output has no tile until it is restored", () => {
  const news = [];
  let changes = 0;
  const task = new Task({ prompt: "a boat", n: 3, task_id: "t" });
  const state = stateOf(task, { ...QUIET, marked: () => (changes += 1), news: (_, what) => news.push(what) });
  task.receive(accepted({ seq: 1 }));
  for (const index of [0, 1, 2]) task.receive({ type: "output", task_id: "t", seq: 2 + index, ...output(index) });
  task.receive(result({ seq: 9, data: { created: 1, data: [output(0), output(1), output(2)] } }));
  assert.deepEqual(news, ["ready", "ready", "ready"]);
  task.receive(marked([{ index: 0, starred: true, tags: ["sea"] }, { index: 1, deleted: true }]));
  assert.deepEqual(shown(state), [true, false, true]);
  assert.deepEqual([state.outputs[0].starred, state.outputs[0].tags, state.outputs[2].starred], [true, ["sea"], false]);
  task.receive(marked([], { seq: 21 }));
  assert.deepEqual(shown(state), [true, true, true]);
  assert.deepEqual([changes, news.length], [2, 3]);
});

test("of a generation whose images are all deleted, nothing is left", () => {
  const task = Task.from(info({ state: "completed", ended: 110, data: [output(0)], failed: [1], deleted: [2] }));
  const state = stateOf(task);
  assert.deepEqual(shown(state), [true, true, false]);
  task.receive(marked([{ index: 0, deleted: true }, { index: 2, deleted: true }]));
  assert.deepEqual(shown(state), [false, false, false]);
});

test("an output that was deleted before it was known did not fail, and is there once it is restored and found", async () => {
  const listed = info({ state: "completed", ended: 110, data: [output(0), output(2)], deleted: [1] });
  const tasks = new Tasks();
  const library = new Library(
    async () => ({ type: "tasks", tasks: [{ ...listed, data: [output(0), output(1), output(2)] }] }),
    tasks,
  );
  tasks.merge(listed, true);
  const state = stateOf(tasks.get("t"));
  assert.deepEqual(state.outputs.map(({ state: { phase } }) => phase), ["done", "done", "done"]);
  tasks.hear(marked([]));
  assert.deepEqual(shown(state), [true, false, true], "there is no image to show yet");
  await library.find({});
  assert.deepEqual(shown(state), [true, true, true]);
  assert.equal(state.outputs[1].state.output.url, output(1).url);
});

test("a replay tells of an output that was deleted since, and nothing of it is shown", () => {
  const task = new Task({ prompt: "a boat", n: 1, task_id: "t" });
  const state = stateOf(task);
  task.receive(accepted({ seq: 1 }));
  task.receive({ type: "output", task_id: "t", seq: 2, index: 0, bytes: 0, media_type: "image/jpeg", deleted: true });
  task.receive(result({ seq: 3 }));
  assert.deepEqual(shown(state), [false]);
  assert.equal(state.outputs[0].state.stopped, false);
});

test("the library tells of every mark once, also of tasks that are not known", async () => {
  const tasks = new Tasks();
  const library = new Library(async () => ({ type: "tasks", tasks: [info({ state: "completed", ended: 110 })] }), tasks);
  const told = [];
  library.on("marked", ({ taskId, task }) => told.push([taskId, task?.id]));
  const { tasks: [found] } = await library.find({});
  tasks.hear(marked([{ index: 0, starred: true }]));
  tasks.hear(marked([{ index: 0, starred: true }]));
  tasks.hear(marked([], { task_id: "other" }));
  assert.deepEqual(told, [["t", "t"], ["other", undefined]]);
  const removed = [];
  tasks.on("removed", (task) => removed.push(task));
  tasks.merge(info({ state: "completed", ended: 110 }), true);
  assert.equal(tasks.get("t"), found, "found first and listed later, it is the same one");
  tasks.remove("t");
  assert.deepEqual(removed, [found]);
});
