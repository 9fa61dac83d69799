import assert from "node:assert/strict";
import { afterEach, test } from "node:test";

import { Xinflight } from "../../client_static/assets/client/xinflight.js";
import { info } from "./factories.js";

const { Response, fetch } = globalThis;

afterEach(() => {
  globalThis.fetch = fetch;
});

/** Have the server answer every request in this way; return what it is asked. */
function answering(respond) {
  const asked = [];
  globalThis.fetch = async (url, { headers }) => {
    asked.push([url.href, headers]);
    return respond();
  };
  return asked;
}

const clientOf = (options) => new Xinflight("wss://example.org/images/ws/generate", options);

test("a task is fetched by its id below the server's prefix, and announced to nobody", async () => {
  const client = clientOf({ token: async () => "secret" });
  client.on("task", () => assert.fail("announced"));
  const asked = answering(() => Response.json(info({ task_id: "a/b", state: "completed", ended: 110 })));
  const task = await client.library.get("a/b");
  assert.deepEqual([task.id, task.end.type], ["a/b", "result"]);
  assert.deepEqual(asked, [["https://example.org/images/api/v1/tasks/a%2Fb", { Authorization: "Bearer secret" }]]);
  assert.equal(await client.library.get("a/b"), task);
});

test("one that is known is not asked for, and cookies need no header", async () => {
  const client = clientOf();
  const known = client.generate({ prompt: "a boat", task_id: "t" });
  const asked = answering(() => Response.json(info({ task_id: "u" })));
  assert.equal(await client.library.get("t"), known);
  await client.library.get("u");
  assert.deepEqual(asked, [["https://example.org/images/api/v1/tasks/u", {}]]);
});

test("a refusal is an error with its code, and so is a server that is away", async () => {
  const refused = async (respond) => {
    answering(respond);
    return clientOf().library.get("t").then(assert.fail, ({ name, code, retryAfter }) => [name, code, retryAfter]);
  };
  const headers = { "Retry-After": "7" };
  const slowed = () => Response.json({ code: "rate_limited" }, { status: 429, headers });
  assert.deepEqual(await refused(slowed), ["XinflightError", "rate_limited", 7]);
  assert.deepEqual(await refused(() => new Response("<html>")), ["XinflightError", "unreachable", undefined]);
  const away = () => {
    throw new TypeError("Failed to fetch");
  };
  assert.deepEqual(await refused(away), ["XinflightError", "unreachable", undefined]);
});
