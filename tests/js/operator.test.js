import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { setImmediate } from "node:timers";
import { busiestFirst, total } from "../../client_static/assets/page/operator/order.js";
import { Poll } from "../../client_static/assets/page/operator/poll.js";

const owner = (name, waiting, running = 0) => ({ owner: name, pools: [{ pool: "a", tasks: 1, waiting, running }] });
const names = (owners) => owners.map(({ owner }) => owner).join(" ");

test("counts are those of all pools", () => {
  assert.equal(total({ owner: "ann", pools: [{ pool: "a", tasks: 1, waiting: 2 }, { pool: "b", tasks: 3 }] }, "waiting"), 2);
  assert.equal(total({ owner: "ann", pools: [{ pool: "a", tasks: 1 }, { pool: "b", tasks: 3 }] }, "tasks"), 4);
});

test("who waits for most comes first, then who runs most, then as the server tells", () => {
  const owners = [owner("ann", 1), owner("bob", 5), owner("carol", 1, 2), owner("dave", 1)];
  assert.equal(names(busiestFirst(owners, [], false)), "bob carol ann dave");
});

test("nothing moves while it is in use, and what is new comes last", () => {
  const owners = [owner("ann", 9), owner("bob", 5), owner("carol", 1), owner("dave", 7)];
  assert.equal(names(busiestFirst(owners, ["carol", "bob", "gone", "ann"], true)), "carol bob ann dave");
  assert.equal(names(busiestFirst(owners, ["carol", "bob", "gone", "ann"], false)), "ann dave bob carol");
});

/** Let everything that waits for promises go on. */
const settle = () => new Promise(setImmediate);

test("it asks two seconds after each answer, and no more once it is stopped", async () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  try {
    const got = [];
    const answers = [];
    const poll = new Poll(() => new Promise((resolve, reject) => answers.push({ resolve, reject })), {
      got: (seen) => got.push(seen),
      failed: ({ message }) => got.push(message),
    });
    poll.start();
    mock.timers.tick(60_000);
    assert.equal(answers.length, 1, "not before the answer");
    answers[0].resolve("one");
    await settle();
    mock.timers.tick(1999);
    assert.equal(answers.length, 1);
    mock.timers.tick(1);
    assert.equal(answers.length, 2);
    answers[1].reject(new Error("unreachable"));
    await settle();
    assert.deepEqual(got, ["one", "unreachable"]);
    mock.timers.tick(2000);
    assert.equal(answers.length, 3, "a failure is no end");
    poll.start();
    assert.equal(answers.length, 4);
    answers[2].resolve("late");
    answers[3].resolve("newest");
    await settle();
    assert.deepEqual(got, ["one", "unreachable", "newest"], "the answer to an older question is dropped");
    mock.timers.tick(2000);
    assert.equal(answers.length, 5, "one question at a time");
    poll.stop();
    answers[4].resolve("too late");
    await settle();
    mock.timers.tick(60_000);
    assert.deepEqual([got.length, answers.length], [3, 5]);
  } finally {
    mock.timers.reset();
  }
});
