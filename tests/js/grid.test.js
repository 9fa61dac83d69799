import assert from "node:assert/strict";
import { test } from "node:test";

import { gridRequests, numbersOf } from "../../client_static/assets/page/dock/grid.js";
import { axesOf, gridOf } from "../../client_static/assets/page/view/grid_layout.js";

const OWN = { id: "ab12", seed: 77 };

test("numbers are parted by commas, spaces or their Chinese sisters, and told once", () => {
  const bounds = { min: 1, max: 50, whole: true };
  assert.deepEqual(numbersOf("4, 8;12 8，16、20", bounds), [4, 8, 12, 16, 20]);
  for (const bad of ["", " , ", "4, x", "0", "51", "1.5"]) assert.equal(numbersOf(bad, bounds), null, bad);
  assert.deepEqual(numbersOf("1.5 0", { min: 0, max: 30, whole: false }), [1.5, 0]);
});

test("every pair of values is asked for, row by row, with one seed and one group", () => {
  const axes = [{ field: "steps", values: [4, 8] }, { field: "guidance_scale", values: [1, 3, 5] }];
  const requests = gridRequests({ prompt: "a boat", n: 4, steps: 30 }, axes, OWN);
  assert.deepEqual(
    requests.map(({ steps, guidance_scale }) => [steps, guidance_scale]),
    [[4, 1], [4, 3], [4, 5], [8, 1], [8, 3], [8, 5]],
  );
  for (const request of requests) {
    assert.equal(request.seed, 77);
    assert.equal(request.n, undefined);
    assert.equal(request.prompt, "a boat");
    assert.equal(request.group, "grid:steps:guidance_scale:ab12");
    assert.match(request.group, /^[A-Za-z0-9._:~-]{1,64}$/);
  }
});

test("a seed that is set stays, unless seeds are what differs", () => {
  const axis = { field: "model", values: ["a", "b"] };
  assert.deepEqual(gridRequests({ seed: 5 }, [axis], OWN).map(({ seed }) => seed), [5, 5]);
  const seeds = gridRequests({ seed: 5 }, [{ field: "seed", values: [1, 2] }], OWN);
  assert.deepEqual(seeds.map(({ seed }) => seed), [1, 2]);
});

test("a group tells its axes, and other groups have none", () => {
  assert.deepEqual(axesOf("grid:steps:guidance_scale:ab12"), ["steps", "guidance_scale"]);
  assert.deepEqual(axesOf("grid:seed:model:ab12"), ["seed", "model"]);
  assert.deepEqual(axesOf("grid:model:x"), ["model"]);
  for (const other of [undefined, "", "mine", "grid", "grid:steps", "grid:x:y", "other:steps:1"]) {
    assert.equal(axesOf(other), null, other);
  }
});

test("a grid shows what there is at its place; of two alike the last one", () => {
  const cell = (steps, guidance_scale, name) => ({ params: { steps, guidance_scale }, name });
  const tasks = [cell(4, 1, "a"), cell(4, 3, "b"), cell(8, 1, "c"), cell(4, 1, "a again")];
  const grid = gridOf(["steps", "guidance_scale"], tasks);
  assert.deepEqual(grid.rows, { field: "steps", values: [4, 8] });
  assert.deepEqual(grid.columns, { field: "guidance_scale", values: [1, 3] });
  assert.deepEqual(grid.cells.map((row) => row.map((each) => each?.name)), [["a again", "b"], ["c", undefined]]);
});

test("a grid of one axis has one column", () => {
  const grid = gridOf(["seed"], [{ params: { seed: 1 } }, { params: { seed: 2 } }]);
  assert.equal(grid.columns, null);
  assert.deepEqual(grid.cells, [[{ params: { seed: 1 } }], [{ params: { seed: 2 } }]]);
});
