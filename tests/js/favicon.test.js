import assert from "node:assert/strict";
import { test } from "node:test";

import { ringStep, ringSvg } from "../../client_static/assets/page/status/favicon.js";

test("the ring moves in steps that can be seen, and is not closed before the end", () => {
  assert.deepEqual([0, 4, 5, 62, 99, 100].map(ringStep), [0, 0, 5, 60, 95, 100]);
});

test("the ring is as long as the part that is done", () => {
  const whole = 2 * Math.PI * 11;
  assert.match(ringSvg(0), /stroke-dasharray="0\.00 69\.12"/);
  assert.ok(ringSvg(50).includes(`"${(whole / 2).toFixed(2)} `));
  assert.ok(ringSvg(100).startsWith("<svg xmlns="));
});
