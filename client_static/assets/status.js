// @ts-check
import { byId, keepFocus, showText } from "./dom.js";
import { errorText, isKey, onLang, t } from "./words.js";

/** @typedef {import("./xinflight.js").Xinflight} Xinflight */

/** The line to the server, the model server behind it, and what either has to say. */
export class StatusBar {
  #pill = byId("connection", HTMLElement);
  #connect = byId("connect", HTMLButtonElement);
  #upstream = byId("upstream", HTMLElement);
  #notice = byId("notice", HTMLElement);
  #client;
  /** @type {() => string} written anew when the language changes */
  #word = () => "";

  /** @param {Xinflight} client */
  constructor(client) {
    this.#client = client;
    client.on("status", () => this.#showStatus());
    client.on("welcome", () => this.#say(() => ""));
    client.on("upstream", () => this.#showUpstream());
    client.on("problem", (error) => this.#say(() => errorText(error)));
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

  /** @param {() => string} word */
  #say(word) {
    this.#word = word;
    showText(this.#notice, word());
  }

  #showStatus() {
    const { state, seconds = 0, code = 0 } = this.#client.status;
    this.#pill.dataset.state = state;
    this.#pill.textContent = t(`connection.${state}`, { n: seconds });
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

/** @param {number} code */
function closeWhy(code) {
  const key = `close.${code}`;
  return isKey(key) ? t(key) : t("close.other", { code });
}
