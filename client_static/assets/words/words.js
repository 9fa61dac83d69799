// @ts-check
/** @typedef {keyof typeof import("./en.json")} Key */
/** @typedef {Record<string, string | number>} Values */
/**
 * @typedef {"act.cancel_generation" | "away.unfinished" | "bell.failed" | "bell.ready" | "connection.resumed" | "day.images"
 *   | "delete.text" | "dock.lines" | "ended.cancelled_all" | "ended.running_on_all" | "ended.stopped_all"
 *   | "ended.unconfirmed_all" | "find.count" | "meta.frames" | "meta.steps" | "say.accepted" | "say.more"
 *   | "toast.cancelled_all" | "toast.later_all" | "toast.stopping_all" | "operator.connections"
 *   | "operator.replicas" | "operator.quarantined" | "operator.owners_n" | "operator.paused" | "operator.requests"
 *   | "operator.outputs" | "operator.ask_cancel_all_text" | "operator.drain_running" | "operator.drain_waiting"
 *   | "operator.drain_lost" | "operator.said_cancelled"} Plural
 */
/**
 * A language that the server has texts in: its BCP 47 tag, its name, and how to ask for it in its own words.
 * @typedef {{ tag: string, name: string, show: string }} Language
 */

let current = "en";
// Made once per language: with 200 images in flight, making them for each text took some 40 % of the time of all scripts.
let ordinals = new Intl.PluralRules(current, { type: "ordinal" });
let percents = new Intl.NumberFormat(current, { style: "percent" });
/** @type {Record<string, string>} */
let table = {};
/** Settles when the table has more than what the first screen needs. @type {Promise<void> | null} */
let later = null;
/** @type {Language[]} */
let offered = [];
/** What was asked for last: the texts of an earlier wish that arrive late are not used. */
let wanted = current;
/** @type {Set<() => void>} */
const listeners = new Set();

/** The BCP 47 tag of the current language. */
export function lang() {
  return current;
}

/** Use the texts that the server has put into the page. Throws if there are none. */
export function readWords() {
  const served = JSON.parse(document.getElementById("words")?.textContent ?? "");
  offered = served.languages;
  useWords(served.lang, served.texts);
}

/**
 * Use a table of texts from now on. A key that it lacks keeps its text: translations may be incomplete.
 * @param {string} tag
 * @param {Record<string, string>} texts
 */
export function useWords(tag, texts) {
  current = tag;
  wanted = tag;
  ordinals = new Intl.PluralRules(current, { type: "ordinal" });
  percents = new Intl.NumberFormat(current, { style: "percent" });
  table = { ...table, ...texts };
}

/** The languages that the server has texts in. */
export function languages() {
  return offered;
}

/** The language after the current one, in the order of the server's list. @returns {Language} */
export function nextLanguage() {
  const at = offered.findIndex(({ tag }) => tag === current);
  return offered[(at + 1) % offered.length] ?? { tag: current, name: current, show: current };
}

/** Load the texts that the page came without, since its first screen has none of them. Rejects if they can't be loaded. */
export function loadLaterWords() {
  later ??= addWords(current).catch((error) => {
    later = null;
    throw error;
  });
  return later;
}

/** @param {string} tag */
async function addWords(tag) {
  const texts = await fetchTexts(tag);
  // Another language came with all of its texts.
  if (current === tag) table = { ...table, ...texts };
}

/** @param {string} tag @returns {Promise<Record<string, string>>} */
async function fetchTexts(tag) {
  const response = await fetch(new URL(`${tag}.json`, import.meta.url));
  if (!response.ok) throw new Error(`no texts: ${response.status}`);
  return response.json();
}

/**
 * Load the texts of a language, and show the page in it. Rejects if they can't be loaded.
 * @param {string} tag
 */
export async function changeLang(tag) {
  wanted = tag;
  const texts = await fetchTexts(tag);
  if (wanted !== tag) return;
  useWords(tag, texts);
  document.documentElement.lang = tag;
  fillWords(document);
  for (const listener of [...listeners]) listener();
}

/**
 * Call `listener` after each change of the language, until the returned function is called.
 * @param {() => void} listener
 */
export function onLang(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/**
 * Return the text of a key in the current language, with its `{name}` placeholders replaced.
 * @param {Key} key
 * @param {Values} [values]
 * @returns {string}
 */
export function t(key, values = {}) {
  return (table[key] ?? key).replace(/\{(\w+)\}/g, (whole, name) => String(values[name] ?? whole));
}

/**
 * Return the text of `stem` with the suffix `_one` or `_other`, depending on `n`.
 * @param {Plural} stem
 * @param {number} n
 * @param {Values} [values] further ones, beside `n`
 */
export function plural(stem, n, values = {}) {
  return t(`${stem}_${n === 1 ? "one" : "other"}`, { ...values, n });
}

/**
 * Join sentences as the language does: not every one has a space after its full stop.
 * @param {readonly unknown[]} texts those that are empty or no texts are left out
 */
export function sentences(texts) {
  const said = texts.flatMap((text) => (typeof text === "string" && text ? text : []));
  return said.length ? said.reduce((first, then) => t("text.two", { first, then })) : "";
}

/**
 * Return the text for an error: ours if the code is known, else the server's message.
 * @param {{code: string, message?: string, limit?: string}} error
 */
export function errorText({ code, message, limit }) {
  const key = `code.${code}`;
  const text = isKey(key) ? t(key) : message || code;
  return limit ? t("problem.limit", { text, limit }) : text;
}

/**
 * Tell whether a text exists for a key.
 * @param {string} key
 * @returns {key is Key}
 */
export function isKey(key) {
  return Object.hasOwn(table, key);
}

/** Format an ordinal number. @param {number} n */
export function ordinal(n) {
  const key = `ordinal.${ordinals.select(n)}`;
  return t(isKey(key) ? key : "ordinal.other", { n });
}

/** Format a percentage. @param {number} value 0 to 100 */
export function percent(value) {
  return percents.format(value / 100);
}

/**
 * Format an estimated duration; the longer it is, the more it is rounded.
 * @param {number} seconds
 */
export function duration(seconds) {
  const s = Math.ceil(seconds < 10 ? seconds : Math.ceil(seconds / 5) * 5);
  // As minutes, 65 s would be told as nearly twice as long.
  if (s < 120) return t("time.s", { n: s });
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return t("time.min", { n: minutes });
  return t("time.h", { h: Math.floor(minutes / 60), min: minutes % 60 });
}

/**
 * Format a point in time: `short` omits the date if it is today, `full` has date and time.
 * @param {number} seconds Unix time
 * @param {"short" | "full"} length
 */
export function when(seconds, length) {
  const date = new Date(seconds * 1000);
  const now = new Date();
  const year = date.getFullYear() === now.getFullYear() ? undefined : "numeric";
  const day = date.toDateString() === now.toDateString() ? {} : { day: "numeric", month: "short", year };
  const short = { ...day, hour: "numeric", minute: "2-digit" };
  const form = length === "full" ? { dateStyle: "full", timeStyle: "medium" } : short;
  return new Intl.DateTimeFormat(current, /** @type {Intl.DateTimeFormatOptions} */ (form)).format(date);
}

/** Name a day: relative if it is today or yesterday. @param {number} midnight in milliseconds */
export function dayName(midnight) {
  const date = new Date(midnight);
  const today = new Date().setHours(0, 0, 0, 0);
  if (midnight === today) return t("day.today");
  if (midnight === new Date(today).setDate(new Date(today).getDate() - 1)) return t("day.yesterday");
  const year = date.getFullYear() === new Date().getFullYear() ? undefined : "numeric";
  return new Intl.DateTimeFormat(current, { weekday: "long", day: "numeric", month: "long", year }).format(date);
}

/**
 * Format a measured duration: two significant digits below 10 s, else whole seconds.
 * @param {number} seconds
 */
export function measured(seconds) {
  const digits = seconds < 10 ? { maximumSignificantDigits: 2 } : { maximumFractionDigits: 0 };
  return t("time.s", { n: new Intl.NumberFormat(current, digits).format(seconds) });
}

/**
 * Fill in the texts of all elements below `root` by their attributes: `data-t` names the key of an element's text,
 * `data-t-label`, `data-t-hint` and `data-t-title` those of its accessible name, placeholder and tooltip.
 * @param {ParentNode} root
 */
export function fillWords(root) {
  const places = { t: "", tLabel: "aria-label", tHint: "placeholder", tTitle: "title" };
  const selector = "[data-t],[data-t-label],[data-t-hint],[data-t-title]";
  for (const element of root.querySelectorAll(selector)) {
    if (!(element instanceof HTMLElement)) continue;
    for (const [name, attribute] of Object.entries(places)) {
      const key = element.dataset[name];
      if (key === undefined || !isKey(key)) continue;
      if (attribute) element.setAttribute(attribute, t(key));
      else element.textContent = t(key);
    }
  }
}
