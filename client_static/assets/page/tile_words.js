// @ts-check
import { duration, errorText, isKey, measured, ordinal, percent, t } from "../words/words.js";

/** @typedef {import("./picture_state.js").PictureState} PictureState */
/** @typedef {import("../client/xinflight.js").Progress} Progress */

/**
 * What a picture is doing, in a few words.
 * @param {PictureState} state
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

/** @param {PictureState} state */
function phaseKey({ phase }) {
  if (phase === "offline" || phase === "sending") return /** @type {const} */ (`step.${phase}`);
  return "step.accepted";
}

/**
 * How long it will take, or nothing where nobody knows.
 * @param {PictureState} state
 * @param {number} now in milliseconds
 */
export function etaText(state, now) {
  const left = state.remaining(now);
  if (left === null) return "";
  if (left < 1) return state.waiting ? "" : t("eta.soon");
  return t(state.waiting ? "eta.wait" : "eta.left", { time: duration(left) });
}

/**
 * The percentage as a figure; a sign says that it is estimated. Nothing before the computing starts.
 * @param {PictureState} state
 */
export function figureText(state) {
  if (state.ended || !state.progress || state.shown === 0) return "";
  return (state.progress.source === "estimate" ? "≈ " : "") + percent(state.shown);
}

/**
 * How a picture ended, when it did not end well.
 * @param {PictureState} state
 */
export function verdictText(state) {
  if (state.error) return errorText(state.error);
  if (state.phase === "failed" || state.phase === "expired") return t("end.failed");
  if (state.phase !== "cancelled") return "";
  if (!state.outcome) return t("end.picture");
  const { upstream, seconds } = state.outcome;
  return seconds === undefined ? t(`end.${upstream}_plain`) : t(`end.${upstream}`, { time: measured(seconds) });
}

/**
 * Why it is tried again, when it is.
 * @param {PictureState} state
 */
export function noteText(state) {
  if (state.ended || state.attempt < 2) return "";
  const code = state.progress?.details?.retry_reason ?? "";
  const nth = ordinal(state.attempt);
  if (!isKey(`code.${code}`)) return t("step.attempt_plain", { nth });
  return t("step.attempt", { nth, why: errorText({ code }) });
}

/**
 * What a picture is called where it can't be pointed at.
 * @param {string} prompt
 * @param {number} index
 * @param {number} count
 */
export function tileName(prompt, index, count) {
  const short = shortened(prompt);
  return count > 1 ? t("tile.name", { prompt: short, i: index + 1, n: count }) : t("tile.name_one", { prompt: short });
}

/** Enough of a prompt to know it by. @param {string} prompt */
export function shortened(prompt) {
  return prompt.length > 40 ? `${prompt.slice(0, 39)}…` : prompt;
}
