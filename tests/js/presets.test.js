import assert from "node:assert/strict";
import { test } from "node:test";

import { putAround } from "../../client_static/assets/page/dock/around.js";
import { presetText } from "../../client_static/assets/page/dock/preset_words.js";
import { OwnPresets, inverse } from "../../client_static/assets/page/store/presets.js";
import { settled } from "./fake_socket.js";
import "./languages.js";
import { StoredValues } from "./stored_values.js";

const A = { name: "A", settings: { n: "2" } };
const B = { name: "B", settings: {}, prompt: "oil, {prompt}" };

function visit() {
  const client = new StoredValues("presets", "presets");
  const problems = [];
  const own = new OwnPresets(client, { changed: () => {}, problem: ({ code }) => problems.push(code) });
  return { client, own, problems, names: () => own.list.map(({ name }) => name) };
}

test("the prompt takes its place in the text around it, or stands before it", () => {
  assert.equal(putAround("", "a boat"), "a boat");
  assert.equal(putAround("photo of {prompt}, 85mm", "a boat"), "photo of a boat, 85mm");
  assert.equal(putAround("pencil sketch", "a boat"), "a boat, pencil sketch");
  assert.equal(putAround("{prompt} and {prompt} again", "a boat"), "a boat and a boat again");
  assert.equal(putAround("costs $& {prompt}", "$1"), "costs $& $1");
});

test("what has the text around it already does not get it twice", () => {
  const around = "photo of {prompt}, 85mm";
  assert.equal(putAround(around, putAround(around, "a boat")), "photo of a boat, 85mm");
  assert.equal(putAround("pencil sketch", "a boat, pencil sketch"), "a boat, pencil sketch");
  assert.equal(putAround(around, "photo of my dog"), "photo of photo of my dog, 85mm");
  assert.equal(putAround("a {prompt} a", "a a"), "a a a a", "its two ends are not the same letters");
});

test("without a prompt only the text itself is sent", () => {
  assert.equal(putAround("{prompt}, oil painting", ""), "oil painting");
  assert.equal(putAround("oil painting", ""), "oil painting");
});

test("a change is undone by its inverse", () => {
  assert.deepEqual(inverse({ delete: ["A"] }, [A, B]), { save: [A], delete: [] });
  assert.deepEqual(inverse({ save: [{ ...A, settings: {} }] }, [A, B]), { save: [A], delete: [] });
  const renamed = { delete: ["A"], save: [{ ...A, name: "C" }] };
  assert.deepEqual(inverse(renamed, [A, B]), { save: [A], delete: ["C"] });
  assert.deepEqual(inverse({ delete: ["nobody"] }, [A]), { save: [], delete: ["nobody"] });
});

test("they are there from the first welcome on, by name, and follow other devices", async () => {
  const { client, names } = visit();
  await client.greet("ann");
  await client.answer(3, [B, A]);
  assert.deepEqual(names(), ["A", "B"]);
  await client.notify(4);
  await client.answer(4, [B]);
  assert.deepEqual(names(), ["B"]);
  assert.deepEqual(client.asked, [undefined, undefined]);
});

test("an own change is not asked for again when the server tells of it", async () => {
  const { client, own, names } = visit();
  await client.greet("ann");
  await client.answer(1, [A]);
  const undo = own.change({ save: [B] });
  await settled();
  await client.notify(2);
  await client.answer(2, [A, B]);
  assert.deepEqual(await undo, { save: [], delete: ["B"] });
  assert.deepEqual(names(), ["A", "B"]);
  assert.equal(client.asked.length, 2);
});

test("a change that is refused changes nothing, and the next one is made", async () => {
  const { client, own, names, problems } = visit();
  await client.greet("ann");
  await client.answer(1, [A]);
  const refused = assert.rejects(own.change({ save: [B] }));
  await settled();
  await client.refuse("out_of_bounds");
  await refused;
  assert.deepEqual([names(), problems], [["A"], []], "whoever changes it tells of it");
  own.change({ delete: ["A"] });
  await settled();
  await client.answer(2, []);
  assert.deepEqual(names(), []);
});

test("another connection asks again; a lost line is no problem", async () => {
  const { client, names, problems } = visit();
  await client.greet("ann");
  await client.refuse("disconnected");
  await client.greet("ann");
  await client.answer(1, [A]);
  assert.deepEqual([names(), problems], [["A"], []]);
  await client.notify(2);
  await client.refuse("storage_unavailable");
  assert.deepEqual(problems, ["storage_unavailable"]);
});

test("nobody sees those of another person", async () => {
  const { client, own, names } = visit();
  await client.greet("ann");
  await client.answer(1, [A]);
  await client.greet("bob");
  assert.deepEqual([names(), own.known], [[], false]);
  await client.answer(0, []);
  assert.deepEqual(names(), []);
});

test("what a preset sets is described, whatever a script has stored in it", () => {
  const there = () => true;
  assert.equal(presetText({}, there), "Model’s defaults");
  const settings = { model: "sdxl", n: "4", size: "64x96", steps: "6", negative_prompt: "fog" };
  assert.equal(presetText(settings, there), "sdxl · 4 images · 64 × 96 · 6 steps · Negative prompt");
  assert.equal(presetText({ model: "sdxl" }, () => false), "sdxl (not running)");
  assert.equal(presetText({ n: true, steps: "many", size: null, odd: 1 }, there), "Model’s defaults");
});
