import assert from "node:assert/strict";
import { test } from "node:test";
import { URL } from "node:url";

import { Posters } from "../../client_static/assets/page/sheet/posters.js";
import { settled } from "./fake_socket.js";

/** Posters of videos whose ids are their addresses; `drawn` and `freed` tell what became of them. */
function made(test) {
  const drawn = [];
  const freed = [];
  test.mock.method(URL, "revokeObjectURL", (url) => freed.push(url));
  const posters = new Posters(async (url) => (drawn.push(url), url === "broken" ? null : `blob:${url}`));
  return { drawn, freed, hold: (id) => posters.hold({ output_id: id, url: id }), clear: () => posters.clear() };
}

const many = (count) => Array.from({ length: count }, (_, at) => `v${at}`);

test("what is shown is never let go, however much it is, and few are kept of what is not", async (context) => {
  const { drawn, freed, hold } = made(context);
  const held = many(100).map(hold);
  await Promise.all(held.map(({ url }) => url));
  assert.deepEqual(drawn, many(100));
  assert.deepEqual(freed, []);
  for (const { release } of held.slice(0, 60)) release();
  await settled();
  assert.equal(freed.length, 60 - 24);
  assert.equal(await hold("v59").url, "blob:v59");
  assert.equal(drawn.length, 100, "it was kept");
  assert.equal(await hold("v0").url, "blob:v0");
  assert.equal(drawn.length, 101, "it was let go");
});

test("those used last are kept, whenever they were drawn", async (context) => {
  const { drawn, hold } = made(context);
  const [first, ...others] = many(25).map(hold);
  await Promise.all([first, ...others].map(({ url }) => url));
  const again = hold("v0");
  for (const { release } of [first, again, ...others]) release();
  await settled();
  assert.equal(await hold("v0").url, "blob:v0");
  assert.equal(drawn.length, 25, "it was kept");
  await hold("v1").url;
  assert.equal(drawn.length, 26, "another was let go in its place");
});

test("one of two who show it lets it go, once, and it stays", async (context) => {
  const { freed, hold, clear } = made(context);
  const [one, other] = [hold("v"), hold("v")];
  await one.url;
  one.release();
  one.release();
  const others = many(30).map(hold);
  await Promise.all(others.map(({ url }) => url));
  for (const { release } of others) release();
  await settled();
  assert.ok(!freed.includes("blob:v"));
  assert.equal(await other.url, "blob:v");
  clear();
  await settled();
  assert.ok(freed.includes("blob:v"));
});

test("what is gone before its turn is not loaded, and what did not come is tried again", async (context) => {
  const { drawn, hold } = made(context);
  hold("v").release();
  assert.equal(await hold("broken").url, null);
  await settled();
  assert.deepEqual(drawn, ["broken"]);
  assert.equal(await hold("broken").url, null);
  assert.equal(drawn.length, 2);
});
