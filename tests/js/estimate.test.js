import assert from "node:assert/strict";
import { performance } from "node:perf_hooks";
import { test } from "node:test";

import { Ages } from "../../client_static/assets/client/estimate.js";
import { Estimate } from "../../client_static/assets/client/xinflight.js";
import { Task } from "../../client_static/assets/client/task.js";
import { output, progress, result } from "./factories.js";

function after(...told) {
  const estimate = new Estimate();
  for (const [fields, now, age] of told) estimate.take(progress(fields), now, age);
  return estimate;
}

const percents = (estimate, ...times) => times.map((now) => estimate.at(now).percent);

test("what was just told is shown as it is", () => {
  const estimate = after([{ progress: 40, estimated_time: 6 }, 1000]);
  assert.deepEqual(estimate.at(1000), { percent: 40, estimate: false });
  assert.deepEqual(estimate.at(1999), { percent: 40, estimate: false });
});

test("after a second without news it goes on at the rate of the time left, marked as an estimate", () => {
  const estimate = after([{ progress: 40, estimated_time: 6 }, 0]);
  assert.deepEqual(estimate.at(2000), { percent: 60, estimate: true });
  assert.deepEqual(percents(estimate, 1000, 3000, 4500), [50, 70, 85]);
});

test("without a time left there is no estimate, nor for what waits, is cancelled or was paused", () => {
  for (const fields of [
    { progress: 40 },
    { progress: 0, state: "queued", estimated_time: 9 },
    { progress: 40, state: "cancelling", estimated_time: 9 },
  ]) {
    const { percent, estimate } = after([fields, 0]).at(60_000);
    assert.deepEqual([percent, estimate], [fields.progress, false]);
  }
});

test("it never reaches 100, however late the output is", () => {
  const estimate = after([{ progress: 10, estimated_time: 5 }, 0]);
  let before = 0;
  for (let now = 0; now < 3_600_000; now += 977) {
    const { percent } = estimate.at(now);
    assert.ok(percent >= before && percent <= 99);
    before = percent;
  }
  assert.deepEqual(after([{ progress: 0, estimated_time: 0 }, 0]).at(5000), { percent: 99, estimate: true });
});

test("it never falls within an attempt: a lower value lets it wait, still marked", () => {
  const estimate = after([{ progress: 20, estimated_time: 10 }, 0]);
  assert.equal(estimate.at(5000).percent, 60);
  estimate.take(progress({ progress: 30, estimated_time: 20 }), 5000);
  assert.deepEqual(estimate.at(5000), { percent: 60, estimate: true });
  assert.deepEqual(percents(estimate, 9000, 13_000, 17_000), [60, 60, 72]);
  estimate.take(progress({ progress: 80, estimated_time: 4 }), 18_000);
  assert.deepEqual(estimate.at(18_000), { percent: 80, estimate: false });
  estimate.take(progress({ progress: 75, estimated_time: 4 }), 18_100);
  assert.equal(estimate.at(18_100).percent, 80);
});

test("a new attempt, and being back in the queue, begin at nothing", () => {
  const estimate = after([{ progress: 20, estimated_time: 10 }, 0]);
  estimate.take(progress({ progress: 0, estimated_time: 10, details: { attempt: 2 } }), 5000);
  assert.deepEqual([estimate.at(5000).percent, estimate.attempt], [0, 2]);
  estimate.take(progress({ progress: 50, details: { attempt: 2 } }), 6000);
  estimate.take(progress({ progress: 0, state: "queued", details: { attempt: 3 } }), 7000);
  assert.equal(estimate.at(60_000).percent, 0);
});

test("whatever comes in whatever order, it neither falls nor ends by itself", () => {
  let seed = 7;
  const random = () => (seed = (seed * 16_807) % 2_147_483_647) / 2_147_483_647;
  for (let round = 0; round < 50; round += 1) {
    const estimate = new Estimate();
    let [now, before] = [0, 0];
    for (let event = 0; event < 40; event += 1) {
      now += random() * 3000;
      const estimated_time = random() < 0.2 ? undefined : random() * 30;
      if (random() < 0.1) estimate.hold(now);
      else estimate.take(progress({ progress: Math.floor(random() * 100), estimated_time }), now, random() * 5);
      for (const later of [0, 400, 2500]) {
        const { percent } = estimate.at(now + later);
        assert.ok(percent >= before && percent <= 99);
        before = percent;
      }
      now += 2500;
    }
  }
});

test("without a connection it stays where it is", () => {
  const estimate = after([{ progress: 20, estimated_time: 10 }, 0]);
  estimate.hold(5000);
  assert.deepEqual(percents(estimate, 5000, 60_000), [60, 60]);
  estimate.take(progress({ progress: 70, estimated_time: 3 }), 61_000);
  assert.equal(estimate.at(61_000).percent, 70);
});

test("an old snapshot counts from when the server made it", () => {
  assert.equal(after([{ progress: 40, estimated_time: 12 }, 10_000, 6]).at(10_000).percent, 70);
});

test("the age of a message is told by the quickest one, whatever the clocks say", () => {
  const ages = new Ages();
  assert.equal(ages.of(1000, 500), 0);
  assert.equal(ages.of(1010, 12_500), 2);
  assert.equal(ages.of(1000, 20_500), 20);
  assert.equal(ages.of(undefined, 20_500), 0);
  assert.equal(ages.of(1021, 20_500), 0);
  assert.equal(ages.of(1020, 20_500), 1);
});

test("a task tells the progress of each of its outputs", () => {
  const task = new Task({ task_id: "t", prompt: "a boat", n: 2 });
  assert.deepEqual(task.progressOf(), { percent: 0, estimate: false });
  task.receive(progress({ index: 1, progress: 20, estimated_time: 10 }), 2);
  const now = performance.now();
  assert.equal(task.age, 2);
  assert.equal(task.progressOf(0, now + 60_000).percent, 0);
  assert.ok(task.progressOf(1, now + 3000).percent >= 60);
  assert.ok(task.progressOf(1, now + 3000).estimate);
  task.receive({ type: "output", task_id: "t", ...output(1) });
  assert.deepEqual(task.progressOf(1), { percent: 100, estimate: false });
  task.receive(result({ data: { created: 1, data: [output(0), output(1)] } }));
  assert.deepEqual(task.progressOf(0), { percent: 100, estimate: false });
});
