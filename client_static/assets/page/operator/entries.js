// @ts-check
import { html, nothing } from "../../vendor/lit-html/lit-html.js";
import { repeat } from "../../vendor/lit-html/directives/repeat.js";
import { duration, isKey, ordinal, percent, t } from "../../words/words.js";
import { hueOf } from "../ui/hue.js";
import { CROSS, UP } from "./icons.js";

/** @typedef {import("./data.js").Entry} Entry */
/** @typedef {import("./data.js").Queue} Queue */

/** An id that no other image of anybody has. @param {Entry} entry */
export const keyOf = ({ owner, task_id, index }) => `${owner}\n${task_id}\n${index}`;

/** The template of what occupies the slots. @param {Queue} queue */
export function runningTemplate({ running, running_count, timestamp }) {
  const more = running_count - running.length;
  return html`<section class="panel" aria-labelledby="operator-running">
    <h3 id="operator-running">${t("operator.running")} <small>${running_count}</small></h3>
    ${running_count ? nothing : html`<p class="hint">${t("operator.nothing_runs")}</p>`}
    <ul class="op-list" aria-describedby="row-keys" data-testid="operator-running">${entriesTemplate(running, timestamp)}</ul>
    ${more > 0 ? html`<p class="hint">${t("operator.more", { n: more })}</p>` : nothing}
  </section>`;
}

/** The template of what is next. @param {Queue} queue */
export function nextTemplate({ waiting, waiting_count, timestamp }) {
  const more = waiting_count - waiting.length;
  return html`<section class="panel" aria-labelledby="operator-next">
    <h3 id="operator-next">${t("operator.next")} <small>${waiting_count}</small></h3>
    ${waiting_count ? nothing : html`<p class="hint">${t("operator.nothing_waits")}</p>`}
    <ul class="op-list" aria-describedby="row-keys" data-testid="operator-next">${entriesTemplate(waiting, timestamp)}</ul>
    ${more > 0 ? html`<p class="hint">${t("operator.more", { n: more })}</p>` : nothing}
  </section>`;
}

/**
 * The templates of the rows of a list.
 * @param {Entry[]} entries
 * @param {number} now of the server, in seconds
 * @param {boolean} [ofOne] whether all are of one owner, who need not be named
 */
export function entriesTemplate(entries, now, ofOne = false) {
  return repeat(entries, keyOf, (entry) => entryTemplate(entry, now, ofOne));
}

/**
 * @param {Entry} entry
 * @param {number} now of the server, in seconds
 * @param {boolean} ofOne
 */
function entryTemplate(entry, now, ofOne) {
  const { owner, task_id, index, pool, model, progress = 0, state } = entry;
  const waits = state === "queued" && entry.elapsed === undefined;
  const where = model ?? (pool || t("operator.unassigned"));
  const ends = ["cancelled", "failed", "expired", "completed"].includes(state);
  return html`<li class="op-row" data-testid="operator-entry" data-key=${keyOf(entry)} data-state=${waits ? "queued" : "running"}
    .style=${`--part: ${progress / 100}; --hue: ${hueOf(task_id, index)}`}>
    <span class="thumb" aria-hidden="true"><i></i></span>
    <span class="what">${ofOne ? nothing : html`<b dir="auto">${owner}</b>`}<small>${where} · ${stepOf(entry)}</small>
      <small class="op-id">${task_id}/${index}</small></span>
    <span class="left">${whenOf(entry)}<small>${t("operator.asked", { time: duration(Math.max(now - entry.created, 0)) })}</small></span>
    <span class="op-acts">
      ${waits && !entry.quarantined
        ? html`<button type="button" class="plain" data-act="first" data-testid="operator-first" title=${t("act.first")}
            aria-label=${t("operator.first", { owner })}>${UP}</button>`
        : nothing}
      ${ends || state === "cancelling"
        ? nothing
        : html`<button type="button" class="plain" data-act="cancel" data-testid="operator-cancel" title=${t("act.cancel")}
            aria-label=${t("operator.cancel_one", { owner })}>${CROSS}</button>`}
    </span>
  </li>`;
}

/** Describe what is being done. @param {Entry} entry */
function stepOf({ quarantined, state, step, position }) {
  if (quarantined) return t("operator.kept");
  if (state === "cancelling") return t("step.cancelling");
  if (position) return position === 1 ? t("board.next") : t("board.place", { place: ordinal(position) });
  const key = `step.${step}`;
  return isKey(key) ? t(key) : step;
}

/** Describe how far it is, and what is left. @param {Entry} entry */
function whenOf({ progress = 0, estimated_time, elapsed, quarantined }) {
  const part = elapsed === undefined ? "" : quarantined ? duration(elapsed) : percent(progress);
  const left = estimated_time === undefined || quarantined ? "" : duration(Math.max(estimated_time, 1));
  return [part, left].filter(Boolean).join(" · ");
}
