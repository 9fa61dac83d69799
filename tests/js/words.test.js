import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { afterEach, test } from "node:test";
import { URL } from "node:url";

globalThis.location = { search: "", href: "http://localhost/" };
globalThis.document = { documentElement: {}, querySelectorAll: () => [] };
const { chooseLang, duration, errorText, lang, measured, ordinal, percent, plural, t, tables } = await import(
  "../../client_static/assets/words/words.js"
);
const { en, "zh-CN": zh } = tables;
const PLACE = /\{\w+\}/g;

afterEach(() => chooseLang("en"));

test("both languages have the same keys, and words for each", () => {
  assert.deepEqual(Object.keys(zh), Object.keys(en));
  for (const table of [en, zh]) for (const [key, text] of Object.entries(table)) assert.ok(text.trim(), key);
});

test("both languages fill in the same values", () => {
  for (const [key, text] of Object.entries(en)) {
    const places = (words) => [...new Set(words.match(PLACE) ?? [])].sort();
    // A singular may say its one in words.
    if (!key.endsWith("_one")) assert.deepEqual(places(zh[key]), places(text), key);
  }
});

test("a plural has its singular", () => {
  const plurals = Object.keys(en).filter((key) => key.endsWith("_other"));
  for (const stem of plurals.map((key) => key.replace("_other", ""))) {
    assert.ok(en[`${stem}_one`], stem);
    assert.ok(plural(stem, 2).includes("2"), stem);
  }
});

test("every key that the page names is there", () => {
  const page = readFileSync(new URL("../../client_static/templates/index.html", import.meta.url), "utf8");
  const keys = [...page.matchAll(/data-t(?:-\w+)?="([^"]+)"/g)].map(([, key]) => key);
  assert.ok(keys.length > 50);
  for (const key of keys) assert.ok(en[key], key);
});

test("every fixed key is said somewhere", () => {
  const client = new URL("../../client_static/", import.meta.url);
  const read = (name) => readFileSync(new URL(name, client), "utf8");
  const scripts = readdirSync(new URL("assets/page/", client)).map((name) => `assets/page/${name}`);
  const text = ["templates/index.html", "assets/words/words.js", ...scripts].map(read).join("\n");
  // Families whose keys are put together of a prefix and what the server says.
  const made = /^(code|close|connection|end|kind|ordinal|say|sign_in|state|step|upstream)\./;
  const left = Object.keys(en).filter((key) => !made.test(key) && !text.includes(`"${key.replace(/_(one|other)$/, "")}`));
  assert.deepEqual(left, []);
});

test("the language is what the address asks for, else what the server found best", () => {
  chooseLang("zh-Hans");
  assert.equal(lang(), "zh-CN");
  globalThis.location.search = "?lang=en";
  chooseLang("zh-CN");
  assert.equal(lang(), "en");
  globalThis.location.search = "";
  chooseLang("fr");
  assert.equal(lang(), "en");
});

test("what is not given stays visible as a place", () => {
  assert.equal(t("form.prompt_count", { n: 3 }), "3 of {limit} characters");
  assert.equal(t("form.size_default", { size: "$& {n}" }), "$& {n} (default)");
});

test("the longer a time, the rounder it is said", () => {
  const said = [0, 0.2, 9.1, 11, 56, 58, 61, 3599, 3600, 7300].map(duration);
  assert.deepEqual(said, ["0 s", "1 s", "10 s", "15 s", "1 min", "1 min", "2 min", "1 h 0 min", "1 h 0 min", "2 h 2 min"]);
  assert.deepEqual([0.384, 2.345, 12.6].map(measured), ["0.38 s", "2.3 s", "13 s"]);
});

test("numbers are said as the language does", () => {
  assert.deepEqual([1, 2, 3, 4, 11, 21, 112].map(ordinal), ["1st", "2nd", "3rd", "4th", "11th", "21st", "112th"]);
  assert.equal(percent(7), "7%");
  assert.deepEqual([plural("meta.steps", 1), plural("meta.steps", 0)], ["1 step", "0 steps"]);
});

test("an unknown error is told in the server's words, a known one in ours, with its limit", () => {
  assert.equal(errorText({ code: "from_the_future", message: "Something new" }), "Something new");
  assert.equal(errorText({ code: "from_the_future" }), "from_the_future");
  assert.equal(errorText({ code: "out_of_bounds", limit: "<= 8" }), "A value is out of bounds. Limit: <= 8");
});
