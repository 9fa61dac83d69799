// @ts-check
import { DISCONNECTED } from "./answers.js";
import { XinflightError } from "./protocol.js";

/** @typedef {import("./connection.js").TokenSource} TokenSource */

/** Milliseconds within which a second reconnect for the sake of a cookie would not get a newer one. */
const COOKIE_TRIED = 120_000;

/**
 * @typedef {object} CredentialsHost
 * @property {(message: {action: "authenticate", token: string}) => Promise<unknown>} ask
 * @property {() => void} reconnect
 * @property {(error: XinflightError) => void} problem
 */

/** Renews the credentials of a connection before they expire. If that fails, the server closes the connection in time. */
export class Credentials {
  #token;
  #host;
  #cookieTried = -Infinity;

  /**
   * @param {TokenSource | null} token without one, cookies authenticate
   * @param {CredentialsHost} host
   */
  constructor(token, host) {
    this.#token = token;
    this.#host = host;
  }

  /** Send a fresh token, or without a token function reconnect once: the server renews its cookie in the handshake. */
  async renew() {
    if (typeof this.#token === "function") {
      try {
        await this.#host.ask({ action: "authenticate", token: await this.#token() });
      } catch (error) {
        this.failed(error);
      }
    } else if (this.#token === null && performance.now() - this.#cookieTried > COOKIE_TRIED) {
      this.#cookieTried = performance.now();
      this.#host.reconnect();
    }
  }

  /** @param {unknown} error thrown by the token function, or a refusal of what it returned */
  failed(error) {
    if (!(error instanceof XinflightError)) {
      this.#host.problem(new XinflightError({ code: "token_unavailable", message: String(error) }));
    } else if (error.code !== DISCONNECTED) this.#host.problem(error);
  }
}
