// @ts-check
import { byId, keepFocus, showText } from "./dom.js";
import { errorText, isKey, onLang, plural, t } from "../words/words.js";

/** @typedef {import("../client/xinflight.js").XinflightError} XinflightError */
/** @typedef {import("../client/xinflight.js").Xinflight} Xinflight */

/** The close code of a server that stops or restarts. */
const RESTART = 1012;

/** How long the pill tells of a reconnect, in milliseconds. */
const TELL = 20_000;

/** The line to the server, the model server behind it, and what either has to say. */
export class StatusBar {
  #pill = byId("connection", HTMLElement);
  #connect = byId("connect", HTMLButtonElement);
  #upstream = byId("upstream", HTMLElement);
  #notice = byId("notice", HTMLElement);
  #client;
  /** @type {() => string} written anew when the language changes */
  #word = () => "";
  /** What the connection has to say beside being there. @type {() => string} */
  #news = () => "";
  #restarts = false;
  /** @type {number | undefined} */
  #timer;

  /** @param {Xinflight} client */
  constructor(client) {
    this.#client = client;
    client.on("status", (status) => {
      if (status.code === RESTART) this.#restarts = true;
      this.#tell(() => "");
    });
    client.on("resumed", (events) => this.#resumed(events));
    client.on("welcome", () => this.#say(() => ""));
    client.on("upstream", () => this.#showUpstream());
    client.on("problem", (error) => this.complain(error));
    client.on("notice", ({ kind, message }) => {
      if (kind === "draining") this.#say(() => t("notice.draining"));
      else if (kind === "host") this.#say(() => message);
    });
    this.#connect.addEventListener("click", () => client.connect());
    onLang(() => {
      this.#showStatus();
      this.#showUpstream();
      showText(this.#notice, this.#word());
    });
  }

  /** @param {XinflightError} error */
  complain(error) {
    this.#say(() => errorText(error));
  }

  /** @param {number | null} events that were missed */
  #resumed(events) {
    const restarted = this.#restarts;
    this.#restarts = false;
    this.#tell(() => {
      const what = caughtUpText(events);
      return restarted ? t("connection.restarted", { what }) : what;
    });
    this.#timer = setTimeout(() => this.#tell(() => ""), TELL);
  }

  /** @param {() => string} news */
  #tell(news) {
    clearTimeout(this.#timer);
    this.#news = news;
    this.#showStatus();
  }

  /** @param {() => string} word */
  #say(word) {
    this.#word = word;
    showText(this.#notice, word());
  }

  #showStatus() {
    const { state, seconds = 0, code = 0 } = this.#client.status;
    this.#pill.dataset.state = state;
    const key = state === "reconnecting" && this.#restarts ? "connection.restarting" : `connection.${state}`;
    this.#pill.textContent = this.#news() || t(isKey(key) ? key : "connection.connecting", { n: seconds });
    const hide = () => (this.#connect.hidden = state === "live" || state === "connecting");
    keepFocus(this.#connect, hide, () => this.#pill);
    if (state === "given_up") this.#say(() => t("connection.given_up_why", { why: closeWhy(code) }));
  }

  #showUpstream() {
    const upstream = this.#client.welcome?.upstream;
    this.#upstream.hidden = !upstream || upstream.state === "ready";
    if (!upstream) return;
    const key = `upstream.${upstream.state}`;
    this.#upstream.dataset.state = upstream.state;
    const [name, cure] = this.#upstream.children;
    if (name) name.textContent = isKey(key) ? t(key) : upstream.message;
    if (cure) cure.textContent = upstream.cure;
  }
}

/** @param {number | null} events that were missed; null: it can't be told */
function caughtUpText(events) {
  if (events === null) return t("connection.reloaded");
  return events === 0 ? t("connection.resumed_none") : plural("connection.resumed", events);
}

/** @param {number} code */
function closeWhy(code) {
  const key = `close.${code}`;
  return isKey(key) ? t(key) : t("close.other", { code });
}
