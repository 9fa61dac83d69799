import assert from "node:assert/strict";
import { webcrypto } from "node:crypto";
import { test } from "node:test";

import { MAX_SEED, XinflightError, reconnects, randomId } from "../../client_static/assets/client/protocol.js";

test("a client comes back unless the same again would end the same", () => {
  for (const code of [1000, 1001, 1005, 1006, 1011, 1012, 1013, 1014]) assert.ok(reconnects(code), `${code}`);
  for (const code of [1002, 1003, 1007, 1008, 1009, 1010, 4400, 4401, 4406]) assert.ok(!reconnects(code), `${code}`);
});

test("an id is of the form that the server takes, with and without randomUUID", (t) => {
  // Node 18 has no global `crypto`; a page from another machine over plain HTTP has one that makes no ids.
  const secure = { randomUUID: () => webcrypto.randomUUID() };
  const insecure = { getRandomValues: (bytes) => webcrypto.getRandomValues(bytes) };
  let there = secure;
  const before = Object.getOwnPropertyDescriptor(globalThis, "crypto");
  Object.defineProperty(globalThis, "crypto", { configurable: true, get: () => there });
  t.after(() => Object.defineProperty(globalThis, "crypto", before ?? { configurable: true, value: undefined }));
  const form = /^[A-Za-z0-9._:~-]{1,64}$/;
  assert.match(randomId(), form);
  assert.notEqual(randomId(), randomId());
  there = insecure;
  assert.match(randomId(), /^[0-9a-f]{32}$/);
});

test("the seed of the last of 64 outputs is still exact", () => {
  assert.ok(Number.isSafeInteger(MAX_SEED + 63));
  assert.equal(MAX_SEED, 9007199254740927);
});

test("an error tells what the server told, and is not retryable unless it was said", () => {
  const told = { code: "too_many_tasks", message: "Too many", field: "n", limit: "8", retryable: true, retry_after: 3 };
  const error = new XinflightError(told);
  assert.deepEqual(
    [error.message, error.code, error.field, error.limit, error.retryable, error.retryAfter, error.details],
    ["Too many", "too_many_tasks", "n", "8", true, 3, told],
  );
  const bare = new XinflightError({ code: "lost" });
  assert.deepEqual([bare.message, bare.retryable, bare.retryAfter], ["lost", false, undefined]);
});
