// @ts-check
import { onLang, t } from "../../words/words.js";
import { byId, showText } from "../ui/dom.js";
import { exchange } from "./session.js";

/** @typedef {import("../../words/words.js").Key} Key */
/** @typedef {import("./session.js").Refusal} Refusal */

/**
 * How the server authenticates: `none` asks nobody, `anonymous` gives each browser an identity by a cookie, `token` has
 * this form, and `external` is a log-in in front of this page: a proxy's or the host application's.
 * @typedef {"none" | "anonymous" | "token" | "external"} Mode
 */

/** What the panel is shown for. @typedef {"first" | "again" | "link" | "out"} Why */

/**
 * `signedIn` is called when the server has accepted a token, `dismissed` when somebody does not want that of a link.
 * @typedef {{signedIn: () => void, dismissed: () => void}} SignInHost
 */

/** The panel above the page that asks for a token, or says how to sign in where there is no form. */
export class SignIn {
  #panel = byId("sign-in", HTMLElement);
  #form = byId("sign-in-form", HTMLFormElement);
  #why = byId("sign-in-why", HTMLElement);
  #token = byId("token", HTMLInputElement);
  #problem = byId("token-problem", HTMLElement);
  #submit = byId("sign-in-submit", HTMLButtonElement);
  #mode;
  #host;
  /** @type {Why} */
  #reason = "first";
  /** @type {Refusal | null} */
  #refusal = null;
  /** When the next attempt is allowed, on the clock of `performance`. */
  #until = 0;
  /** @type {number | undefined} */
  #timer;

  /**
   * @param {Mode} mode
   * @param {SignInHost} host
   */
  constructor(mode, host) {
    this.#mode = mode;
    this.#host = host;
    this.#form.hidden = mode !== "token";
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#send();
    });
    byId("sign-in-reload", HTMLButtonElement).hidden = mode === "token";
    byId("sign-in-reload", HTMLButtonElement).addEventListener("click", () => location.reload());
    byId("sign-in-dismiss", HTMLButtonElement).addEventListener("click", () => {
      this.hide();
      host.dismissed();
    });
    onLang(() => this.#render());
  }

  get shown() {
    return !this.#panel.hidden;
  }

  /** Whether the panel waits for somebody to confirm the token of a link, although they are signed in. */
  get confirming() {
    return this.shown && this.#reason === "link";
  }

  /**
   * Show the panel. It takes the focus unless somebody is typing, whose next characters would end in the token.
   * @param {Why} why
   * @param {string} [token] one that has to be confirmed
   */
  show(why, token = "") {
    this.#reason = why;
    this.#refusal = null;
    this.#token.value = token;
    this.#panel.hidden = false;
    this.#render();
    const at = document.activeElement;
    const typing = at instanceof HTMLTextAreaElement || at instanceof HTMLInputElement;
    if (!typing || !at.checkVisibility()) this.focus();
  }

  /** Move the focus to what has to be done first. */
  focus() {
    this.#panel.scrollIntoView({ block: "nearest" });
    if (this.#mode === "token") this.#token.focus();
    else byId("sign-in-reload", HTMLButtonElement).focus();
  }

  hide() {
    const focused = this.#panel.contains(document.activeElement);
    this.#token.value = "";
    this.#panel.hidden = true;
    clearInterval(this.#timer);
    if (focused) byId("prompt", HTMLTextAreaElement).focus();
  }

  /** Exchange a token that needs no confirmation; show the form if the server refuses it. @param {string} token */
  async accept(token) {
    const refusal = await exchange(token);
    if (refusal === null) {
      this.#host.signedIn();
      return;
    }
    this.show("first");
    this.#refuse(refusal);
  }

  async #send() {
    if (this.#submit.getAttribute("aria-disabled") === "true") return;
    const token = this.#token.value.trim();
    if (token === "") {
      this.#refuse({ code: "token_missing" });
      return;
    }
    this.#refusal = null;
    this.#busy(true);
    const refusal = await exchange(token);
    this.#busy(false);
    if (refusal !== null) {
      this.#refuse(refusal);
      return;
    }
    this.#reason = "first";
    this.#host.signedIn();
  }

  /** @param {Refusal} refusal */
  #refuse(refusal) {
    this.#refusal = refusal;
    this.#until = performance.now() + (refusal.retryAfter ?? 0) * 1000;
    clearInterval(this.#timer);
    if (refusal.retryAfter) this.#timer = setInterval(() => this.#count(), 250);
    this.#render();
    this.#token.select();
    this.#token.focus();
  }

  /** Count down the pause after too many wrong tokens in the button, which is not announced at every change. */
  #count() {
    const left = Math.ceil((this.#until - performance.now()) / 1000);
    if (left <= 0) clearInterval(this.#timer);
    this.#submit.setAttribute("aria-disabled", String(left > 0));
    this.#submit.textContent = left > 0 ? t("sign_in.wait", { n: left }) : t("sign_in.submit");
  }

  /** @param {boolean} busy */
  #busy(busy) {
    this.#render();
    this.#submit.setAttribute("aria-disabled", String(busy));
    if (busy) this.#submit.textContent = t("sign_in.checking");
  }

  #render() {
    this.#why.textContent = t(this.#mode === "token" ? `sign_in.${this.#reason}` : whyElsewhere(this.#mode));
    this.#problem.textContent = this.#refusal ? refusalText(this.#refusal) : "";
    if (this.#refusal) this.#token.setAttribute("aria-invalid", "true");
    else this.#token.removeAttribute("aria-invalid");
    showText(byId("sign-in-dismiss", HTMLElement), this.#reason === "link" ? t("sign_in.dismiss") : "");
    this.#count();
  }
}

/** @param {Mode} mode @returns {Key} */
function whyElsewhere(mode) {
  return mode === "anonymous" ? "sign_in.cookie" : "sign_in.external";
}

/** @param {Refusal} refusal */
function refusalText({ code, retryAfter }) {
  if (retryAfter) return t("sign_in.slowed", { n: Math.ceil(retryAfter) });
  if (code === "token_missing") return t("sign_in.missing");
  if (code === "unauthorised") return t("sign_in.wrong");
  if (code === "token_expired") return t("sign_in.expired");
  return t("sign_in.unreachable");
}
