// @ts-check
import { html, nothing } from "../../vendor/lit-html/lit-html.js";
import { repeat } from "../../vendor/lit-html/directives/repeat.js";
import { percent, plural, t } from "../../words/words.js";
import { entriesTemplate } from "./entries.js";
import { CROSS, GO, HOLD, NOTICE, OPEN } from "./icons.js";
import { total } from "./order.js";

/** @typedef {import("./data.js").OwnerLoad} OwnerLoad */
/** @typedef {import("./data.js").Queue} Queue */

/**
 * @typedef {object} OwnersShown
 * @property {OwnerLoad[]} owners in the order that is shown
 * @property {boolean} earlier whether there is a page before this one
 * @property {boolean} later whether there is a page behind this one
 * @property {string} prefix
 * @property {string | null} open the owner whose queue is shown
 * @property {Queue | null} detail that queue
 * @property {boolean} detailEarlier whether this is not its first page
 */

/** The template of who has unfinished work. @param {OwnersShown} shown */
export function ownersTemplate(shown) {
  const { owners, earlier, later, prefix } = shown;
  const empty = prefix ? t("operator.nobody_found", { prefix }) : t("operator.nobody");
  return html`<section class="panel op-owners" aria-labelledby="operator-owners">
    <header>
      <h3 id="operator-owners">${t("operator.owners")}</h3>
      <label><span class="unseen">${t("operator.find")}</span><input type="search" class="op-find" data-testid="operator-find"
        autocapitalize="none" spellcheck="false" maxlength="128" dir="auto" placeholder=${t("operator.find")}></label>
    </header>
    ${owners.length ? nothing : html`<p class="hint" data-testid="operator-nobody">${empty}</p>`}
    <ul class="op-list" aria-describedby="row-keys" data-testid="operator-owners">${repeat(owners, ({ owner }) => owner, (load) => ownerTemplate(load, shown))}</ul>
    ${pagesTemplate(earlier, later, "owners")}
  </section>`;
}

/**
 * @param {boolean} earlier
 * @param {boolean} later
 * @param {"owners" | "detail"} of
 */
function pagesTemplate(earlier, later, of) {
  if (!earlier && !later) return nothing;
  return html`<p class="op-pages">
    <button type="button" class="quiet" data-act="earlier" data-of=${of} data-testid=${`operator-${of}-first`} ?disabled=${!earlier}>${t("operator.first_page")}</button>
    <button type="button" class="quiet" data-act="later" data-of=${of} data-testid=${`operator-${of}-later`} ?disabled=${!later}>${t("operator.next_page")}</button>
  </p>`;
}

/**
 * @param {OwnerLoad} load
 * @param {OwnersShown} shown
 */
function ownerTemplate(load, { open, detail, detailEarlier }) {
  const { owner, paused = false, connections = 0 } = load;
  const counts = [
    [total(load, "running"), "counts.running"],
    [total(load, "waiting"), "counts.queued"],
  ];
  const held = total(load, "paused");
  const told = [
    ...counts.flatMap(([n, key]) => (n ? t(/** @type {"counts.running"} */ (key), { n: n ?? 0 }) : [])),
    held ? plural("operator.paused", held) : "",
    ...load.pools.flatMap(({ pool, share }) =>
      share === undefined ? [] : t("operator.share", { percent: percent(share * 100), pool: pool || t("operator.unassigned") }),
    ),
  ].filter(Boolean);
  const isOpen = open === owner;
  return html`<li class="op-owner" data-testid="operator-owner" data-owner=${owner}>
    <div class="op-row">
      <span class="what"><b dir="auto">${owner}</b><small data-testid="operator-counts">${told.join(" · ")}</small>
        <small>${connections ? plural("operator.connections", connections) : t("operator.not_connected")}${paused ? html` · <strong>${t("operator.paused_all")}</strong>` : nothing}</small></span>
      <span class="op-acts">
        <button type="button" class="plain" data-act=${paused ? "unpause" : "pause"} data-testid="operator-pause" title=${t(paused ? "act.resume_queue" : "act.pause_queue")}
          aria-label=${t(paused ? "operator.unpause" : "operator.pause", { owner })}>${paused ? GO : HOLD}</button>
        <button type="button" class="plain" data-act="notify" data-testid="operator-notify" title=${t("operator.notice")}
          aria-label=${t("operator.notify", { owner })}>${NOTICE}</button>
        <button type="button" class="plain" data-act="cancel-all" data-testid="operator-cancel-all" title=${t("operator.cancel_all_short")}
          aria-label=${t("operator.cancel_all", { owner })}>${CROSS}</button>
        <button type="button" class="plain" data-act="open" data-testid="operator-show" aria-expanded=${String(isOpen)} title=${t("operator.show_short")}
          aria-label=${t("operator.show", { owner })}>${OPEN}</button>
      </span>
    </div>
    ${isOpen && detail
      ? html`<div class="op-detail" data-testid="operator-detail">
          ${detail.running.length || detail.waiting.length ? nothing : html`<p class="hint">${t("operator.nothing_waits")}</p>`}
          <ul class="op-list">${entriesTemplate([...(detailEarlier ? [] : detail.running), ...detail.waiting], detail.timestamp, true)}</ul>
          ${pagesTemplate(detailEarlier, detail.next !== undefined, "detail")}
        </div>`
      : nothing}
  </li>`;
}
