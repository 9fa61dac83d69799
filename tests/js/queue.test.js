import assert from "node:assert/strict";
import { test } from "node:test";

import { Task } from "../../client_static/assets/client/task.js";
import { Tasks } from "../../client_static/assets/client/tasks.js";
import { OutputState } from "../../client_static/assets/page/store/output_state.js";
import { accepted, output, progress, result } from "./factories.js";

const asked = (fields) => new Task({ prompt: "a boat", n: 3, task_id: "t", ...fields });
const place = (index, position, fields) => ({ task_id: "t", index, position, ...fields });
const indexes = (task) => [...task.places.keys()];

test("a task knows the places of its outputs, and those that the queue tells no more are gone", () => {
  const task = asked();
  const told = [];
  task.on("places", (places) => told.push([...places.values()].map(({ position }) => position)));
  task.wait([]);
  task.wait([place(1, 4), place(2, 5, { estimated_time: 9 })]);
  task.wait([place(2, 1)]);
  task.wait([]);
  assert.deepEqual(told, [[4, 5], [1], []]);
});

test("a queue that is older than the news that an output began, was made or ended does not put it back", () => {
  const task = asked();
  task.wait([place(0, 1), place(1, 2), place(2, 3)]);
  task.receive(progress({ index: 0, state: "starting" }));
  task.receive({ type: "output", task_id: "t", seq: 2, ...output(1) });
  assert.deepEqual(indexes(task), [2]);
  task.wait([place(0, 1), place(1, 2), place(2, 3)]);
  assert.deepEqual(indexes(task), [2]);
  // Another attempt waits again.
  task.receive(progress({ index: 0, state: "queued" }));
  task.wait([place(0, 7), place(2, 3)]);
  assert.deepEqual(indexes(task), [0, 2]);
  task.receive(result({ seq: 9 }));
  task.wait([place(0, 1)]);
  assert.deepEqual(task.places.get(0).position, 7);
});

test("a queue is about the tasks that it names and those that it no longer names", () => {
  const tasks = new Tasks();
  for (const id of ["a", "b"]) tasks.hear(accepted({ task_id: id, seq: 1 }));
  const of = (task_id, index) => ({ task_id, index, position: 1 });
  tasks.wait([of("a", 0), of("a", 1), of("b", 2), of("unknown", 0)]);
  assert.deepEqual([indexes(tasks.get("a")), indexes(tasks.get("b"))], [[0, 1], [2]]);
  tasks.wait([of("b", 2)]);
  assert.deepEqual([indexes(tasks.get("a")), indexes(tasks.get("b"))], [[], [2]]);
});

test("an output that waits shows its place, counts its time down, and shows neither once they are unknown", () => {
  const state = new OutputState();
  state.advance(progress({ state: "queued", position: 9 }), 0);
  state.place(place(0, 3, { estimated_time: 30 }), 1000);
  assert.deepEqual([state.progress.position, state.progress.step, state.remaining(2000)], [3, "queued", 29]);
  state.place(place(0, undefined, { step: "paused" }), 3000);
  assert.deepEqual([state.progress.position, state.progress.step, state.remaining(3000)], [undefined, "paused", null]);
  state.place(place(0, 2), 4000);
  state.place(undefined, 5000);
  assert.deepEqual([state.progress.position, state.progress.step], [undefined, "queued"]);
});

test("what runs or has ended takes no place", () => {
  const [runs, ended] = [new OutputState(), new OutputState()];
  runs.advance(progress({ progress: 20 }), 0);
  ended.finish(output(0));
  for (const state of [runs, ended]) state.place(place(0, 1), 0);
  assert.equal(runs.progress.position, undefined);
  assert.equal(ended.progress, null);
});
