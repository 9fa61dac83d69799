// @ts-check
import { errorText, isKey, measured, ordinal, percent, sentences, t } from "../../words/words.js";

/** @typedef {import("../store/output_state.js").OutputState} OutputState */
/** @typedef {import("../../client/xinflight.js").Progress} Progress */

/**
 * Describe the current step of an output.
 * @param {OutputState} state
 * @returns {string}
 */
export function stepText(state) {
  if (state.ended) return "";
  if (state.cancelling) return t("step.cancelling");
  if (state.phase !== "active" || !state.progress) return t(phaseKey(state));
  const { step, step_index: i, step_count: n, position, message } = state.progress;
  if (step === "queued" && position === 1) return t("step.queued_next");
  if (step === "queued" && position) return t("step.queued_at", { place: ordinal(position) });
  if (step === "generating" && i && n) return t("step.generating_at", { i, n });
  const key = `step.${step}`;
  return isKey(key) ? t(key) : message || step;
}

/** @param {OutputState} state */
function phaseKey({ phase }) {
  if (phase === "offline" || phase === "sending") return /** @type {const} */ (`step.${phase}`);
  return "step.accepted";
}

/**
 * Format the progress, with `≈` if it is an estimate; empty before the computation starts.
 * @param {OutputState} state
 * @param {number} now in milliseconds
 */
export function figureText(state, now) {
  const shown = state.shownAt(now);
  if (state.ended || !state.progress || shown.percent === 0) return "";
  return (shown.estimate || state.progress.source === "estimate" ? "≈ " : "") + percent(shown.percent);
}

/**
 * Explain why an output failed or was cancelled, and what may help; empty for any other state.
 * @param {OutputState} state
 */
export function verdictText(state) {
  if (state.phase !== "cancelled") return sentences([causeText(state), cureText(state)]);
  if (!state.outcome) return t("end.image");
  const { upstream, seconds } = state.outcome;
  return seconds === undefined ? t(`end.${upstream}_plain`) : t(`end.${upstream}`, { time: measured(seconds) });
}

/** Explain why an output failed; empty for any other state. @param {OutputState} state */
export function causeText({ error, failed }) {
  if (error) return errorText(error);
  return failed ? t("end.failed") : "";
}

/**
 * Tell which outputs of a generation failed; empty if it has only one.
 * @param {{outputs: readonly unknown[], failed: readonly {index: number}[]}} generation
 */
export function whichFailed({ outputs: { length: n }, failed }) {
  const which = failed.map(({ index }) => index + 1).join(", ");
  if (n === 1 || failed.length === 0) return "";
  if (failed.length === n) return t("tile.failed_all", { n });
  return failed.length === 1 ? t("tile.failed_one", { i: which, n }) : t("tile.failed_some", { count: failed.length, n, which });
}

/**
 * Join what is said of several outputs, each sentence once.
 * @param {readonly {state: OutputState}[]} outputs
 * @param {(state: OutputState) => string} say
 */
export function eachOnce(outputs, say) {
  return sentences([...new Set(outputs.map(({ state }) => say(state)))]);
}

/** What may help an output that failed; empty if nothing that is known does. @param {OutputState} state */
export function cureText({ error }) {
  const key = `remedy.${error?.code}`;
  return isKey(key) ? t(key) : "";
}

/**
 * Explain why an output is being retried; empty during the first attempt.
 * @param {OutputState} state
 */
export function noteText(state) {
  if (state.ended || state.attempt < 2) return "";
  const code = state.progress?.details?.retry_reason ?? "";
  const nth = ordinal(state.attempt);
  if (!isKey(`code.${code}`)) return t("step.attempt_plain", { nth });
  return t("step.attempt", { nth, why: errorText({ code }) });
}

/**
 * Return the accessible name of an output.
 * @param {string} prompt
 * @param {number} index
 * @param {number} count
 */
export function tileName(prompt, index, count) {
  const short = shortened(prompt);
  return count > 1 ? t("tile.name", { prompt: short, i: index + 1, n: count }) : t("tile.name_one", { prompt: short });
}

/** Letters of the scripts that go from right to left. */
const LEFTWARDS = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff]/;

/**
 * Shorten a prompt to at most 40 characters, for use in a sentence: one that goes from right to left is kept from turning
 * the words around it (by the isolates of Unicode's bidirectional algorithm, UAX 9).
 * @param {string} prompt
 */
export function shortened(prompt) {
  const short = prompt.length > 40 ? `${prompt.slice(0, 39)}…` : prompt;
  return LEFTWARDS.test(short) ? `\u2068${short}\u2069` : short;
}
