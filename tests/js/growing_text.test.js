import assert from "node:assert/strict";
import { test } from "node:test";

import { GrowingText } from "../../client_static/assets/client/growing_text.js";

/** Write deltas and return the text, and which of them made it grow. */
function written(...deltas) {
  const growing = new GrowingText();
  const grew = deltas.map(([offset, text]) => growing.write(offset, text));
  return [growing.text, ...grew];
}

test("deltas are written one after the other", () => {
  assert.deepEqual(written([0, "a red"], [5, " boat"]), ["a red boat", true, true]);
});

test("a delta that is there already changes nothing", () => {
  assert.deepEqual(written([0, "a red boat"], [2, "red"], [0, "a red boat"]), ["a red boat", true, false, false]);
});

test("of a delta that overlaps only what is new is written", () => {
  assert.deepEqual(written([0, "a red"], [0, "a red bo"], [6, "boat"]), ["a red boat", true, true, true]);
});

test("offsets count code points, whatever a string takes for them", () => {
  assert.deepEqual(written([0, "船🚢"], [2, "👩‍🚀"], [1, "🚢👩‍🚀红色"], [5, "红色的"]), [
    "船🚢👩‍🚀红色的",
    true,
    true,
    true,
    true,
  ]);
});

test("an empty delta changes nothing", () => {
  assert.deepEqual(written([0, ""], [0, "a"], [1, ""]), ["a", false, true, false]);
});

test("any cut of a text into overlapping deltas gives the text", () => {
  const text = Array.from("héllo 世界 🌍🚀 e\u0301 👨‍👩‍👧 fin");
  for (let from = 0; from < text.length; from++) {
    for (let upto = from; upto <= text.length; upto++) {
      const growing = new GrowingText();
      growing.write(0, text.slice(0, upto).join(""));
      growing.write(from, text.slice(from).join(""));
      assert.equal(growing.text, text.join(""));
    }
  }
});
