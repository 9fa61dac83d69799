// @ts-check
import { Emitter } from "./emitter.js";
import { SUBPROTOCOL, comesBack } from "./protocol.js";

/** @typedef {import("./protocol.js").ServerMessage} ServerMessage */
/** @typedef {import("./protocol.js").Welcome} Welcome */

/**
 * `seconds` until the next try while reconnecting; `code` of the close that ended the last connection.
 * @typedef {{state: "connecting"|"live"|"reconnecting"|"given_up", seconds?: number, code?: number}} Status
 */

const BACKOFF_FIRST = 500;
const BACKOFF_CAP = 30_000;
/** A connection that lived this long counts as a success: the next loss starts with a short pause again. */
const SETTLED = 10_000;
/** A socket that opened (or did not) and gave no welcome within this time is dropped. */
const WELCOME_WITHIN = 15_000;

/**
 * One WebSocket that comes back: full-jitter backoff, application pings, and nothing of the protocol but the
 * welcome, which carries the heartbeat.
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

  /** @param {() => string} url asked at every try, so that it may change in between */
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

  /** Connect now, also in the middle of a pause or after giving up; a live or opening connection is left alone. */
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

  /** Leave the present socket, if any, and begin anew at once. */
  restart() {
    if (this.#socket) this.#abandon();
    this.connect();
  }

  /**
   * Treat the peer as gone without waiting for its close frame, which a dead one never sends.
   * @param {number} code
   */
  drop(code) {
    if (this.#socket) this.#lost(code);
  }

  /**
   * Send one message; false when there is no live connection to send it on.
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
   * Ping, or give the peer up. Silence counts only against a ping that went out in it: a browser stretches the
   * timers of a hidden page to a minute and more, and that must not look like a dead peer.
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
    if (comesBack(code)) this.#pause(code);
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
   * Wait between nothing and twice the last bound, so that many clients of a restarted server don't return at once.
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
