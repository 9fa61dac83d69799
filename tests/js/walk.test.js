import assert from "node:assert/strict";
import { test } from "node:test";

import { neighbour } from "../../client_static/assets/page/sheet/walk.js";

/** Rows of tiles, 100 high and 10 apart: of each row the widths. */
function sheet(...rows) {
  return rows.flatMap((widths, row) => {
    let left = 0;
    return widths.map((width) => {
      const box = { left, top: row * 110, width, height: 100 };
      left += width + 10;
      return box;
    });
  });
}

const THREE = sheet([100, 300, 100], [250, 260], [100, 100, 290]);
const go = (key, at, boxes = THREE, window = 220) => neighbour(key, boxes, at, window);

test("left and right go along the order, from row to row, and no further than its ends", () => {
  assert.deepEqual([0, 2, 7].map((at) => go("ArrowRight", at)), [1, 3, -1]);
  assert.deepEqual([0, 3].map((at) => go("ArrowLeft", at)), [-1, 2]);
});

test("up and down go to what stands most nearly above or below", () => {
  assert.equal(go("ArrowDown", 0), 3);
  assert.equal(go("ArrowDown", 1), 4, "the middle of it is over the right one of two");
  assert.equal(go("ArrowDown", 2), 4);
  assert.equal(go("ArrowUp", 7), 4);
  assert.equal(go("ArrowUp", 3), 1, "there may be no tile at the same height");
  assert.deepEqual([go("ArrowUp", 1), go("ArrowDown", 5)], [-1, -1]);
});

test("page up and page down go a window further, or as far as there are rows", () => {
  const many = sheet(...Array.from({ length: 9 }, () => [100, 100]));
  assert.equal(go("PageDown", 1, many), 5);
  assert.equal(go("PageUp", 5, many), 1);
  assert.equal(go("PageDown", 15, many), 17);
  assert.equal(go("PageUp", 2, many), 0);
});

test("home and end go to the ends of the sheet, and other keys nowhere", () => {
  assert.deepEqual([go("Home", 4), go("End", 4), go("s", 4), go("ArrowRight", -1)], [0, 7, -1, -1]);
});
