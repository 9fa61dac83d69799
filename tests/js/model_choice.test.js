import assert from "node:assert/strict";
import { test } from "node:test";

import { ModelChoice } from "../../client_static/assets/page/dock/model_choice.js";

const IMAGES = ["text2image", "image2image", "inpainting"];
const model = (id, fields) => ({ id, kinds: IMAGES, default_for: [], size: "64x64", steps: 9, ...fields });
const A = model("a", { default_for: IMAGES });
const B = model("b", { steps: 4 });

function choice(...models) {
  const made = new ModelChoice();
  made.models = models;
  return made;
}

test("who chose nothing goes with the default, wherever it goes", () => {
  const made = choice(A, B);
  assert.deepEqual([made.id, made.away], ["a", false]);
  made.models = [{ ...B, default_for: IMAGES }];
  assert.equal(made.id, "b");
  made.models = [A, B];
  assert.equal(made.id, "a");
});

test("what is shown is what is asked for, also where there is only one", () => {
  assert.equal(choice(A).id, "a");
  assert.equal(choice(B).id, "b");
  assert.equal(choice().id, undefined);
  assert.equal(new ModelChoice().id, undefined);
});

test("a chosen one stays chosen while it is away, with what was known of it", () => {
  const made = choice(A, B);
  made.chosen = "b";
  made.models = [A];
  assert.deepEqual([made.id, made.away, made.info.steps], ["b", true, 4]);
  assert.deepEqual(made.options, [
    { id: "a", kind: "text2image", first: true, away: false },
    { id: "b", kind: "text2image", first: false, away: true },
  ]);
  made.models = [];
  assert.deepEqual([made.id, made.away], ["b", true]);
  made.models = [A, B];
  assert.deepEqual([made.id, made.away, made.options.length], ["b", false, 2]);
});

test("before the server has told, nothing is called away", () => {
  const made = new ModelChoice();
  made.chosen = "b";
  assert.deepEqual([made.id, made.away, made.info], ["b", false, undefined]);
  assert.deepEqual(made.options, [{ id: "b", kind: null, first: false, away: false }]);
});

test("a default that was chosen stays chosen when another becomes the default", () => {
  const made = choice(A, B);
  made.chosen = "a";
  made.models = [{ ...A, default_for: [] }, { ...B, default_for: IMAGES }];
  assert.equal(made.id, "a");
});

const EDITOR = model("editor", { kinds: ["edit"], default_for: ["edit"] });
const FILMS = model("films", { kinds: ["video"], default_for: ["video"], starts_from: ["text"] });
const MOVES = model("moves", { kinds: ["video"], default_for: ["video"], starts_from: ["image"] });
const WRITER = model("writer", { kinds: ["chat"], default_for: ["chat"] });

function offered(given) {
  const made = choice(WRITER, MOVES, EDITOR, B, FILMS, A);
  made.given = given;
  return [made.id, made.kind, made.options.map(({ id, kind }) => `${id}: ${kind}`)];
}

test("what is given decides which models are offered, what they make of it, and which is the default", () => {
  const images = (kind) => [`b: ${kind}`, `a: ${kind}`];
  assert.deepEqual(offered({ image: false, mask: false }), [
    "a",
    "text2image",
    [...images("text2image"), "films: video"].sort(order),
  ]);
  assert.deepEqual(offered({ image: true, mask: false }), [
    "a",
    "image2image",
    ["moves: video", "editor: edit", ...images("image2image")].sort(order),
  ]);
  assert.deepEqual(offered({ image: true, mask: true }), ["a", "inpainting", images("inpainting")]);
});

/** As the server lists them. */
function order(one, other) {
  const at = (text) => ["writer", "moves", "editor", "b", "films", "a"].indexOf(text.split(":")[0]);
  return at(one) - at(other);
}

test("a chosen model that can't do what is asked is chosen again once it can", () => {
  const made = choice(A, B, EDITOR);
  made.chosen = "editor";
  assert.deepEqual([made.id, made.away, made.options.map(({ id }) => id)], ["a", false, ["a", "b"]]);
  made.given = { image: true, mask: false };
  assert.deepEqual([made.id, made.kind], ["editor", "edit"]);
  made.given = { image: true, mask: true };
  assert.deepEqual([made.id, made.kind], ["a", "inpainting"]);
});

test("where no model can do what is asked, none is asked for", () => {
  const made = choice(EDITOR, WRITER);
  assert.deepEqual([made.id, made.none, made.options], [undefined, true, []]);
  made.given = { image: true, mask: false };
  assert.deepEqual([made.id, made.none], ["editor", false]);
  assert.equal(choice().none, false);
});

test("a video model that does not say what it starts from is offered for both", () => {
  const made = choice({ ...FILMS, starts_from: undefined });
  assert.equal(made.kind, "video");
  made.given = { image: true, mask: false };
  assert.equal(made.kind, "video");
});
