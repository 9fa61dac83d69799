// @ts-check
import { t } from "../words/words.js";

/** @typedef {import("./picture_state.js").PictureState} PictureState */

/**
 * How many pictures are in which state. Without a line nobody knows what runs: then it is said as what was heard last.
 * @param {PictureState[]} states
 * @param {{live: boolean, more: boolean}} page `more`: there are older generations than those shown
 */
export function countsText(states, { live, more }) {
  const unsent = states.filter(({ phase }) => phase === "offline").length;
  const waiting = states.filter(({ waiting }) => waiting).length - unsent;
  const running = states.filter(({ ended, waiting }) => !ended && !waiting).length;
  const ready = states.filter(({ picture }) => picture !== null).length;
  const heard = [];
  if (running) heard.push(t("counts.running", { n: running }));
  if (waiting) heard.push(t("counts.queued", { n: waiting }));
  const parts = live || heard.length === 0 ? heard : [t("counts.last_heard", { what: heard.join(" · ") })];
  if (unsent) parts.push(t("counts.unsent", { n: unsent }));
  if (ready) parts.push(t("counts.ready", { n: more ? `${ready}+` : ready }));
  return parts.join(" · ");
}
