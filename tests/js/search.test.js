import assert from "node:assert/strict";
import { test } from "node:test";

import {
  addressOf, chosen, dayText, has, isEmpty, meaningOf, readAddress,
} from "../../client_static/assets/page/find/search.js";

const WORDS = { today: "Today", yesterday: "Yesterday" };
const NOW = new Date(2026, 10, 22, 15, 30).getTime();
const midnight = (...day) => new Date(...day).getTime() / 1000;
const queryOf = (text, only = "all", words = WORDS) => meaningOf({ text, only }, words, NOW).query;

test("words are looked for, and what has a sign is a tag or a model", () => {
  assert.deepEqual(queryOf("  red   boat "), { search: "red boat" });
  assert.deepEqual(queryOf('boat #sea @flux.1 #"deep sea"'), { search: "boat deep sea", tag: "sea", model: "flux.1" });
  assert.deepEqual(queryOf('#"deep sea" @"my model"'), { tag: "deep sea", model: "my model" });
  assert.deepEqual(queryOf("船 #海"), { search: "船", tag: "海" });
  assert.deepEqual(queryOf("# @ \""), {});
});

test("a filter is one of what is asked for", () => {
  assert.deepEqual(queryOf("", "starred"), { starred: true });
  assert.deepEqual(queryOf("boat", "failed"), { search: "boat", state: "unsuccessful" });
});

test("a day is one by the local clock, in the words of the language, unless it is in quotes", () => {
  const today = { since: midnight(2026, 10, 22), until: midnight(2026, 10, 23) };
  assert.deepEqual(queryOf("today"), today);
  assert.deepEqual(queryOf("今天", "all", { today: "今天", yesterday: "昨天" }), today);
  assert.deepEqual(queryOf("boat YESTERDAY").since, midnight(2026, 10, 21));
  assert.deepEqual(queryOf("2026-3-9"), { since: midnight(2026, 2, 9), until: midnight(2026, 2, 10) });
  assert.equal(meaningOf({ text: "2026-03-09", only: "all" }, WORDS, NOW).day, new Date(2026, 2, 9).getTime());
  assert.deepEqual(queryOf('"today"'), { search: "today" });
  for (const none of ["2026-02-30", "2026-13-01", "2026-11", "20261122"]) assert.deepEqual(queryOf(none), { search: none });
});

test("an address says what is looked for, whatever is in it", () => {
  for (const search of [
    { text: "red boat", only: "all" },
    { text: '#"a&b=c" 50% + 1 ＃海', only: "starred" },
    { text: "", only: "failed" },
  ]) {
    assert.deepEqual(readAddress(addressOf(search)), search);
  }
  assert.equal(addressOf({ text: "boat", only: "starred" }), "#find=boat&only=starred");
  for (const none of ["", "#image=t/0", "#find=", "#find=%20", "#find=&only=others"]) assert.equal(readAddress(none), null);
  assert.ok(isEmpty({ text: "  ", only: "all" }));
});

test("what is chosen is added to the text, and chosen again is taken out of it", () => {
  assert.equal(chosen("boat", "#", "sea"), "boat #sea");
  assert.equal(chosen("boat #sea", "#", "sea"), "boat");
  assert.equal(chosen("", "#", "deep sea"), '#"deep sea"');
  assert.equal(chosen('#"deep sea" boat', "#", "deep sea"), "boat");
  assert.equal(chosen("boat", "", dayText(new Date(2026, 2, 9).getTime())), "boat 2026-03-09");
  assert.equal(chosen("#seal", "#", "sea"), "#seal #sea");
  assert.equal(chosen("boat #se", "#", "sea"), "boat #sea", "what was begun is completed");
  assert.equal(chosen("boat #se ", "#", "sea"), "boat #se #sea");
  assert.ok(has("boat #sea", "#", "sea") && !has("boat #seal", "#", "sea") && !has("sea", "#", "sea"));
});
