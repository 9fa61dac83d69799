import assert from "node:assert/strict";
import { mock, test } from "node:test";

import { Attachment, StoredImage } from "../../client_static/assets/page/dock/attachment.js";
import { settled } from "./fake_socket.js";

const HOUR = 3600;
const IMAGE = { name: "an image" };

/** An attachment whose uploads a test brings to their ends. */
function attached() {
  const uploads = [];
  let changes = 0;
  const upload = (image, options) =>
    new Promise((resolve, reject) => uploads.push({ image, ...options, resolve, reject }));
  const attachment = new Attachment(IMAGE, upload, () => (changes += 1));
  return { attachment, uploads, changes: () => changes };
}

const stored = (hours = 24) => ({ upload_id: "u1", expires: Date.now() / 1000 + hours * HOUR });

test("an image is uploaded at once, and once for all who ask", async () => {
  const { attachment, uploads, changes } = attached();
  const asked = [attachment.id(), attachment.id()];
  assert.deepEqual([uploads.length, uploads[0].image, attachment.sending, attachment.stored], [1, IMAGE, true, null]);
  uploads[0].onProgress(0.4);
  assert.deepEqual([attachment.part, changes()], [0.4, 1]);
  uploads[0].resolve(stored());
  assert.deepEqual(await Promise.all(asked), ["u1", "u1"]);
  assert.deepEqual([attachment.sending, attachment.stored, changes()], [false, "u1", 2]);
  assert.equal(await attachment.id(), "u1");
  assert.equal(uploads.length, 1);
});

test("a failure is kept, and whoever asks next has it tried again", async () => {
  const { attachment, uploads } = attached();
  uploads[0].reject({ code: "unreachable" });
  await settled();
  assert.deepEqual([attachment.error, attachment.sending], [{ code: "unreachable" }, false]);
  const again = attachment.id();
  assert.equal(attachment.error, null);
  uploads[1].resolve(stored());
  assert.equal(await again, "u1");
});

test("what the server is about to forget is uploaded again", async () => {
  const { attachment, uploads } = attached();
  uploads[0].resolve(stored(1));
  await settled();
  const now = Date.now();
  mock.method(Date, "now", () => now + 0.9 * HOUR * 1000);
  const again = attachment.id();
  mock.restoreAll();
  assert.equal(uploads.length, 2);
  uploads[1].resolve(stored());
  assert.equal(await again, "u1");
});

test("what the server has lost is uploaded again", async () => {
  const { attachment, uploads } = attached();
  uploads[0].resolve(stored());
  await settled();
  attachment.forget();
  const again = attachment.id();
  assert.deepEqual([uploads.length, attachment.stored], [2, null]);
  uploads[1].resolve(stored());
  assert.equal(await again, "u1");
});

test("a dropped one is aborted and tells nothing any more", async () => {
  const { attachment, uploads, changes } = attached();
  attachment.drop();
  assert.ok(uploads[0].signal.aborted);
  uploads[0].reject(uploads[0].signal.reason);
  await settled();
  assert.equal(changes(), 0);
});

test("what the server has already needs nothing", async () => {
  const output = new StoredImage("o1");
  assert.deepEqual([await output.id(), output.stored, output.sending, output.error], ["o1", "o1", false, null]);
});
