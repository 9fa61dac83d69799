// @ts-check
import assert from "node:assert/strict";
import { test } from "node:test";
import { downloadUrl } from "../../client_static/assets/page/ui/downloads.js";

test("a download is asked for behind any address", () => {
  assert.equal(downloadUrl("http://x/outputs/a"), "http://x/outputs/a?download=1");
  assert.equal(downloadUrl("http://x/outputs/a?expires=1&signature=b"), "http://x/outputs/a?expires=1&signature=b&download=1");
});
