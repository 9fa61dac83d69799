// @ts-check
import { Emitter } from "./emitter.js";
import { EXPIRED, SUBPROTOCOL, UNAUTHORISED, reconnects } from "./protocol.js";

/** @typedef {import("./protocol.js").ServerMessage} ServerMessage */
/** @typedef {import("./protocol.js").Welcome} Welcome */

/**
 * `seconds` until the next attempt while reconnecting; `code` is the close code of the last connection.
 * @typedef {{state: "connecting"|"live"|"reconnecting"|"given_up", seconds?: number, code?: number}} Status
 */

/** Upper bounds of the random pause before the first and before any later attempt, in milliseconds. */
const BACKOFF_FIRST = 500;
const BACKOFF_CAP = 30_000;
/** Milliseconds after which a connection counts as stable: the backoff starts over after it. */
const SETTLED = 10_000;
/** Milliseconds within which the token must be there, and the socket must open and deliver its `welcome`. */
const WELCOME_WITHIN = 15_000;

/**
 * Why the server does not accept this client: the close code and its reason. Code 0: there was no token to send.
 * @typedef {{code: number, reason: string}} Unauthorised
 */

/** A token, or a function that returns a valid one. @typedef {string | (() => string | Promise<string>)} TokenSource */

/**
 * A WebSocket that reconnects, with full-jitter backoff and application-level pings. Of the protocol it knows only how a
 * connection begins: `authenticate`, and `welcome`, which carries the heartbeat. `tokenFailed` has what the token
 * function threw; it is called again after the next pause.
 * @extends {Emitter<{status: Status, welcome: Welcome, message: ServerMessage, lost: number,
 *   unauthorised: Unauthorised, tokenFailed: unknown}>}
 */
export class Connection extends Emitter {
  /** @type {WebSocket | null} */
  #socket = null;
  /** The current attempt to connect, or the current connection; null between two of them. @type {object | null} */
  #attempt = null;
  /** @type {() => string} */
  #url;
  /** @type {TokenSource | null} */
  #token;
  /** @type {Status} */
  #status = { state: "connecting" };
  #failures = 0;
  #heartbeat = 25_000;
  #liveSince = 0;
  #lastHeard = 0;
  #lastPing = 0;
  /** @type {number | undefined} */
  #timer;
  /** @type {number | undefined} */
  #pulse;

  /**
   * @param {() => string} url called at every attempt, so that the address may change
   * @param {TokenSource | null} [token] a function is called at every attempt; without it, cookies authenticate
   */
  constructor(url, token = null) {
    super();
    this.#url = url;
    this.#token = token;
  }

  get status() {
    return this.#status;
  }

  get live() {
    return this.#status.state === "live";
  }

  /** Connect now, also during a pause or after giving up. Does nothing if a socket is open or opening. */
  connect() {
    if (this.#attempt) return;
    this.#stopTimers();
    this.#set({ state: "connecting" });
    this.#timer = setTimeout(() => this.drop(1006), WELCOME_WITHIN);
    const attempt = (this.#attempt = {});
    // Any message but `authenticate` makes the server refuse at once, instead of waiting for a token, if the cookies
    // don't authenticate this client.
    if (this.#token === null) this.#open({ action: "ping" });
    else this.#authenticate(this.#token, attempt);
  }

  /**
   * Open a socket and send the token first.
   * @param {TokenSource} source
   * @param {object} attempt
   */
  async #authenticate(source, attempt) {
    let token = "";
    try {
      token = typeof source === "string" ? source : await source();
    } catch (error) {
      if (this.#attempt !== attempt) return;
      this.emit("tokenFailed", error);
      this.drop(1006);
      return;
    }
    if (this.#attempt !== attempt) return;
    if (token) this.#open({ action: "authenticate", token });
    else this.#refused({ code: 0, reason: "no token" });
  }

  /** @param {object} first the first message */
  #open(first) {
    const socket = new WebSocket(this.#url(), [SUBPROTOCOL]);
    this.#socket = socket;
    socket.onopen = () => socket.send(JSON.stringify(first));
    socket.onmessage = (event) => this.#hear(event.data);
    socket.onclose = ({ code, reason }) => {
      const noOther = code === EXPIRED && typeof this.#token === "string";
      if (code === UNAUTHORISED || noOther) this.#refused({ code, reason });
      else this.#lost(code);
    };
  }

  /** Close the current socket, if any, and connect again immediately. */
  restart() {
    this.#abandon();
    this.connect();
  }

  /**
   * Drop the connection without waiting for a close frame, which a dead peer never sends.
   * @param {number} code
   */
  drop(code) {
    if (this.#attempt) this.#lost(code);
  }

  /** Close the connection and stay disconnected until `connect`. */
  close() {
    this.#abandon();
    this.#set({ state: "given_up" });
    this.emit("lost", 1000);
  }

  /**
   * Send a message. Returns false if there is no live connection.
   * @param {string} text
   */
  send(text) {
    if (!this.live || this.#socket?.readyState !== WebSocket.OPEN) return false;
    this.#socket.send(text);
    return true;
  }

  /** @param {unknown} data */
  #hear(data) {
    this.#lastHeard = performance.now();
    if (typeof data !== "string") return;
    /** @type {ServerMessage} */
    const message = JSON.parse(data);
    if (message.type === "welcome") this.#begin(message);
    else this.emit("message", message);
  }

  /** @param {Welcome} welcome */
  #begin(welcome) {
    this.#stopTimers();
    this.#heartbeat = welcome.heartbeat * 1000;
    this.#liveSince = performance.now();
    this.#lastPing = 0;
    this.#pulse = setInterval(() => this.#beat(), this.#heartbeat);
    this.#set({ state: "live" });
    this.emit("welcome", welcome);
  }

  /**
   * Send a ping, or drop a peer that did not answer the last one. Silence without a ping does not count: browsers delay
   * the timers of hidden pages by a minute and more, which must not look like a dead peer.
   */
  #beat() {
    const now = performance.now();
    const unanswered = this.#lastPing > this.#lastHeard;
    if (unanswered && now - this.#lastHeard >= 2 * this.#heartbeat - 100) {
      this.drop(1006);
      return;
    }
    if (!unanswered) this.#lastPing = now;
    this.send(JSON.stringify({ action: "ping" }));
  }

  /** @param {number} code */
  #lost(code) {
    const lived = this.live ? performance.now() - this.#liveSince : 0;
    this.#abandon();
    if (lived > SETTLED) this.#failures = 0;
    if (reconnects(code)) this.#pause(code);
    else this.#set({ state: "given_up", code });
    this.emit("lost", code);
  }

  /** Stay disconnected, since the same attempt would fail again. @param {Unauthorised} why */
  #refused(why) {
    this.#abandon();
    this.#set({ state: "given_up", code: UNAUTHORISED });
    this.emit("lost", UNAUTHORISED);
    this.emit("unauthorised", why);
  }

  #abandon() {
    this.#stopTimers();
    const socket = this.#socket;
    this.#attempt = this.#socket = null;
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
  }

  /**
   * Wait a random time below a bound that doubles with each failure, so that the clients of a restarted server don't
   * all reconnect at once.
   * @param {number} code
   */
  #pause(code) {
    const bound = Math.min(BACKOFF_CAP, BACKOFF_FIRST * 2 ** this.#failures);
    this.#failures += 1;
    const until = performance.now() + Math.random() * bound;
    const wait = () => {
      const left = until - performance.now();
      if (left <= 0) {
        this.connect();
        return;
      }
      this.#set({ state: "reconnecting", seconds: Math.ceil(left / 1000), code });
      this.#timer = setTimeout(wait, Math.min(left, left % 1000 || 1000));
    };
    wait();
  }

  #stopTimers() {
    clearTimeout(this.#timer);
    clearInterval(this.#pulse);
  }

  /** @param {Status} status */
  #set(status) {
    this.#status = status;
    this.emit("status", status);
  }
}
