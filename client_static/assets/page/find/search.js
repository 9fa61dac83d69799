// @ts-check

/** @typedef {import("../../client/xinflight.js").Query} Query */

/** Which images of the history are looked at. @typedef {"all" | "starred" | "failed"} Only */

/**
 * What is looked for: the text as it was typed, and the filter.
 * @typedef {{text: string, only: Only}} Search
 */

/** What a text means. `day`: its midnight in milliseconds, if it names one. @typedef {{query: Query, day: number | null}} Meaning */

const PREFIX = "#find=";

/** Words, those in quotes as they are; a tag behind `#`, a model behind `@`. */
const TOKEN = /([#@]?)(?:"([^"]*)"?|(\S+))/gu;

/** Return the address of a search within the page. @param {Search} search */
export function addressOf({ text, only }) {
  return `${PREFIX}${encodeURIComponent(text)}${only === "all" ? "" : `&only=${only}`}`;
}

/**
 * Return what an address looks for; null if it looks for nothing.
 * @param {string} hash the address's part from `#` on
 * @returns {Search | null}
 */
export function readAddress(hash) {
  if (!hash.startsWith(PREFIX)) return null;
  const fields = new URLSearchParams(hash.slice(1).replaceAll("+", "%2B"));
  const only = fields.get("only");
  const search = { text: fields.get("find") ?? "", only: only === "starred" || only === "failed" ? only : "all" };
  return isEmpty(/** @type {Search} */ (search)) ? null : /** @type {Search} */ (search);
}

/** Tell whether a search finds everything. @param {Search} search */
export function isEmpty({ text, only }) {
  return text.trim() === "" && only === "all";
}

/**
 * Tell whether a search is what a filter shows: all images are shown only where nothing is looked for.
 * @param {Search} search
 * @param {Only} only
 */
export function filters(search, only) {
  return only === "all" ? isEmpty(search) : only === search.only;
}

/**
 * Return what to ask the server for. The first tag, the last model and the last day count; further tags are words, which
 * the server looks for in tags, too.
 * @param {Search} search
 * @param {Record<"today" | "yesterday", string>} words for these days, in the language of the page
 * @param {number} now in milliseconds
 * @returns {Meaning}
 */
export function meaningOf({ text, only }, words, now) {
  /** @type {Query} */
  const query = only === "all" ? {} : only === "starred" ? { starred: true } : { state: "unsuccessful" };
  /** @type {string[]} */
  const rest = [];
  let day = null;
  for (const [, sign, quoted, plain = ""] of text.matchAll(TOKEN)) {
    const value = quoted ?? plain;
    const named = sign === "" && quoted === undefined ? dayOf(plain, words, now) : null;
    if (named !== null) day = named;
    else if (sign === "@" && value) query.model = value;
    else if (sign === "#" && value && query.tag === undefined) query.tag = value;
    // A sign without anything is being typed.
    else if (value && !/^[#@]$/.test(value)) rest.push(value);
  }
  if (rest.length) query.search = rest.join(" ");
  if (day !== null) {
    query.since = day / 1000;
    query.until = new Date(day).setDate(new Date(day).getDate() + 1) / 1000;
  }
  return { query, day };
}

/**
 * Return the midnight of the day that a word names, in milliseconds by the local clock; null if it names none.
 * @param {string} word
 * @param {Record<"today" | "yesterday", string>} words
 * @param {number} now in milliseconds
 */
function dayOf(word, { today, yesterday }, now) {
  const lower = word.toLowerCase();
  const date = new Date(now);
  if (lower === today.toLowerCase()) return date.setHours(0, 0, 0, 0);
  if (lower === yesterday.toLowerCase()) return new Date(date.setDate(date.getDate() - 1)).setHours(0, 0, 0, 0);
  const [, year, month, of] = /^(\d{4})-(\d\d?)-(\d\d?)$/.exec(word)?.map(Number) ?? [];
  if (year === undefined || month === undefined || of === undefined) return null;
  const named = new Date(year, month - 1, of);
  return named.getMonth() === month - 1 && named.getDate() === of ? named.getTime() : null;
}

/**
 * Return a text that also looks for a tag, a model or a day, or for it no longer. It takes the place of what was begun to
 * be typed of it.
 * @param {string} text
 * @param {"#" | "@" | ""} sign of a tag, of a model, of a day
 * @param {string} value
 */
export function chosen(text, sign, value) {
  const token = tokenOf(sign, value);
  const tokens = tokensOf(text);
  if (tokens.includes(token)) return tokens.filter((each) => each !== token).join(" ");
  const last = tokens.at(-1) ?? "";
  const begun = sign !== "" && last.startsWith(sign) && token.startsWith(last) && text.endsWith(last);
  return [...(begun ? tokens.slice(0, -1) : tokens), token].join(" ");
}

/**
 * Tell whether a text looks for a tag, a model or a day that was chosen.
 * @param {string} text
 * @param {"#" | "@" | ""} sign
 * @param {string} value
 */
export function has(text, sign, value) {
  return tokensOf(text).includes(tokenOf(sign, value));
}

/** @param {string} text */
function tokensOf(text) {
  return Array.from(text.matchAll(TOKEN), ([whole]) => whole);
}

/**
 * @param {string} sign
 * @param {string} value
 */
function tokenOf(sign, value) {
  return /[\s"]/u.test(value) ? `${sign}"${value.replaceAll('"', "")}"` : `${sign}${value}`;
}

/** Write a day as a search has it. @param {number} midnight in milliseconds */
export function dayText(midnight) {
  const date = new Date(midnight);
  return [date.getFullYear(), date.getMonth() + 1, date.getDate()].map((part) => String(part).padStart(2, "0")).join("-");
}
