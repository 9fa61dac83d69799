// @ts-check
import { html, nothing } from "../../vendor/lit-html/lit-html.js";
import { duration, errorText, plural, t } from "../../words/words.js";

/** @typedef {import("./data.js").FailureCount} FailureCount */
/** @typedef {import("./data.js").ModelSlots} ModelSlots */
/** @typedef {import("./data.js").Pool} Pool */
/** @typedef {import("./data.js").Status} Status */

/** The most slots that are drawn one by one. */
const DRAWN = 32;

/** The template of how the model server and this server are. @param {Status} status */
export function healthTemplate(status) {
  const { upstream, timestamp } = status;
  const problems = [
    status.draining ? t("operator.draining") : "",
    status.held ? t("operator.held") : "",
    status.storing ? "" : t("operator.not_storing"),
    status.failing?.length ? t("operator.failing", { names: status.failing.join(", ") }) : "",
  ].filter(Boolean);
  return html`<section class="panel" aria-labelledby="operator-health">
    <h3 id="operator-health">${t("operator.health")}</h3>
    <div class="op-server" data-state=${upstream.state} data-testid="operator-upstream">
      <p><b>${upstream.message}</b> <small>${t("operator.for", { time: duration(Math.max(timestamp - upstream.since, 0)) })}</small></p>
      ${upstream.cure ? html`<p>${upstream.cure}</p>` : nothing}
      ${upstream.cause ? html`<p class="problem" data-testid="operator-cause">${upstream.cause}</p>` : nothing}
      <p class="hint">${upstream.server} · ${plural("operator.connections", status.connections)}</p>
    </div>
    ${problems.map((problem) => html`<p class="problem" data-testid="operator-problem">${problem}</p>`)}
    <ul class="op-list">${status.pools.map(poolTemplate)}</ul>
  </section>`;
}

/** @param {Pool} pool */
function poolTemplate({ pool, models = [], waiting = 0, owners = 0, paused = 0 }) {
  const other = models.length !== 1 || models[0]?.model !== pool;
  const counts = [
    waiting ? t("operator.waiting_of", { waiting, owners: plural("operator.owners_n", owners) }) : "",
    paused ? plural("operator.paused", paused) : "",
  ].filter(Boolean);
  return html`<li class="op-pool" data-testid="operator-pool">
    ${other ? html`<b>${pool || t("operator.unassigned")}</b>` : nothing}
    ${models.map(modelTemplate)}
    ${counts.length ? html`<small>${counts.join(" · ")}</small>` : nothing}
  </li>`;
}

/** @param {ModelSlots} model */
function modelTemplate({ model, replicas, slots, busy = 0, quarantined = 0, missing = false }) {
  const told = [
    t("operator.slots", { busy, slots }),
    plural("operator.replicas", replicas),
    quarantined ? plural("operator.quarantined", quarantined) : "",
    missing ? t("operator.missing") : "",
  ].filter(Boolean);
  // What is held by requests of before a restart may be more than there is.
  const drawn = Math.min(Math.max(slots, busy), DRAWN);
  const shown = (/** @type {number} */ at) => (at < quarantined ? "kept" : at < busy ? "busy" : "free");
  return html`<div class="op-model" data-testid="operator-model">
    <b>${model}</b>
    <span class="op-slots" aria-hidden="true">${Array.from({ length: drawn }, (_, at) => html`<i data-slot=${shown(at)}></i>`)}</span>
    <small>${told.join(" · ")}</small>
  </div>`;
}

/** The template of what failed lately. @param {Status} status */
export function failuresTemplate({ failures, timestamp }) {
  return html`<section class="panel" aria-labelledby="operator-failures">
    <h3 id="operator-failures">${t("operator.failures")}</h3>
    ${failures.length ? nothing : html`<p class="hint">${t("operator.no_failures")}</p>`}
    <ul class="op-list">${failures.map((failure) => failureTemplate(failure, timestamp))}</ul>
  </section>`;
}

/**
 * @param {FailureCount} failure
 * @param {number} now of the server, in seconds
 */
function failureTemplate({ pool, code, requests, outputs, last }, now) {
  const counts = [
    requests ? plural("operator.requests", requests) : "",
    outputs ? plural("operator.outputs", outputs) : "",
    t("operator.last", { time: duration(Math.max(now - last, 0)) }),
  ].filter(Boolean);
  return html`<li class="op-failure" data-testid="operator-failure">
    <b>${errorText({ code })}</b>
    <small><code>${code}</code> · ${pool || t("operator.unassigned")} · ${counts.join(" · ")}</small>
  </li>`;
}
