// @ts-check
import { XinflightError } from "./protocol.js";

/** @typedef {import("./protocol.js").Answer} Answer */
/** @typedef {import("./protocol.js").ServerMessage} ServerMessage */

/** What a question ends with when its connection is lost before the answer; never shown, always asked again. */
export const DISCONNECTED = "disconnected";

/** Questions on the way and their direct answers, matched by `ref`. */
export class Answers {
  /** @type {Map<string, {resolve: (answer: Answer) => void, reject: (error: XinflightError) => void}>} */
  #waiting = new Map();
  #lastRef = 0;

  /**
   * Send a message and wait for its answer. Rejects with an `XinflightError`: the server's refusal, a frame over
   * `limit` bytes, or `DISCONNECTED`.
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
   * Take a message if it is an answer; false if it is not.
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

  /** The connection is gone: whatever was asked on it gets no answer. */
  fail() {
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const { reject } of waiting) reject(new XinflightError({ code: DISCONNECTED }));
  }
}
