// @ts-check
import { html, nothing, render } from "../../vendor/lit-html/lit-html.js";
import { duration, errorText, onLang, plural, t, when } from "../../words/words.js";
import { keepFocus } from "../ui/dom.js";
import { RowWalk } from "../ui/row_walk.js";
import { loadStyle } from "../ui/style.js";
import { cancel, cancelAll, drain, hold, look, moveFirst, notify, pause } from "./data.js";
import { Dialog } from "./dialogs.js";
import { keyOf, nextTemplate, runningTemplate } from "./entries.js";
import { failuresTemplate, healthTemplate } from "./health.js";
import { BACK } from "./icons.js";
import { busiestFirst, total } from "./order.js";
import { ownersTemplate } from "./owners.js";
import { Poll } from "./poll.js";

/** @typedef {import("./data.js").Entry} Entry */
/** @typedef {import("./data.js").Seen} Seen */

/** Milliseconds after the last key before owners are looked for. */
const TYPED = 250;

/**
 * `leave` shows the images again.
 * @typedef {{leave: () => void}} OperatorHost
 */

/**
 * Load the style of the view, and make the view. Rejects if they can't be loaded.
 * @param {HTMLElement} parent
 * @param {OperatorHost} host
 */
export async function loadOperator(parent, host) {
  // The first two have the styles of dialogs and of what is in flight.
  await Promise.all(["view.css", "board.css", "operator.css"].map(loadStyle));
  return new Operator(parent, host);
}

/**
 * The operator's view: how the server is, who waits and what runs, without what it is about; and what may be done for
 * others. It asks the server every two seconds while it is seen, and keeps nothing when it is closed.
 */
export class Operator {
  #root = document.createElement("section");
  #body = document.createElement("div");
  #walk = new RowWalk(this.#body, { list: ".op-list", row: ".op-row" });
  #host;
  #dialog;
  #poll;
  /** @type {import("./data.js").Wanted} */
  #wanted = { prefix: "", after: null, owner: null, cursor: null };
  /** @type {Seen | null} */
  #seen = null;
  /** When the server was last heard, in Unix seconds. */
  #heard = 0;
  /** Why the last question was not answered; a code. */
  #problem = "";
  /** What was done last, or why it was not. */
  #said = () => "";
  /** @type {string[]} the owners in the order that is shown */
  #order = [];
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #typing;
  /** How far the page was scrolled before. */
  #scrolled = 0;

  /**
   * @param {HTMLElement} parent
   * @param {OperatorHost} host
   */
  constructor(parent, host) {
    this.#host = host;
    this.#root.className = "operator";
    this.#root.id = "operator";
    this.#root.dataset.testid = "operator";
    this.#root.hidden = true;
    this.#root.setAttribute("aria-labelledby", "operator-title");
    this.#root.append(this.#body);
    parent.append(this.#root);
    this.#dialog = new Dialog(this.#root);
    this.#poll = new Poll(() => look(this.#wanted), {
      got: (seen) => this.#got(seen),
      failed: ({ message }) => this.#failed(message),
    });
    this.#root.addEventListener("click", ({ target }) => this.#click(target));
    this.#root.addEventListener("input", ({ target }) => this.#typed(target));
    document.addEventListener("visibilitychange", () => this.#watch());
    onLang(() => this.#render());
  }

  /** Show the view, and begin to ask. */
  open() {
    if (!this.#root.hidden) return;
    this.#scrolled = scrollY;
    this.#root.hidden = false;
    this.#render();
    this.#watch();
    this.#title.focus();
  }

  /** Hide the view, ask no more and drop all that was seen. */
  close() {
    if (this.#root.hidden) return;
    this.#root.hidden = true;
    scrollTo(0, this.#scrolled);
    this.#watch();
    clearTimeout(this.#typing);
    this.#dialog.close();
    this.#wanted = { prefix: "", after: null, owner: null, cursor: null };
    this.#seen = null;
    this.#problem = "";
    this.#order = [];
    this.#said = () => "";
    render(nothing, this.#body);
  }

  /** @returns {HTMLElement} */
  get #title() {
    return /** @type {HTMLElement} */ (this.#root.querySelector("#operator-title"));
  }

  /** Ask while the view is seen. */
  #watch() {
    if (this.#root.hidden || document.hidden) this.#poll.stop();
    else this.#poll.start();
  }

  /** @param {Seen} seen */
  #got(seen) {
    this.#seen = seen;
    this.#heard = Date.now() / 1000;
    this.#problem = "";
    this.#render();
  }

  /** @param {string} code */
  #failed(code) {
    // Who is no admin any more is not shown what an admin saw.
    if (code === "forbidden" || code === "unauthorised") this.#host.leave();
    else {
      this.#problem = code;
      this.#render();
    }
  }

  /** @param {EventTarget | null} target */
  #typed(target) {
    if (!(target instanceof HTMLInputElement)) return;
    clearTimeout(this.#typing);
    this.#typing = setTimeout(() => this.#want({ prefix: target.value.trim(), after: null }), TYPED);
  }

  /** Show something else. @param {Partial<import("./data.js").Wanted>} wanted */
  #want(wanted) {
    this.#wanted = { ...this.#wanted, ...wanted };
    this.#poll.start();
  }

  /** @param {EventTarget | null} target */
  #click(target) {
    const button = target instanceof Element ? target.closest("[data-act]") : null;
    if (!(button instanceof HTMLElement)) return;
    const owner = /** @type {HTMLElement | null} */ (button.closest("[data-owner]"))?.dataset.owner ?? "";
    const key = /** @type {HTMLElement | null} */ (button.closest("[data-key]"))?.dataset.key;
    const entry = this.#entries.find((each) => keyOf(each) === key);
    const ofOwners = button.dataset.of === "owners";
    /** @type {Record<string, () => unknown>} */
    const acts = {
      leave: () => this.#host.leave(),
      drain: () => this.#drain(),
      hold: () => this.#do(() => hold(true), () => t("operator.held")),
      release: () => this.#do(() => hold(false), () => t("operator.said_released")),
      "notify-all": () => this.#notify(null),
      notify: () => this.#notify(owner),
      cancel: () => entry && this.#cancel(entry),
      first: () => entry && this.#do(() => moveFirst(entry), () => t("operator.said_first", { owner: entry.owner })),
      "cancel-all": () => this.#cancelAll(owner),
      pause: () => this.#do(() => pause(owner, true), () => t("operator.said_paused", { owner })),
      unpause: () => this.#do(() => pause(owner, false), () => t("operator.said_unpaused", { owner })),
      open: () => this.#want({ owner: this.#wanted.owner === owner ? null : owner, cursor: null }),
      earlier: () => this.#want(ofOwners ? { after: null } : { cursor: null }),
      later: () => this.#later(ofOwners),
    };
    acts[button.dataset.act ?? ""]?.();
  }

  /** All images that are shown. @returns {Entry[]} */
  get #entries() {
    const { queue, detail } = this.#seen ?? {};
    return [queue, detail].flatMap((each) => (each ? [...each.running, ...each.waiting] : []));
  }

  /** @param {boolean} owners whether the next page of owners is wanted, else that of one owner's queue */
  #later(owners) {
    if (owners) this.#want({ after: this.#seen?.owners.next ?? null });
    else this.#want({ cursor: this.#seen?.detail?.next ?? null });
  }

  /** @param {Entry} entry */
  async #cancel(entry) {
    const { owner } = entry;
    const yes = await this.#dialog.ask({
      title: t("operator.ask_cancel", { owner }),
      text: [t("operator.ask_cancel_text", { owner })],
      yes: t("operator.yes_cancel"),
      danger: true,
    });
    if (yes) await this.#do(() => cancel(entry), () => t("operator.said_cancelled_one_image", { owner }));
  }

  /** @param {string} owner */
  async #cancelAll(owner) {
    const load = this.#seen?.owners.owners.find((each) => each.owner === owner);
    const yes = await this.#dialog.ask({
      title: t("operator.ask_cancel_all", { owner }),
      text: [plural("operator.ask_cancel_all_text", load ? total(load, "tasks") : 0, { owner })],
      yes: t("operator.yes_cancel_all"),
      danger: true,
    });
    if (!yes) return;
    let n = 0;
    await this.#do(async () => (n = await cancelAll(owner)), () => plural("operator.said_cancelled", n, { owner }));
  }

  /** @param {string | null} owner null for everybody */
  async #notify(owner) {
    const text = await this.#dialog.ask({
      title: owner === null ? t("operator.notify_all") : t("operator.notify", { owner }),
      text: [owner === null ? t("operator.notice_all_text") : t("operator.notice_text", { owner })],
      yes: t("operator.send"),
      writes: true,
    });
    const done = () => (owner === null ? t("operator.said_notified_all") : t("operator.said_notified", { owner }));
    if (text) await this.#do(() => notify(owner, text), done);
  }

  async #drain() {
    if (!this.#seen) return;
    const { status, queue } = this.#seen;
    const time = duration(status.drain);
    const yes = await this.#dialog.ask({
      title: t("operator.ask_drain"),
      text: [
        plural("operator.drain_running", queue.running_count, { time }),
        plural(status.durable ? "operator.drain_waiting" : "operator.drain_lost", queue.waiting_count),
        t("operator.drain_end"),
      ],
      yes: t("operator.yes_drain"),
      danger: true,
    });
    if (yes) await this.#do(drain, () => t("operator.draining"));
  }

  /**
   * Do something, then look again; tell what was done, or why it was not.
   * @param {() => Promise<unknown>} act
   * @param {() => string} done
   */
  async #do(act, done) {
    try {
      await act();
      this.#said = done;
    } catch (error) {
      const code = /** @type {Error} */ (error).message;
      this.#said = () => t("operator.not_done", { why: errorText({ code }) });
    }
    // It may have been closed meanwhile.
    if (this.#root.hidden) return;
    this.#render();
    this.#poll.start();
  }

  #render() {
    if (this.#root.hidden) return;
    const list = this.#root.querySelector(".op-owners .op-list");
    const inUse = list !== null && (list.matches(":hover") || list.contains(document.activeElement));
    const owners = busiestFirst(this.#seen?.owners.owners ?? [], this.#order, inUse);
    this.#order = owners.map(({ owner }) => owner);
    const show = () => render(this.#template(owners), this.#body);
    keepFocus(this.#body, () => this.#walk.keep(show), () => this.#title);
  }

  /** @param {import("./data.js").OwnerLoad[]} owners */
  #template(owners) {
    const time = this.#heard ? when(this.#heard, "short") : "";
    const asOf = this.#seen ? t("operator.as_of", { time }) : t("operator.loading");
    const { held = false, draining = false } = this.#seen?.status ?? {};
    const lost = this.#seen ? t("operator.lost", { time }) : errorText({ code: this.#problem });
    return html`
      <header class="op-head">
        <button type="button" class="icon" data-act="leave" data-testid="operator-leave" aria-label=${t("operator.leave")} title=${t("operator.leave")}>${BACK}</button>
        <h2 id="operator-title" tabindex="-1">${t("operator.title")}</h2>
        <p class="hint" data-testid="operator-as-of">${this.#problem ? nothing : asOf}</p>
        <span class="op-acts">
          <button type="button" class="quiet" data-act="notify-all" data-testid="operator-notify-all">${t("operator.notify_all")}</button>
          <button type="button" class="quiet" data-act=${held ? "release" : "hold"} data-testid="operator-hold" title=${t("operator.hold_label")} ?disabled=${!this.#seen || draining}>${t(held ? "operator.release" : "operator.hold")}</button>
          <button type="button" class="quiet" data-act="drain" data-testid="operator-drain" ?disabled=${!this.#seen || draining}>${t("operator.drain")}</button>
        </span>
      </header>
      <p class="banner" role="alert" data-testid="operator-lost" ?hidden=${!this.#problem}>${this.#problem ? lost : ""}</p>
      <p class="op-said" role="status" data-testid="operator-said">${this.#said()}</p>
      ${this.#seen ? this.#seenTemplate(this.#seen, owners) : nothing}`;
  }

  /**
   * @param {Seen} seen
   * @param {import("./data.js").OwnerLoad[]} owners
   */
  #seenTemplate({ status, queue, owners: page, detail, wanted }, owners) {
    const { prefix, after, owner, cursor } = wanted;
    const pages = { earlier: after !== null, later: page.next !== undefined, detailEarlier: cursor !== null };
    return html`<div class="op-parts">
      <div>${healthTemplate(status)} ${failuresTemplate(status)}</div>
      <div>${runningTemplate(queue)} ${nextTemplate(queue)}</div>
      <div>${ownersTemplate({ ...pages, owners, prefix, open: owner, detail })}</div>
    </div>`;
  }
}
