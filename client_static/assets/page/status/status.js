// @ts-check
import { byId, keepFocus, showText } from "../ui/dom.js";
import { errorText, isKey, onLang, plural, t } from "../../words/words.js";

/** @typedef {import("../../client/xinflight.js").Xinflight} Xinflight */

/** The close code for missing, invalid or revoked credentials. */
const UNAUTHORISED = 4401;

/** The close code that a server sends when it stops or restarts. */
const RESTART = 1012;

/** How long the connection pill shows what a reconnect recovered, in milliseconds. */
const TELL = 20_000;

/** The status bar: the connection, the state of the model server, and notices. */
export class StatusBar {
  #pill = byId("connection", HTMLElement);
  #connect = byId("connect", HTMLButtonElement);
  #upstream = byId("upstream", HTMLElement);
  #notice = byId("notice", HTMLElement);
  #client;
  /** The notice; a function, so that it can be shown again in another language. */
  #noticeText = () => "";
  /** A temporary text in place of the connection's state. */
  #news = () => "";
  #restarts = false;
  /** @type {number | undefined} */
  #timer;

  /**
   * @param {Xinflight} client
   * @param {() => void} signIn called by the button that otherwise connects
   */
  constructor(client, signIn) {
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
    this.#connect.addEventListener("click", () => (this.#signedOut ? signIn() : client.connect()));
    onLang(() => {
      this.#showStatus();
      this.#showUpstream();
      showText(this.#notice, this.#noticeText());
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

  /** Whether the server asks for other credentials, or this person has signed out. */
  get #signedOut() {
    const { state, code } = this.#client.status;
    return state === "given_up" && (code === undefined || code === UNAUTHORISED);
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

  /** Show a text in place of the connection's state; empty shows the state again. @param {() => string} news */
  #tell(news) {
    clearTimeout(this.#timer);
    this.#news = news;
    this.#showStatus();
  }

  /** Show a notice. @param {() => string} text */
  #say(text) {
    this.#noticeText = text;
    showText(this.#notice, text());
  }

  #showStatus() {
    const { state, seconds = 0, code = 0 } = this.#client.status;
    this.#pill.dataset.state = state;
    const restarting = state === "reconnecting" && this.#restarts;
    const key = this.#signedOut ? "connection.signed_out" : `connection.${restarting ? "restarting" : state}`;
    this.#connect.textContent = t(this.#signedOut ? "act.sign_in" : "act.connect");
    this.#pill.textContent = this.#news() || t(isKey(key) ? key : "connection.connecting", { n: seconds });
    const hide = () => (this.#connect.hidden = state === "live" || state === "connecting");
    keepFocus(this.#connect, hide, () => this.#pill);
    if (state === "given_up" && !this.#signedOut) this.#say(() => t("connection.given_up_why", { why: closeWhy(code) }));
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

/** @param {number | null} events number of missed events; null if unknown because of a gap */
function caughtUpText(events) {
  if (events === null) return t("connection.reloaded");
  return events === 0 ? t("connection.resumed_none") : plural("connection.resumed", events);
}

/** @param {number} code */
function closeWhy(code) {
  const key = `close.${code}`;
  return isKey(key) ? t(key) : t("close.other", { code });
}
