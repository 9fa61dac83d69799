import assert from "node:assert/strict";
import { test } from "node:test";

import { changesOf, withChanges } from "../../client_static/assets/page/store/tag_changes.js";

test("a change of tags is made to what there is by then", () => {
  const change = changesOf(["sea", "old"], ["sea", "new"]);
  assert.deepEqual(change, { added: ["new"], removed: ["old"] });
  assert.deepEqual(withChanges(["sea", "old", "night"], change), ["sea", "night", "new"]);
  assert.deepEqual(withChanges(["new"], change), ["new"]);
  assert.deepEqual(withChanges([], {}), []);
});
