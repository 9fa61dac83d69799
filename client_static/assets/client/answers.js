// @ts-check
import { XinflightError } from "./protocol.js";

/** @typedef {import("./protocol.js").Answer} Answer */
/** @typedef {import("./protocol.js").ServerMessage} ServerMessage */

/**
 * Error code of a request whose connection was lost before the reply. The caller sends it again; people never see it.
 */
export const DISCONNECTED = "disconnected";

/** Pending requests. Matches each reply to its request by `ref`. */
export class Answers {
  /** @type {Map<string, {resolve: (answer: Answer) => void, reject: (error: XinflightError) => void}>} */
  #waiting = new Map();
  #lastRef = 0;

  /**
   * Send a request and wait for its reply. Rejects with an `XinflightError`: the server's refusal, `frame_too_large`
   * for a frame over `limit` bytes (it is not sent), or `DISCONNECTED`.
   * @param {object} message
   * @param {(text: string) => boolean} send
   * @param {number} limit
   * @returns {Promise<Answer>}
   */
  ask(message, send, limit) {
    const ref = String(++this.#lastRef);
    const text = JSON.stringify({ ...message, ref });
    return new Promise((resolve, reject) => {
      if (new TextEncoder().encode(text).length > limit) {
        reject(new XinflightError({ code: "frame_too_large", limit: String(limit) }));
      } else if (send(text)) {
        this.#waiting.set(ref, { resolve, reject });
      } else reject(new XinflightError({ code: DISCONNECTED }));
    });
  }

  /**
   * Settle the request that a message replies to. Returns false if the message is not a reply.
   * @param {ServerMessage} message
   */
  take(message) {
    if (!("ref" in message) || message.ref === undefined) return false;
    const waiting = this.#waiting.get(message.ref);
    this.#waiting.delete(message.ref);
    if (message.type === "error") waiting?.reject(new XinflightError(message));
    else waiting?.resolve(message);
    return true;
  }

  /** Reject every pending request as disconnected. Call when the connection is lost. */
  fail() {
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const { reject } of waiting) reject(new XinflightError({ code: DISCONNECTED }));
  }
}
