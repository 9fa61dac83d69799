import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { afterEach, test } from "node:test";
import { URL } from "node:url";

import {
  changeLang, duration, errorText, lang, measured, nextLanguage, onLang, ordinal, percent, plural, readWords, sentences, t,
  useWords,
} from "../../client_static/assets/words/words.js";
import { tables } from "./languages.js";

const { en, ...others } = tables;
const PLACE = /\{\w+\}/g;

afterEach(() => useWords("en", en));

test("all languages have the same keys, and words for each", () => {
  assert.ok(others["zh-CN"]);
  for (const table of Object.values(others)) assert.deepEqual(Object.keys(table), Object.keys(en));
  for (const table of Object.values(tables)) for (const [key, text] of Object.entries(table)) assert.ok(text.trim(), key);
});

test("sentences follow each other as in the language", () => {
  assert.equal(sentences(["It is {first}.", "", false, "And on."]), "It is {first}. And on.");
  assert.equal(sentences([]), "");
  useWords("zh-CN", others["zh-CN"]);
  assert.equal(sentences(["一。", "二。", "三。"]), "一。二。三。");
});

test("all languages fill in the same values", () => {
  for (const [key, text] of Object.entries(en)) {
    const places = (words) => [...new Set(words.match(PLACE) ?? [])].sort();
    // A singular may say its one in words.
    if (key.endsWith("_one")) continue;
    for (const table of Object.values(others)) assert.deepEqual(places(table[key]), places(text), key);
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
  const read = (name) => readFileSync(new URL(`../../client_static/${name}`, import.meta.url), "utf8");
  const page = read("templates/index.html") + read("assets/dialogs.html");
  const keys = [...page.matchAll(/data-t(?:-\w+)?="([^"]+)"/g)].map(([, key]) => key);
  assert.ok(keys.length > 50);
  for (const key of keys) assert.ok(en[key], key);
});

test("every fixed key is said somewhere", () => {
  const client = new URL("../../client_static/", import.meta.url);
  const read = (name) => readFileSync(new URL(name, client), "utf8");
  const scripts = readdirSync(new URL("assets/page/", client), { recursive: true })
    .filter((name) => name.endsWith(".js"))
    .map((name) => `assets/page/${name}`);
  const text = ["templates/index.html", "assets/dialogs.html", "assets/words/words.js", ...scripts].map(read).join("\n");
  // Families whose keys are put together of a prefix and what the server says.
  const made = /^(language|code|close|connection|end|ended|fact|kind|line|ordinal|remedy|say|sign_in|state|step|theme|upstream)\./;
  const left = Object.keys(en).filter((key) => !made.test(key) && !text.includes(`"${key.replace(/_(one|other)$/, "")}`));
  assert.deepEqual(left, []);
});

/** Stand in for the page in a browser, and for the files that its server has. */
function pageOf(languages, files) {
  const served = { lang: "en", languages, texts: en };
  globalThis.document = {
    documentElement: {},
    getElementById: () => ({ textContent: JSON.stringify(served) }),
    querySelectorAll: () => [],
  };
  globalThis.fetch = async (url) => {
    const name = url.href.split("/").at(-1);
    return { ok: name in files, status: 404, json: async () => files[name] };
  };
  readWords();
}

test("the language is changed once its texts are there, and what they lack stays as it was", async () => {
  pageOf([{ tag: "en" }, { tag: "fr" }], { "fr.json": { "act.cancel": "Annuler" } });
  assert.equal(nextLanguage().tag, "fr");
  const heard = [];
  const stop = onLang(() => heard.push(lang()));
  await changeLang("fr");
  stop();
  assert.deepEqual(heard, ["fr"]);
  assert.deepEqual([t("act.cancel"), t("act.delete")], ["Annuler", "Delete"]);
  assert.equal(globalThis.document.documentElement.lang, "fr");
  assert.equal(nextLanguage().tag, "en");
});

test("a language whose texts can't be loaded leaves the page as it is", async () => {
  pageOf([{ tag: "en" }, { tag: "fr" }], {});
  await assert.rejects(changeLang("fr"), /404/);
  assert.deepEqual([lang(), t("act.cancel")], ["en", "Cancel"]);
});

test("the language asked for last is shown, in whatever order the texts come", async () => {
  pageOf([{ tag: "en" }, { tag: "fr" }, { tag: "de" }], { "fr.json": {}, "de.json": {} });
  await Promise.all([changeLang("fr"), changeLang("de")]);
  assert.equal(lang(), "de");
});

test("what is not given stays visible as a place", () => {
  assert.equal(t("form.prompt_count", { n: 3 }), "3 of {limit} characters");
  assert.equal(t("form.size_default", { size: "$& {n}" }), "$& {n} (default)");
});

test("the longer a time, the rounder it is said", () => {
  const said = [0, 0.2, 9.1, 11, 56, 61, 112, 118, 149, 3599, 3600, 7300].map(duration);
  const words = ["0 s", "1 s", "10 s", "15 s", "60 s", "65 s", "115 s", "2 min", "2 min", "1 h 0 min", "1 h 0 min", "2 h 2 min"];
  assert.deepEqual(said, words);
  assert.deepEqual([0.384, 2.345, 12.6].map(measured), ["0.38 s", "2.3 s", "13 s"]);
});

test("numbers are said as the language does", () => {
  assert.deepEqual([1, 2, 3, 4, 11, 21, 112].map(ordinal), ["1st", "2nd", "3rd", "4th", "11th", "21st", "112th"]);
  assert.equal(percent(7), "7%");
  assert.deepEqual([plural("day.images", 1), plural("day.images", 0)], ["1 image", "0 images"]);
});

test("an unknown error is told in the server's words, a known one in ours, with its limit", () => {
  assert.equal(errorText({ code: "from_the_future", message: "Something new" }), "Something new");
  assert.equal(errorText({ code: "from_the_future" }), "from_the_future");
  assert.equal(errorText({ code: "out_of_bounds", limit: "<= 8" }), "A value is out of bounds. Limit: <= 8");
});
