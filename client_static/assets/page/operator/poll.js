// @ts-check

/** Milliseconds between an answer and the next question. */
const PAUSE = 2000;

/**
 * Asks again and again while it is on, one question after the other.
 * @template T
 */
export class Poll {
  #ask;
  #host;
  /** Rises with each question: the answer to an older one is dropped. */
  #asked = 0;
  #on = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /**
   * @param {() => Promise<T>} ask
   * @param {{got: (seen: T) => void, failed: (error: Error) => void}} host
   */
  constructor(ask, host) {
    this.#ask = ask;
    this.#host = host;
  }

  /** Ask now, and go on. */
  start() {
    this.#on = true;
    void this.#turn();
  }

  /** Ask no more; an answer that comes later is dropped. */
  stop() {
    this.#on = false;
    this.#asked += 1;
    clearTimeout(this.#timer);
  }

  async #turn() {
    clearTimeout(this.#timer);
    this.#asked += 1;
    const asked = this.#asked;
    try {
      const seen = await this.#ask();
      if (asked === this.#asked) this.#host.got(seen);
    } catch (error) {
      if (asked === this.#asked) this.#host.failed(/** @type {Error} */ (error));
    }
    if (this.#on && asked === this.#asked) this.#timer = setTimeout(() => this.#turn(), PAUSE);
  }
}
