import assert from "node:assert/strict";
import { test } from "node:test";

import { ratioOf, shapeChips } from "../../client_static/assets/page/dock/shapes.js";

const PRESETS = ["1184x880", "880x1184", "1248x832", "832x1248", "1360x768", "768x1360", "512x512", "256x256"];

test("the model's own size stands for its shape, and every other shape has the first size that has it", () => {
  assert.deepEqual(shapeChips("1024x1024", PRESETS), [
    { name: "1:1", size: "" },
    { name: "3:2", size: "1248x832" },
    { name: "2:3", size: "832x1248" },
    { name: "16:9", size: "1360x768" },
    { name: "9:16", size: "768x1360" },
  ]);
  assert.equal(shapeChips("1360x768", ["1024x1024"]).find(({ name }) => name === "16:9").size, "");
});

test("a shape without an allowed size is not offered", () => {
  assert.deepEqual(shapeChips("64x64", []), [{ name: "1:1", size: "" }]);
  assert.deepEqual(shapeChips("1184x880", []), []);
});

test("what is no size counts as square", () => {
  for (const size of ["", undefined, "x", "0x0", "nonsense"]) assert.equal(ratioOf(size), 1, size);
  assert.equal(ratioOf("200x100"), 2);
});
