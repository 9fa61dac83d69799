// @ts-check
import { t } from "../../words/words.js";

/** @typedef {import("../store/output_state.js").OutputState} OutputState */

/**
 * Summarize how many images are in which state. While offline, the counts of running and queued images may be out of
 * date, so they are marked as last known.
 * @param {OutputState[]} states
 * @param {{live: boolean, more: boolean}} page `more`: the server has older generations that are not loaded
 */
export function countsText(states, { live, more }) {
  const unsent = states.filter(({ phase }) => phase === "offline").length;
  const waiting = states.filter(({ waiting }) => waiting).length - unsent;
  const running = states.filter(({ ended, waiting }) => !ended && !waiting).length;
  const ready = states.filter(({ output }) => output !== null).length;
  const heard = [];
  if (running) heard.push(t("counts.running", { n: running }));
  if (waiting) heard.push(t("counts.queued", { n: waiting }));
  const parts = live || heard.length === 0 ? heard : [t("counts.last_heard", { what: heard.join(" · ") })];
  if (unsent) parts.push(t("counts.unsent", { n: unsent }));
  if (ready) parts.push(t("counts.ready", { n: more ? `${ready}+` : ready }));
  return parts.join(" · ");
}
