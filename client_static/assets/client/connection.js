// @ts-check
import { Emitter } from "./emitter.js";
import { SUBPROTOCOL, reconnects } from "./protocol.js";

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
/** Milliseconds within which a socket must open and deliver its `welcome`. */
const WELCOME_WITHIN = 15_000;

/**
 * A WebSocket that reconnects, with full-jitter backoff and application-level pings. Of the protocol it knows only
 * `welcome`, which carries the heartbeat.
 * @extends {Emitter<{status: Status, welcome: Welcome, message: ServerMessage, lost: number}>}
 */
export class Connection extends Emitter {
  /** @type {WebSocket | null} */
  #socket = null;
  /** @type {() => string} */
  #url;
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

  /** @param {() => string} url called at every attempt, so that the address may change */
  constructor(url) {
    super();
    this.#url = url;
  }

  get status() {
    return this.#status;
  }

  get live() {
    return this.#status.state === "live";
  }

  /** Connect now, also during a pause or after giving up. Does nothing if a socket is open or opening. */
  connect() {
    if (this.#socket) return;
    this.#stopTimers();
    this.#set({ state: "connecting" });
    const socket = new WebSocket(this.#url(), [SUBPROTOCOL]);
    this.#socket = socket;
    socket.onmessage = (event) => this.#hear(event.data);
    socket.onclose = (event) => this.#lost(event.code);
    this.#timer = setTimeout(() => this.drop(1006), WELCOME_WITHIN);
  }

  /** Close the current socket, if any, and connect again immediately. */
  restart() {
    if (this.#socket) this.#abandon();
    this.connect();
  }

  /**
   * Drop the connection without waiting for a close frame, which a dead peer never sends.
   * @param {number} code
   */
  drop(code) {
    if (this.#socket) this.#lost(code);
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

  #abandon() {
    this.#stopTimers();
    const socket = this.#socket;
    this.#socket = null;
    if (!socket) return;
    socket.onmessage = socket.onclose = null;
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
