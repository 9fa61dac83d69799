import assert from "node:assert/strict";
import { test } from "node:test";

import { addressOf, readAddress } from "../../client_static/assets/page/view/address.js";
import { WHOLE, actual, moved, zoomed } from "../../client_static/assets/page/view/zoom.js";

const FRAME = { width: 1000, height: 500 };
const IMAGE = { width: 2000, height: 2000 };

test("an image has an address that names it, whatever its task is called", () => {
  for (const id of ["a", "0-_A", "a/b#c %2F?"]) {
    const address = addressOf({ generation: { task: { id } }, index: 3 });
    assert.deepEqual(readAddress(address), { taskId: id, index: 3 });
  }
  for (const other of ["", "#", "#token=abc", "#image=a", "#image=/0", "#image=a/-1", "#image=%/0"]) {
    assert.equal(readAddress(other), null, other);
  }
});

test("an image is enlarged around a point that stays where it is", () => {
  const lie = zoomed(WHOLE, 4, { x: 20, y: 10 }, FRAME, IMAGE);
  assert.deepEqual(lie, { scale: 4, x: -60, y: -30 });
  // Four times, the same point of the image is under the mouse.
  assert.deepEqual([(20 - lie.x) / 4, (10 - lie.y) / 4], [20, 10]);
});

test("it never gets smaller than whole, nor larger than makes sense", () => {
  assert.deepEqual(zoomed(WHOLE, 0.1, { x: 5, y: 5 }, FRAME, IMAGE), WHOLE);
  assert.equal(zoomed(WHOLE, 1000, { x: 0, y: 0 }, FRAME, IMAGE).scale, 8);
  assert.equal(actual(FRAME, IMAGE), 4);
  assert.equal(actual(FRAME, { width: 100, height: 100 }), 1);
});

test("it is moved no further than its edges, and not at all where all of it is seen", () => {
  assert.deepEqual(moved(WHOLE, 50, 50, FRAME, IMAGE), WHOLE);
  // At twice the size it is 1000 x 1000 in a frame of 1000 x 500.
  assert.deepEqual(moved({ scale: 2, x: 0, y: 0 }, 300, 900, FRAME, IMAGE), { scale: 2, x: 0, y: 250 });
});
