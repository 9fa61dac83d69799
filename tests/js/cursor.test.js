import assert from "node:assert/strict";
import { test } from "node:test";

import { Cursor } from "../../client_static/assets/client/cursor.js";

test("without a replay nothing is safe, however much was seen", () => {
  const cursor = new Cursor();
  assert.equal(cursor.after, null);
  cursor.begin("e");
  cursor.see(9);
  assert.equal(cursor.after, null);
  assert.equal(cursor.moving, false);
});

test("the end of a replay makes all that was seen safe, also what came live in between", () => {
  const cursor = new Cursor();
  cursor.begin("e");
  cursor.see(9);
  cursor.settle("e:7");
  assert.equal(cursor.after, "e:9");
  cursor.settle("e:12");
  assert.equal(cursor.after, "e:12");
});

test("live numbers move it forward only", () => {
  const cursor = new Cursor();
  cursor.begin("e");
  cursor.settle("e:7");
  cursor.see(12);
  cursor.see(11);
  assert.equal(cursor.after, "e:12");
});

test("a line that drops within a replay goes on from the old place", () => {
  const cursor = new Cursor();
  cursor.begin("e");
  cursor.settle("e:12");
  cursor.begin("e");
  cursor.see(20);
  assert.equal(cursor.after, "e:12");
  cursor.begin("e");
  cursor.settle("e:15");
  assert.equal(cursor.after, "e:15");
});

test("another epoch and a gap leave nothing to go on from", () => {
  const cursor = new Cursor();
  cursor.begin("e");
  cursor.settle("e:15");
  cursor.begin("other");
  assert.equal(cursor.after, null);
  cursor.settle("other:3");
  cursor.lose();
  assert.equal(cursor.after, null);
});

test("an epoch may contain a colon", () => {
  const cursor = new Cursor();
  cursor.begin("a:b");
  cursor.settle("a:b:4");
  assert.equal(cursor.after, "a:b:4");
});
