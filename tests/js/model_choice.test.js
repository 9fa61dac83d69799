import assert from "node:assert/strict";
import { test } from "node:test";

import { ModelChoice } from "../../client_static/assets/page/model_choice.js";

const model = (id, fields) => ({ id, default: false, size: "64x64", steps: 9, ...fields });
const A = model("a", { default: true });
const B = model("b", { steps: 4 });

function choice(...models) {
  const made = new ModelChoice();
  made.models = models;
  return made;
}

test("who chose nothing goes with the default, wherever it goes", () => {
  const made = choice(A, B);
  assert.deepEqual([made.id, made.away], ["a", false]);
  made.models = [{ ...B, default: true }];
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
    { id: "a", first: true, away: false },
    { id: "b", first: false, away: true },
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
  assert.deepEqual(made.options, [{ id: "b", first: false, away: false }]);
});

test("a default that was chosen stays chosen when another becomes the default", () => {
  const made = choice(A, B);
  made.chosen = "a";
  made.models = [{ ...A, default: false }, { ...B, default: true }];
  assert.equal(made.id, "a");
});
