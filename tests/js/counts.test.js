import assert from "node:assert/strict";
import { test } from "node:test";

import { countsText } from "../../client_static/assets/page/board/counts.js";
import "./languages.js";
import { OutputState } from "../../client_static/assets/page/store/output_state.js";
import { output, progress } from "./factories.js";

function made({ running = 0, queued = 0, unsent = 0, ready = 0 }) {
  const some = (count, act) =>
    Array.from({ length: count }, () => {
      const state = new OutputState();
      act(state);
      return state;
    });
  return [
    ...some(running, (state) => state.advance(progress({}), 0)),
    ...some(queued, (state) => state.acknowledged()),
    ...some(unsent, () => {}),
    ...some(ready, (state) => state.finish(output(0))),
  ];
}

const LIVE = { live: true, more: false };
const AWAY = { live: false, more: false };

test("each state has its number, and what there is none of is not said", () => {
  assert.equal(countsText(made({ running: 3, queued: 2, ready: 4 }), LIVE), "3 running · 2 queued · 4 ready");
  assert.equal(countsText(made({ ready: 50 }), { live: true, more: true }), "50+ ready");
  assert.equal(countsText([], LIVE), "");
});

test("without a line, what runs is what was heard last, and what is here is known", () => {
  const states = made({ running: 3, queued: 1, unsent: 2, ready: 4 });
  assert.equal(countsText(states, AWAY), "last known: 3 running · 1 queued · 2 to be sent · 4 ready");
  assert.equal(countsText(made({ unsent: 1 }), AWAY), "1 to be sent");
  assert.equal(countsText(made({ ready: 1 }), AWAY), "1 ready");
});
