import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { test } from "node:test";
import { URL } from "node:url";

const ASSETS = new URL("../../client_static/assets/", import.meta.url);

/** Every module that the modules of a folder name, in an import or in a type, as a path below `assets/`. */
function imports(folder) {
  const place = new URL(`${folder}/`, ASSETS);
  const modules = readdirSync(place, { recursive: true }).filter((file) => file.endsWith(".js"));
  return modules.flatMap((file) => {
    const module = new URL(file, place);
    const specifiers = readFileSync(module, "utf8").matchAll(/(?:\bfrom |\bimport\(?\s*)"([^"]+)"/g);
    return Array.from(specifiers, ([, specifier]) => new URL(specifier, module).href.replace(ASSETS.href, ""));
  });
}

function beyond(folder, ...allowed) {
  return imports(folder).filter((path) => !allowed.some((start) => path.startsWith(start)));
}

test("the client imports nothing of the page, so that it can be used without it", () => {
  assert.notDeepEqual(imports("client"), []);
  assert.deepEqual(beyond("client", "client/"), []);
});

test("texts import nothing of the page or the client", () => {
  assert.deepEqual(beyond("words", "words/"), []);
});

test("the page uses only the public interface of the client", () => {
  assert.deepEqual(beyond("page", "page/", "words/", "vendor/", "client/xinflight.js"), []);
});

test("the client loads where there is no document", async () => {
  assert.equal(globalThis.document, undefined);
  const { Xinflight } = await import("../../client_static/assets/client/xinflight.js");
  assert.equal(new Xinflight("ws://127.0.0.1:8000/ws/generate").status.state, "connecting");
});
