// @ts-check
import { measured, plural, sentences, t } from "../../words/words.js";

/** @typedef {import("../store/generation_state.js").GenerationOutput} GenerationOutput */
/** @typedef {import("../store/output_state.js").OutputState} OutputState */

/** What cancels achieved, from the best to the worst. */
const OUTCOMES = /** @type {const} */ (["stopped", "running_on", "unconfirmed"]);

/**
 * Say what a cancel of some outputs does, or has done: what had not begun, and what ran.
 * @param {GenerationOutput[]} outputs
 * @param {{waited: ReadonlySet<GenerationOutput>, later: boolean}} then when it was asked for: `waited`: those that had not
 *   begun; `later`: there was no connection to ask for it
 */
export function cancelText(outputs, { waited, later }) {
  const [first] = outputs;
  const name = outputs.length === 1 && first ? first.name : "";
  // The server knows better what had begun.
  const idle = outputs.filter((output) => neverStarted(output.state) ?? waited.has(output)).length;
  const begun = outputs.filter((output) => !(neverStarted(output.state) ?? waited.has(output)));
  if (later && outputs.some(({ state }) => !state.ended)) {
    return name ? t("toast.later", { name }) : plural("toast.later_all", outputs.length);
  }
  if (begun.some(({ state }) => !state.ended)) {
    if (idle) return t("toast.cancelled_and_stopping", { n: idle, running: begun.length });
    return name ? t("toast.stopping", { name }) : plural("toast.stopping_all", begun.length);
  }
  if (name && begun.length) return outcomeText(name, begun[0]?.state);
  const before = name ? t("toast.cancelled", { name }) : idle ? plural("toast.cancelled_all", idle) : "";
  return sentences([before, outcomesText(begun)]);
}

/** @param {OutputState} state @returns {boolean | null} null if nobody has told */
function neverStarted({ outcome }) {
  return outcome && outcome.upstream === "never_started";
}

/**
 * @param {string} name
 * @param {OutputState | undefined} state
 */
function outcomeText(name, state) {
  if (state?.phase === "done") return t("ended.landed", { name });
  // A failure has a strip of its own.
  if (state?.phase !== "cancelled") return "";
  const { upstream = "cancelled", seconds } = state.outcome ?? {};
  if (upstream === "never_started") return t("toast.cancelled", { name });
  if (upstream !== "stopped" || seconds === undefined) return t(`ended.${upstream}`, { name });
  return t("ended.stopped_after", { name, time: measured(seconds) });
}

/** @param {GenerationOutput[]} outputs that had begun and have ended */
function outcomesText(outputs) {
  const cancelled = outputs.filter(({ state }) => state.phase === "cancelled");
  if (cancelled.length === 0) return "";
  const worst = OUTCOMES.findLast((each) => cancelled.some(({ state }) => state.outcome?.upstream === each));
  return plural(`ended.${worst ?? "cancelled"}_all`, cancelled.length);
}
