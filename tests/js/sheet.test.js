import assert from "node:assert/strict";
import { test } from "node:test";

import { Task } from "../../client_static/assets/client/xinflight.js";
import { justify } from "../../client_static/assets/page/sheet/justify.js";
import { byDay, landingOrder } from "../../client_static/assets/page/sheet/sections.js";
import { GenerationState } from "../../client_static/assets/page/store/generation_state.js";
import { accepted, info, progress } from "./factories.js";

const SPACE = { width: 1000, row: 236, gap: 6, strip: 64 };

function rowsOf({ boxes }) {
  return [...new Set(boxes.map(({ top }) => top))].map((row) => boxes.filter(({ top }) => top === row));
}

test("every row but the last fills the width with tiles of one height, near the one that is wanted", () => {
  const ratios = [1, 1.5, 0.667, 1.783, 1, 1, 0.75, 1.33, 1, 0.562, 1, 1, 1.5];
  const rows = rowsOf(justify(ratios, SPACE));
  assert.ok(rows.length > 2);
  for (const row of rows.slice(0, -1)) {
    const last = row.at(-1);
    assert.ok(Math.abs(last.left + last.width - SPACE.width) < 0.01);
    assert.ok(new Set(row.map(({ height }) => height)).size === 1);
    assert.ok(last.height > SPACE.row * 0.7 && last.height < SPACE.row * 1.4, String(last.height));
    for (const [at, box] of row.slice(1).entries()) {
      assert.ok(Math.abs(box.left - (row[at].left + row[at].width) - SPACE.gap) < 0.01);
    }
  }
  assert.ok(rows.at(-1)[0].height <= SPACE.row);
});

test("a row is rather higher than wanted than lower, as long as it is not much higher", () => {
  const lengths = (ratios, width) => rowsOf(justify(ratios, { ...SPACE, width })).map((row) => row.length);
  assert.deepEqual(lengths([1, 1, 1, 1], 910), [3, 1]);
  assert.deepEqual(lengths([1, 1, 1, 1], 354), [2, 2]);
  assert.deepEqual(lengths([1, 1, 1.5], 750), [3], "two alone would be 372 high");
});

test("a strip has a row of its own, between the tiles before and after it", () => {
  const { boxes, height } = justify([1, null, 1], SPACE);
  assert.deepEqual(boxes.map(({ top }) => top), [0, 242, 312]);
  assert.deepEqual([boxes[1].width, boxes[1].height], [1000, 64]);
  assert.equal(height, 312 + 236);
});

test("a panorama and a column are cropped, and nothing is as nothing needs", () => {
  const { boxes } = justify([20, 0.01], SPACE);
  assert.ok(boxes[0].width / boxes[0].height < 3.1);
  assert.ok(boxes[1].width / boxes[1].height > 0.4);
  assert.deepEqual(justify([], SPACE), { boxes: [], height: 0 });
});

test("ended generations are parted by the days on which they were asked for", () => {
  const at = (...time) => ({ created: new Date(2026, 10, ...time).getTime() / 1000 });
  const [late, early, before] = [at(22, 23, 59), at(22, 0, 1), at(21, 23, 59)];
  const sections = byDay([late, early, before]);
  assert.deepEqual(sections.map(({ generations }) => generations), [[late, early], [before]]);
  assert.equal(sections[0].day, new Date(2026, 10, 22).getTime());
});

test("what is in flight stands in the order in which it lands, and one task's images side by side", () => {
  const listener = { changed: () => {}, marked: () => {}, news: () => {} };
  const [first, second, third] = ["a", "b", "c"].map((task_id) => {
    const task = Task.from(info({ task_id, params: { prompt: task_id, n: 2, size: "64x64" } }));
    return new GenerationState(task, listener, true);
  });
  second.task.receive(accepted({ task_id: "b" }));
  second.task.receive(progress({ task_id: "b", index: 1, progress: 10, estimated_time: 4 }));
  const queue = [{ task_id: "c", index: 0 }, { task_id: "a", index: 0 }];
  // The store has the newest first.
  assert.deepEqual(landingOrder([third, second, first], queue, [], 0), [second, third, first]);
});
