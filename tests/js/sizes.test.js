import assert from "node:assert/strict";
import { test } from "node:test";

import { presets, sideAllowed } from "../../client_static/assets/page/dock/sizes.js";

const LIMITS = { size_min: 64, size_max: 2048, size_multiple: 16 };

test("every offered size is allowed, once, and is not the model's own", () => {
  for (const own of ["1024x1024", "512x512", "768x1360", "2048x2048", "64x64"]) {
    const sizes = presets(own, LIMITS);
    assert.equal(new Set(sizes).size, sizes.length);
    assert.ok(!sizes.includes(own));
    for (const size of sizes) {
      assert.match(size, /^\d+x\d+$/);
      assert.ok(size.split("x").every((side) => sideAllowed(Number(side), LIMITS)), `${size} beside ${own}`);
    }
  }
});

test("shapes have about as many pixels as the model's own size, squares for a try have fewer", () => {
  const sizes = presets("1024x1024", LIMITS);
  assert.deepEqual(sizes.slice(-2), ["512x512", "256x256"]);
  for (const size of sizes.slice(0, -2)) {
    const [width, height] = size.split("x").map(Number);
    assert.ok(Math.abs((width * height) / 1024 ** 2 - 1) < 0.03, size);
  }
  assert.ok(sizes.some((size) => size === "1360x768"));
});

test("limits leave out what is too large or too small", () => {
  assert.deepEqual(presets("64x64", LIMITS).filter((size) => size.includes("32")), []);
  assert.ok(presets("1024x1024", { ...LIMITS, size_max: 1024 }).every((size) => !size.includes("1360")));
});

test("a side is allowed from bound to bound, in whole steps", () => {
  const allowed = (side) => sideAllowed(side, LIMITS);
  assert.deepEqual([64, 80, 2048].map(allowed), [true, true, true]);
  assert.deepEqual([63, 65, 48, 2064, NaN, 64.5].map(allowed), [false, false, false, false, false, false]);
});
