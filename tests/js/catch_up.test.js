import assert from "node:assert/strict";
import { test } from "node:test";

import { DISCONNECTED } from "../../client_static/assets/client/answers.js";
import { CatchUp } from "../../client_static/assets/client/catch_up.js";
import { XinflightError } from "../../client_static/assets/client/protocol.js";
import { accepted, info, progress } from "./factories.js";

/** A page in front of a server that answers each question by its action. */
function setUp(answers, known = []) {
  const told = { asked: [], merged: [], gone: [], resumed: [], listed: [], failed: [] };
  const catchUp = new CatchUp({
    ask: async (message) => {
      told.asked.push(message);
      return answers[message.action](message);
    },
    merge: ({ task_id }) => told.merged.push(task_id) && !known.includes(task_id),
    known: () => known,
    gone: (ids) => told.gone.push(...ids),
    resumed: (events) => told.resumed.push(events),
    listed: (more) => told.listed.push(more),
    failed: (error) => told.failed.push(error.code),
  });
  return { catchUp, told };
}

const recovered = ({ after, tasks }) => ({ type: "recovered", recovered: true, cursor: after, unknown: tasks && [] });
const page = (ids, fields) => ({
  type: "tasks",
  tasks: ids.map((task_id) => info({ task_id })),
  cursor: "e:5",
  ...fields,
});

test("the first connection lists the newest and all the unfinished, then resumes after the list", async () => {
  const list = ({ state, cursor }) => {
    if (state === undefined) return page(["new"], { next: "old" });
    return cursor === undefined ? page(["open-1"], { next: "2" }) : page(["open-2"]);
  };
  const { catchUp, told } = setUp({ list, resume: recovered });
  await catchUp.begin("e");
  assert.deepEqual(told.merged, ["new", "open-1", "open-2"]);
  assert.deepEqual(told.asked.at(-1), { action: "resume", scope: "all", after: "e:5" });
  assert.ok(catchUp.done);
  assert.deepEqual([told.listed, told.resumed], [[true], []]);
});

test("a new line resumes after what was seen, counts what was missed, and asks what is gone", async () => {
  const known = [];
  const { catchUp, told } = setUp(
    {
      list: () => page([]),
      resume: ({ tasks, after }) => {
        if (known.length && !tasks) [8, 9].forEach((seq) => catchUp.see(accepted({ seq }), true));
        return { type: "recovered", recovered: true, cursor: after, unknown: tasks && ["b"] };
      },
    },
    known,
  );
  await catchUp.begin("e");
  catchUp.see(accepted({ seq: 7 }), true);
  known.push("a", "b");
  await catchUp.begin("e");
  const [all, some] = told.asked.slice(-2);
  assert.deepEqual([all.scope, all.after], ["all", "e:7"]);
  assert.deepEqual(some.tasks, ["a", "b"]);
  assert.deepEqual([told.gone, told.resumed], [["b"], [2]]);
});

test("a gap is filled by a list, and is told as one", async () => {
  let gap = true;
  const resume = ({ after, tasks }) => {
    const lost = gap && !tasks && after === "e:7";
    gap &&= !lost;
    return { type: "recovered", recovered: !lost, cursor: after };
  };
  const { catchUp, told } = setUp({ list: () => page(["a"]), resume }, ["a"]);
  await catchUp.begin("e");
  catchUp.see(accepted({ seq: 7 }), true);
  told.resumed.length = 0;
  await catchUp.begin("e");
  assert.deepEqual(told.resumed, [null]);
  assert.ok(catchUp.done);
});

test("snapshots neither move the cursor nor count as missed", async () => {
  let replay = () => {};
  const { catchUp, told } = setUp(
    {
      list: () => page([]),
      resume: ({ after }) => {
        replay();
        return { type: "recovered", recovered: true, cursor: after };
      },
    },
    ["a"],
  );
  await catchUp.begin("e");
  catchUp.see(accepted({ seq: 7 }), true);
  // Whatever number a server gives them.
  catchUp.see(progress({ seq: 12 }), true);
  replay = () => catchUp.see(progress({}), true);
  await catchUp.begin("e");
  const all = told.asked.filter(({ scope }) => scope === "all");
  assert.equal(all.at(-1).after, "e:7");
  assert.equal(told.resumed.at(-1), 0);
});

test("a list that is too old to resume after is asked for again", async () => {
  let lists = 0;
  const list = ({ state }) => {
    if (state === undefined) lists += 1;
    return page([], { cursor: `e:${lists}` });
  };
  const resume = ({ after }) => ({ type: "recovered", recovered: after !== "e:1", cursor: after });
  const { catchUp } = setUp({ list, resume });
  await catchUp.begin("e");
  assert.equal(lists, 2);
  assert.ok(catchUp.done);
});

test("many known ids are asked for in several questions", async () => {
  const known = Array.from({ length: 1001 }, (_, at) => `task-${at}`);
  const { catchUp, told } = setUp({ list: () => page([]), resume: recovered }, known);
  await catchUp.begin("e");
  const asked = told.asked.flatMap(({ tasks }) => (tasks ? [tasks.length] : []));
  assert.deepEqual(asked, [500, 500, 1]);
});

test("a lost line is no problem, a refusal is", async () => {
  for (const [code, failed] of [[DISCONNECTED, []], ["internal", ["internal"]]]) {
    const list = () => {
      throw new XinflightError({ code });
    };
    const { catchUp, told } = setUp({ list });
    await catchUp.begin("e");
    assert.deepEqual(told.failed, failed);
    assert.ok(!catchUp.done);
  }
});

test("older tasks come page by page, and a page without news is passed over", async () => {
  const pages = { undefined: page(["new"], { next: "1" }), 1: page(["known"], { next: "2" }), 2: page(["old"]) };
  const list = ({ state, cursor }) => (state ? page([]) : pages[cursor]);
  const { catchUp, told } = setUp({ list, resume: recovered }, ["known"]);
  await catchUp.begin("e");
  assert.equal(await catchUp.more(), 1);
  assert.deepEqual(told.merged, ["new", "known", "old"]);
  assert.deepEqual(told.listed, [true, false]);
  assert.equal(await catchUp.more(), 0);
});
