import assert from "node:assert/strict";
import { test } from "node:test";

import { toBlackAndWhite } from "../../client_static/assets/page/dock/mask_image.js";
import { Strokes } from "../../client_static/assets/page/dock/strokes.js";

/** A canvas that notes what is drawn on it. */
function canvas() {
  const drawn = [];
  let path = [];
  return {
    drawn,
    beginPath: () => (path = []),
    lineTo: (x, y) => path.push([x, y]),
    arc: (x, y, radius) => path.push([x, y, radius]),
    fill() {
      drawn.push(["dot", this.globalCompositeOperation, ...path]);
    },
    stroke() {
      drawn.push([this.lineWidth, this.globalCompositeOperation, ...path]);
    },
  };
}

function drawn(strokes, scale = 1) {
  const context = canvas();
  strokes.draw(context, scale, "#fff");
  return context.drawn;
}

function painted() {
  const strokes = new Strokes();
  strokes.begin({ x: 10, y: 20 }, 40, false);
  strokes.extend({ x: 30, y: 20 });
  strokes.begin({ x: 5, y: 5 }, 8, true);
  return strokes;
}

test("strokes are drawn in their order, as large as the canvas is", () => {
  assert.deepEqual(drawn(painted(), 0.5), [
    [20, "source-over", [5, 10], [15, 10]],
    ["dot", "destination-out", [2.5, 2.5, 2]],
  ]);
});

test("while the brush moves, only what is new is drawn", () => {
  const strokes = painted();
  strokes.extend({ x: 9, y: 5 });
  strokes.extend({ x: 13, y: 5 });
  const context = canvas();
  strokes.drawLast(context, 1, "#fff");
  assert.deepEqual(context.drawn, [[8, "destination-out", [9, 5], [13, 5]]]);
});

test("a hand that trembles adds no points", () => {
  const strokes = new Strokes();
  strokes.begin({ x: 0, y: 0 }, 100, false);
  for (let x = 0; x <= 20; x += 1) strokes.extend({ x, y: 0 });
  assert.deepEqual(drawn(strokes)[0].slice(2), [[0, 0], [5, 0], [10, 0], [15, 0], [20, 0]]);
  new Strokes().extend({ x: 1, y: 1 });
});

test("the last stroke can be taken back, and all of them; a copy stays as it was", () => {
  const strokes = painted();
  const before = strokes.copy();
  strokes.undo();
  assert.equal(drawn(strokes).length, 1);
  strokes.clear();
  assert.ok(strokes.empty);
  strokes.undo();
  assert.equal(drawn(before).length, 2);
});

test("everything is covered into its corners", () => {
  const strokes = new Strokes();
  strokes.cover(300, 400);
  assert.deepEqual(drawn(strokes), [["dot", "source-over", [150, 200, 500]]]);
});

test("a mask is opaque and has no grey", () => {
  const pixels = new Uint8ClampedArray([255, 255, 255, 255, 9, 9, 9, 128, 255, 255, 255, 127, 0, 0, 0, 0]);
  assert.ok(toBlackAndWhite(pixels));
  const white = [255, 255, 255, 255];
  const black = [0, 0, 0, 255];
  assert.deepEqual([...pixels], [...white, ...white, ...black, ...black]);
  assert.ok(!toBlackAndWhite(new Uint8ClampedArray(8)));
});
