import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { Draft } from "../../client_static/assets/page/store/draft.js";
import { Storage } from "./storage.js";

beforeEach(() => {
  globalThis.sessionStorage = new Storage();
});

const VALUES = { prompt: "a boat", n: "3" };

test("what was typed is there again after a reload", () => {
  assert.equal(new Draft("/ws").load(), null);
  new Draft("/ws").save(VALUES);
  assert.deepEqual(new Draft("/ws").load(), VALUES);
});

test("another server at the same origin has drafts of its own", () => {
  new Draft("/one/ws").save(VALUES);
  assert.equal(new Draft("/two/ws").load(), null);
});

test("a draft is its owner's: somebody else does not get it, and it is gone", () => {
  const ann = new Draft("/ws");
  assert.ok(ann.claim("ann"));
  ann.save(VALUES);
  const again = new Draft("/ws");
  assert.deepEqual(again.load(), VALUES);
  assert.ok(again.claim("ann"));
  const bob = new Draft("/ws");
  bob.load();
  assert.ok(!bob.claim("bob"));
  assert.equal(new Draft("/ws").load(), null);
  bob.save({ prompt: "bob's" });
  assert.ok(!again.claim("bob"));
});

test("what was typed before the server told who it is belongs to whom it tells", () => {
  new Draft("/ws").save(VALUES);
  const draft = new Draft("/ws");
  draft.load();
  assert.ok(draft.claim("ann"));
  const bob = new Draft("/ws");
  bob.load();
  assert.ok(!bob.claim("bob"));
});

test("what can't be read is no draft, and only texts are values", () => {
  for (const kept of ["{", "3", "null", '{"values":3}', '{"owner":"ann"}']) {
    globalThis.sessionStorage.setItem("xinflight.draft /ws", kept);
    assert.equal(new Draft("/ws").load(), null);
  }
  globalThis.sessionStorage.setItem("xinflight.draft /ws", '{"owner":3,"values":{"prompt":"a","n":{},"seed":1}}');
  assert.deepEqual(new Draft("/ws").load(), { prompt: "a" });
});

test("without storage nothing is kept and nothing breaks", () => {
  delete globalThis.sessionStorage;
  const draft = new Draft("/ws");
  draft.save(VALUES);
  assert.equal(draft.load(), null);
  assert.ok(draft.claim("ann"));
});
