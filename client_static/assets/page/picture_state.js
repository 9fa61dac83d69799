// @ts-check

/** @typedef {import("../client/xinflight.js").ErrorMessage} ErrorMessage */
/** @typedef {import("../client/xinflight.js").PictureRef} PictureRef */
/** @typedef {import("../client/xinflight.js").Progress} Progress */
/** @typedef {import("../client/xinflight.js").UpstreamEnd} UpstreamEnd */

/**
 * What a cancel achieved, and in how many seconds, as far as it is known.
 * @typedef {{upstream: UpstreamEnd, seconds?: number}} Outcome
 */

/** @typedef {"offline"|"sending"|"accepted"|"active"|"done"|"failed"|"expired"|"cancelled"} Phase */

/** What is known of one picture. Nothing here touches the page. */
export class PictureState {
  /** @type {Phase} */
  phase = "offline";
  /** Whether a cancel was asked for. */
  cancelling = false;
  /** @type {Progress | null} the newest */
  progress = null;
  /** Percent to show: never falls within an attempt. */
  shown = 0;
  /** @type {PictureRef | null} */
  picture = null;
  /** @type {Pick<ErrorMessage, "code" | "message" | "limit"> | null} */
  error = null;
  /** @type {Outcome | null} */
  outcome = null;
  #attempt = 1;
  /** @type {number | null} when the newest progress came, in milliseconds; null where the line broke since */
  #heardAt = null;

  get ended() {
    return this.phase === "done" || this.stopped;
  }

  /** Ended without a picture. */
  get stopped() {
    return this.phase === "failed" || this.phase === "expired" || this.phase === "cancelled";
  }

  get attempt() {
    return this.#attempt;
  }

  /** Not yet being computed. */
  get waiting() {
    return !this.ended && (this.progress === null || this.progress.state === "queued");
  }

  /**
   * The line came or went. A request that nobody has taken yet goes out, or has to wait for the line; without one
   * nothing is known of the time left, nor afterwards until the server tells.
   * @param {boolean} live
   */
  line(live) {
    if (!live) this.#heardAt = null;
    if (this.phase === "offline" || this.phase === "sending") this.phase = live ? "sending" : "offline";
  }

  acknowledged() {
    if (this.phase === "offline" || this.phase === "sending") this.phase = "accepted";
  }

  /**
   * @param {Progress} progress
   * @param {number} now in milliseconds
   */
  advance(progress, now) {
    if (progress.state === "cancelled") this.cancel(progress.details ?? {});
    else if (progress.state === "failed" || progress.state === "expired") this.fail(null, progress.state);
    if (this.ended) return;
    const attempt = progress.details?.attempt ?? 1;
    // Back in the queue, the attempt before is over, and the next one begins at nothing.
    const anew = attempt > this.#attempt || progress.state === "queued";
    this.shown = anew ? progress.progress : Math.max(this.shown, progress.progress);
    this.#attempt = Math.max(attempt, this.#attempt);
    this.#heardAt = now;
    this.progress = progress;
    this.phase = "active";
    if (progress.state === "cancelling") this.cancelling = true;
  }

  /** A picture counts whatever was said before: a cancel may cross it. @param {PictureRef} picture */
  finish(picture) {
    this.phase = "done";
    this.picture = picture;
    this.shown = 100;
  }

  /**
   * A picture of several fails without its reason, which comes with the end of the task.
   * @param {Pick<ErrorMessage, "code" | "message" | "limit"> | null} error
   * @param {"failed" | "expired"} phase
   */
  fail(error, phase) {
    if (!this.ended) this.phase = phase;
    if (this.phase === "failed" || this.phase === "expired") this.error = error;
  }

  /** What it achieved may come later, or never; once told it stands. @param {Partial<Outcome>} outcome of this picture */
  cancel({ upstream, seconds }) {
    if (!this.ended) this.phase = "cancelled";
    if (this.phase === "cancelled" && upstream) this.outcome ??= { upstream, seconds };
  }

  /**
   * The whole task ends as cancelled. That tells the worst of its pictures, so it says nothing of one that has its own
   * end already, nor of one among several that was waiting when another had to be stopped.
   * @param {Partial<Outcome>} worst
   * @param {number} count of the task's pictures
   */
  cancelWithTask(worst, count) {
    if (this.ended) return;
    const own = count === 1 || !this.waiting || worst.upstream === "never_started";
    this.cancel(own ? worst : {});
  }

  /**
   * Seconds until the picture is there, counted down since the server said so; null when nobody knows.
   * @param {number} now in milliseconds
   */
  remaining(now) {
    const told = this.progress?.estimated_time;
    if (this.phase !== "active" || this.cancelling || told === undefined || this.#heardAt === null) return null;
    return Math.max(0, told - (now - this.#heardAt) / 1000);
  }
}
