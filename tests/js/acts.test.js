import assert from "node:assert/strict";
import { test } from "node:test";

import { requestsFor } from "../../client_static/assets/page/store/requests.js";
import { Acts } from "../../client_static/assets/page/sheet/acts.js";

const PARAMS = { prompt: "a boat", model: "painter", size: "64x64", steps: 8, seed: 7, n: 2, group: "mine" };

/** What a press on "four variations" asks for. */
function variations({ params = PARAMS, output = { output_id: "o1", url: "/o1" }, kinds = ["text2image"], outputs = 8 } = {}) {
  const asked = [];
  const client = {
    lang: "en",
    welcome: { limits: { outputs }, models: [{ id: "painter", kinds }] },
    generate: (request) => asked.push(JSON.parse(JSON.stringify(request))),
  };
  const acts = new Acts(client, {}, {}, { asked: () => {} });
  const made = { generation: { params }, state: { output }, isVideo: false };
  acts.vary(made);
  return { asked, ofImage: acts.variesImage(made) };
}

const STAYS = { prompt: "a boat", model: "painter", size: "64x64", steps: 8, lang: "en" };

test("variations of a prompt keep everything but the seed", () => {
  assert.deepEqual(variations(), { asked: [{ ...STAYS, n: 4 }], ofImage: false });
});

test("variations start from the image where its model can", () => {
  const { asked, ofImage } = variations({ kinds: ["text2image", "image2image"] });
  assert.deepEqual(asked, [{ ...STAYS, n: 4, kind: "image2image", image: "o1", strength: 0.6 }]);
  assert.ok(ofImage);
});

test("what was made from an image is varied from the same one", () => {
  const params = { ...PARAMS, kind: "image2image", image: "u1", strength: 0.3 };
  const { asked, ofImage } = variations({ params, kinds: ["image2image"] });
  assert.deepEqual(asked, [{ ...STAYS, n: 4, kind: "image2image", image: "u1", strength: 0.3 }]);
  assert.ok(!ofImage);
});

test("there are four, also where the server makes fewer at once", () => {
  assert.deepEqual(variations({ outputs: 3 }).asked.map(({ n }) => n), [3, 1]);
  assert.deepEqual(variations({ outputs: 1 }).asked.map(({ n }) => n), [1, 1, 1, 1]);
});

test("what of a request is asked for again has the same seeds: those that follow each other in one request", () => {
  const those = (...indices) => indices.map((index) => ({ index }));
  const asked = (params, outputs) => requestsFor({ params }, outputs).map(({ prompt, n, seed }) => [prompt, n, seed]);
  assert.deepEqual(asked(PARAMS, those(0, 1)), [["a boat", 2, 7]]);
  assert.deepEqual(asked(PARAMS, those(0, 2, 3)), [["a boat", 1, 7], ["a boat", 2, 9]]);
  assert.deepEqual(asked({ ...PARAMS, seed: undefined }, those(0, 2)), [["a boat", 2, undefined]]);
});
