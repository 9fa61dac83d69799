// @ts-check
import { onLang, t } from "../../words/words.js";
import { byId, showText } from "../ui/dom.js";
import { endSession } from "./session.js";
import { SignIn } from "./sign_in.js";

/** @typedef {import("./session.js").Refusal} Refusal */
/** @typedef {import("./sign_in.js").Mode} Mode */
/** @typedef {import("../../client/xinflight.js").Xinflight} Xinflight */

/**
 * `forget` removes all that belongs to the former owner from the page and from the storage of the tab; the client's
 * tasks are removed already. `failed` is called if the server could not be asked to sign out.
 * @typedef {object} AccountHost
 * @property {() => void} forget
 * @property {(refusal: Refusal) => void} failed
 */

/** What tabs tell each other. */
const SIGNED_IN = "signed in";
const SIGNED_OUT = "signed out";

/** Who is signed in, and the ways in and out. Nothing of it is shown in the mode `none`. */
export class Account {
  #client;
  #host;
  #mode;
  #signIn;
  #who = byId("who", HTMLElement);
  #signOut = byId("sign-out", HTMLButtonElement);
  #rooms = byId("rooms", HTMLElement);
  #others;
  /** The owner whose tasks the page shows. @type {string | null} */
  #owner = null;

  /**
   * @param {Xinflight} client
   * @param {Mode} mode
   * @param {string} key distinguishes this server from others at the same origin
   * @param {AccountHost} host
   */
  constructor(client, mode, key, host) {
    this.#client = client;
    this.#mode = mode;
    this.#host = host;
    this.#signIn = new SignIn(mode, {
      // The panel is hidden by the next `welcome`: only then is there something else to move the focus to.
      signedIn: () => this.#signedIn(),
      dismissed: () => client.connect(),
    });
    // The other tabs of this browser have the same cookie, and must not show what belongs to somebody else.
    this.#others = new BroadcastChannel(`xinflight.account ${key}`);
    this.#others.onmessage = ({ data }) => (data === SIGNED_IN ? client.reconnect() : this.#leave());
    client.on("welcome", ({ owner }) => this.#welcome(owner));
    client.on("unauthorised", () => this.#ask());
    this.#signOut.addEventListener("click", () => this.#end());
    onLang(() => this.#name());
  }

  /** Move the focus to the form. */
  focus() {
    this.#signIn.focus();
  }

  /**
   * Connect, first with the token of the page's address if there is one.
   * @param {string | null} token
   * @param {boolean} trusted whether the address was opened by the person and not by a link on another website, which
   *   could sign them in as somebody else
   */
  async begin(token, trusted) {
    if (this.#mode !== "token" || token === null) this.#client.connect();
    else if (trusted) await this.#signIn.accept(token);
    else this.confirm(token);
  }

  /** Ask whether to use a token that a link brought. @param {string} token */
  confirm(token) {
    if (this.#mode !== "token") return;
    this.#client.connect();
    this.#signIn.show("link", token);
  }

  /** @param {string} owner */
  #welcome(owner) {
    if (this.#owner !== null && this.#owner !== owner) this.#host.forget();
    this.#owner = owner;
    this.#rooms.hidden = false;
    if (this.#signIn.shown && !this.#signIn.confirming) this.#signIn.hide();
    this.#signOut.hidden = this.#mode !== "token";
    this.#name();
  }

  /** Show who is signed in. An anonymous identity is a random number, which says nothing to anybody. */
  #name() {
    const named = this.#mode === "token" || this.#mode === "external";
    showText(this.#who, named && this.#owner !== null ? this.#owner : "");
    this.#who.title = this.#owner === null ? "" : t("account.who", { owner: this.#owner });
  }

  /** Ask for credentials. What was typed and what is shown stays: they may be the same person's. */
  #ask() {
    if (this.#mode === "none") return;
    this.#rooms.hidden = this.#owner === null;
    this.#signOut.hidden = true;
    if (this.#signIn.confirming) return;
    this.#signIn.show(this.#owner === null ? "first" : "again");
  }

  #signedIn() {
    this.#others.postMessage(SIGNED_IN);
    this.#client.reconnect();
  }

  async #end() {
    const refusal = await endSession();
    if (refusal !== null) {
      this.#host.failed(refusal);
      return;
    }
    this.#others.postMessage(SIGNED_OUT);
    this.#leave();
  }

  /** Forget everything of the owner who signed out. */
  #leave() {
    this.#client.reset();
    this.#host.forget();
    this.#owner = null;
    this.#rooms.hidden = true;
    this.#signOut.hidden = true;
    this.#name();
    this.#signIn.show("out");
  }
}
