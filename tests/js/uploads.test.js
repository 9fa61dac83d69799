import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, before, test } from "node:test";

import { Xinflight, XinflightError } from "../../client_static/assets/client/xinflight.js";

const { AbortController, Blob } = globalThis;
const STORED = { upload_id: "u1", media_type: "image/png", width: 2, height: 1, bytes: 3, expires: 9 };

/** What the server heard, and what it answers. */
let heard = [];
let answer = { status: 201, body: STORED };
let base = "";

const server = createServer(async (request, response) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const { method, url, headers } = request;
  heard.push({ method, url, type: headers["content-type"], token: headers.authorization, body: chunks.join("") });
  response.writeHead(answer.status, answer.headers);
  response.end(typeof answer.body === "string" ? answer.body : JSON.stringify(answer.body));
});

before(async () => {
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  base = `http://127.0.0.1:${server.address().port}`;
});

after(() => server.close());

async function refused(next) {
  answer = next;
  const error = await new Xinflight(`${base}/ws/generate`).upload(new Blob(["x"])).catch((reason) => reason);
  assert.ok(error instanceof XinflightError);
  return error;
}

test("an image goes to the server's prefix, with its type and without the query of the WebSocket", async () => {
  heard = [];
  answer = { status: 201, body: STORED };
  const client = new Xinflight(`${base}/images/ws/generate`.replace("http", "ws"), { lang: "zh-CN" });
  assert.deepEqual(await client.upload(new Blob(["abc"], { type: "image/png" })), STORED);
  assert.deepEqual(heard, [
    { method: "POST", url: "/images/api/v1/uploads", type: "image/png", token: undefined, body: "abc" },
  ]);
});

test("a token goes along, and what is known already is as good as new", async () => {
  for (const token of ["secret", () => "secret", async () => "secret"]) {
    heard = [];
    answer = { status: 200, body: STORED };
    const client = new Xinflight(`${base}/ws/generate`, { token });
    assert.equal((await client.upload(new Blob(["abc"]))).upload_id, "u1");
    assert.deepEqual([heard[0].token, heard[0].type], ["Bearer secret", "application/octet-stream"]);
  }
});

test("a refusal has the server's code and limit", async () => {
  const problem = { code: "bad_image", detail: "This is no image", limit: "PNG, JPEG or WebP", retryable: false };
  const error = await refused({ status: 422, body: problem });
  assert.deepEqual([error.code, error.message, error.limit], ["bad_image", "This is no image", "PNG, JPEG or WebP"]);
  const busy = { status: 429, body: { code: "too_many_uploads" }, headers: { "Retry-After": "7" } };
  assert.equal((await refused(busy)).retryAfter, 7);
});

test("what another server on the way says is no upload", async () => {
  assert.equal((await refused({ status: 413, body: "<h1>Too large</h1>" })).code, "frame_too_large");
  assert.equal((await refused({ status: 502, body: "<h1>Bad gateway</h1>" })).code, "unreachable");
  assert.equal((await refused({ status: 200, body: "null" })).code, "unreachable");
});

test("without a server it is unreachable, and an abort rejects with its reason", async () => {
  const away = new Xinflight("ws://127.0.0.1:1/ws/generate");
  await assert.rejects(away.upload(new Blob(["x"])), { code: "unreachable" });
  const abort = new AbortController();
  abort.abort(new Error("not any more"));
  const client = new Xinflight(`${base}/ws/generate`);
  await assert.rejects(client.upload(new Blob(["x"]), { signal: abort.signal }), /not any more/);
});
