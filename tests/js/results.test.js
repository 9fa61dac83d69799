import assert from "node:assert/strict";
import { setImmediate as turn } from "node:timers/promises";
import { afterEach, beforeEach, mock, test } from "node:test";

import { Results } from "../../client_static/assets/page/find/results.js";

const task = (id, created) => ({ id, created });
const ids = (tasks) => tasks.map(({ id }) => id).join("");
const OLD = task("a", 100);
const MIDDLE = task("b", 200);
const NEW = task("c", 300);

beforeEach(() => mock.timers.enable({ apis: ["setTimeout"] }));
afterEach(() => mock.timers.reset());

/** A server that answers each request by the next of `pages`. */
function looking(...pages) {
  const seen = { asked: [], shown: [], failed: [] };
  const library = {
    async find({ limit, ...query }) {
      assert.ok(limit >= 50 && limit <= 200);
      seen.asked.push(JSON.parse(JSON.stringify(query)));
      const page = pages.shift();
      if (page instanceof Error) throw page;
      return page;
    },
  };
  const results = new Results(library, ({ id }) => id !== "x", {
    show: (tasks, more) => seen.shown.push(ids(tasks) + (more ? "…" : "")),
    failed: ({ message }) => seen.failed.push(message),
  });
  return { results, ...seen };
}

async function settled() {
  for (let times = 0; times < 5; times += 1) await turn();
}

async function gathered() {
  mock.timers.tick(200);
  await settled();
}

test("pages are fetched one after the other, and empty ones skipped", async () => {
  const { results, asked, shown } = looking(
    { tasks: [], next: "9" },
    { tasks: [NEW, task("x", 250), MIDDLE], next: "5" },
    { tasks: [MIDDLE, OLD] },
  );
  results.open({ search: "boat" });
  await settled();
  results.more();
  await settled();
  results.more();
  await settled();
  assert.deepEqual(shown, ["…", "cb…", "cba"]);
  assert.deepEqual(asked, [{ search: "boat" }, { search: "boat", cursor: "9" }, { search: "boat", cursor: "5" }]);
});

test("what changed is asked for again by its time, all of it at once", async () => {
  const { results, asked, shown } = looking({ tasks: [NEW, OLD] }, { tasks: [MIDDLE] });
  results.open({ starred: true });
  await settled();
  results.touched(MIDDLE);
  results.touched(NEW);
  await gathered();
  assert.deepEqual(asked[1], { starred: true, since: 200, until: 300.001 });
  assert.equal(shown.at(-1), "ba");
});

test("an unknown one that changed may be any, as far back as was shown", async () => {
  const { results, asked, shown } = looking(
    { tasks: [NEW, MIDDLE], next: "5" },
    { tasks: [NEW], next: "7" },
    { tasks: [] },
  );
  results.open({});
  await settled();
  results.touched();
  await gathered();
  assert.deepEqual(asked.slice(1), [{ since: 200 }, { since: 200, cursor: "7" }]);
  assert.equal(shown.at(-1), "c…");
});

test("a day that is looked for stays one, and what is beyond it is not asked for", async () => {
  const { results, asked } = looking({ tasks: [] }, { tasks: [] });
  results.open({ since: 150, until: 250 });
  await settled();
  results.touched(NEW);
  await gathered();
  results.touched(OLD);
  results.touched(MIDDLE);
  await gathered();
  assert.deepEqual(asked.slice(1), [{ since: 150, until: 200.001 }]);
});

test("what is deleted is gone, and a change of what nobody has accepted yet is none", async () => {
  const { results, asked, shown } = looking({ tasks: [NEW, OLD] });
  results.open({});
  await settled();
  results.removed(MIDDLE);
  results.removed(NEW);
  results.touched(task("y", null));
  await gathered();
  assert.deepEqual([shown, asked.length], [["ca", "a"], 1]);
});

test("an answer to a former query is dropped", async () => {
  const { results, shown, asked } = looking({ tasks: [NEW] }, { tasks: [OLD] });
  results.open({ search: "boat" });
  results.open({ search: "cat" });
  await settled();
  assert.deepEqual([shown, asked], [["c"], [{ search: "cat" }]]);
  results.touched(NEW);
  results.close();
  results.again();
  await gathered();
  assert.equal(asked.length, 1);
});

test("without a connection it is told, and looked for as soon as there is one", async () => {
  const { results, shown, failed, asked } = looking(new Error("away"), { tasks: [NEW] }, { tasks: [NEW, OLD] });
  results.open({});
  await settled();
  results.again();
  await settled();
  results.again();
  await gathered();
  assert.deepEqual([shown, failed, asked.length], [["c", "ca"], ["away"], 3]);
});
