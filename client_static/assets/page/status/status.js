// @ts-check
import { effect, signal } from "../../vendor/signals-core/signals-core.js";
import { errorText, isKey, onLang, t } from "../../words/words.js";
import { byId, keepFocus, showText } from "../ui/dom.js";
import { caughtUpText, closeWhy, healthOf, isSignedOut, lineText } from "./line_words.js";

/** @typedef {import("../../client/xinflight.js").Xinflight} Xinflight */

/** The close code that a server sends when it stops or restarts. */
const RESTART = 1012;

/** How long the chip shows what a reconnect recovered, in milliseconds. */
const TELL = 20_000;

/**
 * `signIn` is called by the button that otherwise connects, `say` for what is to be announced.
 * @typedef {{signIn: () => void, say: (text: string) => void}} StatusHost
 */

/** What is wrong with the model server, and what to do about it. @typedef {{title: string, cure: string}} Trouble */

/** The chip of the top bar, which joins connection, model server and model; what it opens; and notices below it. */
export class StatusBar {
  /** @type {import("../../vendor/signals-core/signals-core.js").Signal<Trouble | null>} null while all is well */
  trouble = signal(null);
  #chip = byId("connection", HTMLButtonElement);
  #connect = byId("connect", HTMLButtonElement);
  #title = byId("line-title", HTMLElement);
  #cure = byId("line-cure", HTMLElement);
  #models = byId("line-models", HTMLElement);
  #notice = byId("notice", HTMLElement);
  #noticeText = byId("notice-text", HTMLElement);
  #client;
  #model;
  /** The notice; a function, so that it can be shown again in another language. */
  #complaint = () => "";
  /** What is told in place of the state for a while. */
  #news = () => "";
  #restarts = false;
  /** What was announced of the model server last. */
  #told = "ready";
  /** @type {number | undefined} */
  #timer;

  /**
   * @param {Xinflight} client
   * @param {import("../../vendor/signals-core/signals-core.js").ReadonlySignal<string>} model that the dock or the chat asks; or empty
   * @param {StatusHost} host
   */
  constructor(client, model, { signIn, say }) {
    this.#client = client;
    this.#model = model;
    client.on("status", (status) => {
      if (status.code === RESTART) this.#restarts = true;
      this.#tell(() => "");
    });
    client.on("resumed", (events) => this.#resumed(events));
    client.on("welcome", () => this.#say(() => ""));
    client.on("models", () => this.#render());
    client.on("upstream", ({ state }) => {
      this.#render();
      const key = `upstream.${state}`;
      if (state !== this.#told && isKey(key)) say(t(key));
      this.#told = state;
    });
    client.on("problem", (error) => this.complain(error));
    client.on("notice", ({ kind, message }) => {
      if (kind === "draining") this.#say(() => t("notice.draining"));
      else if (kind === "host") this.#say(() => message);
    });
    this.#connect.addEventListener("click", () => (isSignedOut(client.status) ? signIn() : client.connect()));
    byId("notice-close", HTMLButtonElement).addEventListener("click", () => {
      keepFocus(this.#notice, () => this.clear(), () => this.#chip);
    });
    effect(() => {
      model.value;
      this.#render();
    });
    onLang(() => {
      this.#render();
      this.#say(this.#complaint);
    });
  }

  /** Show an error as a notice. @param {{code: string, message?: string, limit?: string}} error */
  complain(error) {
    this.#say(() => errorText(error));
  }

  /** Hide the notice. */
  clear() {
    this.#say(() => "");
  }

  /** @param {number | null} events number of missed events; null after a gap */
  #resumed(events) {
    const restarted = this.#restarts;
    this.#restarts = false;
    this.#tell(() => {
      const what = caughtUpText(events);
      return restarted ? t("connection.restarted", { what }) : what;
    });
    this.#timer = setTimeout(() => this.#tell(() => ""), TELL);
  }

  /** Tell something in place of the state; empty shows the state again. @param {() => string} news */
  #tell(news) {
    clearTimeout(this.#timer);
    this.#news = news;
    this.#render();
  }

  /** Show a notice. @param {() => string} text */
  #say(text) {
    this.#complaint = text;
    this.#noticeText.textContent = text();
    this.#notice.hidden = text() === "";
  }

  #render() {
    const { status, welcome } = this.#client;
    const upstream = welcome?.upstream.state ?? "ready";
    const line = { status, upstream, model: this.#model.value, restarting: this.#restarts, news: this.#news() };
    this.#chip.dataset.state = status.state;
    this.#chip.dataset.health = healthOf(line);
    const text = lineText(line);
    if (this.#chip.textContent !== text) this.#chip.textContent = this.#chip.title = text;
    this.#connect.textContent = t(isSignedOut(status) ? "act.sign_in" : "act.connect");
    const hide = () => (this.#connect.hidden = status.state === "live" || status.state === "connecting");
    keepFocus(this.#connect, hide, () => this.#chip);
    if (status.state === "given_up" && !isSignedOut(status)) {
      this.#say(() => t("connection.given_up_why", { why: closeWhy(status.code ?? 0) }));
    }
    this.#renderSheet(status.state === "live" ? upstream : "away", text);
  }

  /**
   * Show what the chip opens: how things stand in a sentence, what to do about it, and which models run.
   * @param {import("../../client/xinflight.js").Upstream["state"] | "away"} upstream
   * @param {string} text of the chip
   */
  #renderSheet(upstream, text) {
    const { welcome } = this.#client;
    const key = `upstream.${upstream}`;
    const title = isKey(key) ? t(key) : text;
    const cure = upstream === "away" ? t("line.kept") : (welcome?.upstream.cure ?? "");
    this.#title.textContent = title;
    showText(this.#cure, cure);
    const was = this.trouble.peek();
    if (upstream === "ready" || upstream === "away") this.trouble.value = null;
    else if (was?.title !== title || was.cure !== cure) this.trouble.value = { title, cure };
    const models = (welcome?.models ?? []).map(({ id }) => id).join(", ");
    // Those that were known last don't run while nobody answers for them.
    showText(this.#models, upstream === "ready" && models ? t("line.models", { models }) : "");
  }
}
