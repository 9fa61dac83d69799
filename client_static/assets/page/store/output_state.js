// @ts-check
import { Estimate } from "../../client/xinflight.js";

/** @typedef {import("../../client/xinflight.js").ErrorMessage} ErrorMessage */
/** @typedef {import("../../client/xinflight.js").OutputRef} OutputRef */
/** @typedef {import("../../client/xinflight.js").Progress} Progress */
/** @typedef {import("../../client/xinflight.js").QueuedOutput} QueuedOutput */
/** @typedef {import("../../client/xinflight.js").UpstreamEnd} UpstreamEnd */

/**
 * What a cancel achieved upstream, and after how many seconds, if known.
 * @typedef {{upstream: UpstreamEnd, seconds?: number}} Outcome
 */

/** @typedef {"offline"|"sending"|"accepted"|"active"|"done"|"failed"|"expired"|"cancelled"} Phase */

/** The state of one output as the page shows it. It does not use the DOM. */
export class OutputState {
  /** @type {Phase} */
  phase = "offline";
  /** Whether a cancel was requested. */
  cancelling = false;
  /** @type {Progress | null} the latest snapshot */
  progress = null;
  /** @type {OutputRef | null} */
  output = null;
  /** @type {Pick<ErrorMessage, "code" | "message" | "limit"> | null} */
  error = null;
  /** @type {Outcome | null} */
  outcome = null;
  #estimate = new Estimate();
  /** @type {number | null} when the latest progress was told, in milliseconds; null after a disconnect */
  #heardAt = null;
  /** @type {number | null} when the latest news of it came, in milliseconds, while there is no connection */
  #lostAt = null;
  #newsAt = 0;

  get ended() {
    return this.phase === "done" || this.stopped;
  }

  /** Ended without an output. */
  get stopped() {
    return this.failed || this.phase === "cancelled";
  }

  /** Ended without an output, and nobody wanted that. */
  get failed() {
    return this.phase === "failed" || this.phase === "expired";
  }

  get attempt() {
    return this.#estimate.attempt;
  }

  /** Percent as the server told it; it never falls within an attempt. */
  get shown() {
    return this.phase === "done" ? 100 : this.#estimate.told;
  }

  /**
   * Return the percentage to show now, and whether it is an estimate.
   * @param {number} now in milliseconds
   * @returns {import("../../client/xinflight.js").Shown}
   */
  shownAt(now) {
    return this.ended ? { percent: this.shown, estimate: false } : this.#estimate.at(now);
  }

  /** Not being computed yet. */
  get waiting() {
    return !this.ended && (this.progress === null || this.progress.state === "queued");
  }

  /** Whether its steps are done: how long the rest takes is rarely known, and rarely long. */
  get nearly() {
    return this.progress?.step === "decoding";
  }

  /**
   * Update after a connect or a disconnect. A request without an `ack` is sent, or waits for a connection. While
   * offline the time left is unknown, and stays so until the next progress.
   * @param {boolean} live
   * @param {number} now in milliseconds
   */
  setLive(live, now) {
    this.#lostAt = live || this.phase !== "active" ? null : (this.#lostAt ?? this.#newsAt);
    if (!live) {
      this.#heardAt = null;
      this.#estimate.hold(now);
    }
    if (this.phase === "offline" || this.phase === "sending") this.phase = live ? "sending" : "offline";
  }

  acknowledged() {
    if (this.phase === "offline" || this.phase === "sending") this.phase = "accepted";
  }

  /**
   * @param {Progress} progress
   * @param {number} now in milliseconds
   * @param {number} [age] seconds since the server found that
   */
  advance(progress, now, age = 0) {
    if (progress.state === "cancelled") this.cancel(progress.details ?? {});
    else if (progress.state === "failed" || progress.state === "expired") this.fail(null, progress.state);
    if (this.ended) return;
    this.#estimate.take(progress, now, age);
    this.#newsAt = this.#heardAt = now - age * 1000;
    this.progress = progress;
    this.phase = "active";
    if (progress.state === "cancelling") this.cancelling = true;
  }

  /**
   * Take over the place of a waiting output; undefined if it is not known.
   * @param {QueuedOutput | undefined} place
   * @param {number} now in milliseconds
   */
  place(place, now) {
    if (this.ended || this.progress?.state !== "queued") return;
    const { position, estimated_time } = place ?? {};
    const step = place ? (place.step ?? "queued") : this.progress.step;
    this.progress = { ...this.progress, position, estimated_time, step };
    this.#heardAt = now;
  }

  /** Mark the output as made and deleted since: there is nothing to show. */
  vanish() {
    this.phase = "done";
    this.output = null;
  }

  /** Store the output, even after a cancel: the two may cross on the wire. @param {OutputRef} output */
  finish(output) {
    this.phase = "done";
    this.output = output;
  }

  /**
   * Mark the output as failed. If it is one of several, its error is null at first and comes with the task's end.
   * @param {Pick<ErrorMessage, "code" | "message" | "limit"> | null} error
   * @param {"failed" | "expired"} phase
   */
  fail(error, phase) {
    if (!this.ended) this.phase = phase;
    if (this.failed) this.error = error;
  }

  /**
   * Mark the output as cancelled. The outcome may arrive later or never; the first one counts.
   * @param {Partial<Outcome>} outcome
   */
  cancel({ upstream, seconds }) {
    if (!this.ended) this.phase = "cancelled";
    if (this.phase === "cancelled" && upstream) this.outcome ??= { upstream, seconds };
  }

  /**
   * Apply the end of a cancelled task. It carries only the worst outcome of all outputs, so it is not applied to an
   * output that has ended already, nor to one of several that was still waiting (unless none of them had started).
   * @param {Partial<Outcome>} worst
   * @param {number} count number of the task's outputs
   */
  cancelWithTask(worst, count) {
    if (this.ended) return;
    const own = count === 1 || !this.waiting || worst.upstream === "never_started";
    this.cancel(own ? worst : {});
  }

  /**
   * Return the seconds since something was heard of an output in flight, while there is no connection; else null.
   * @param {number} now in milliseconds
   */
  lostFor(now) {
    return this.#lostAt === null || this.ended ? null : Math.max(0, now - this.#lostAt) / 1000;
  }

  /**
   * Return the seconds until the output is ready, counted down from the latest estimate; null if unknown.
   * @param {number} now in milliseconds
   */
  remaining(now) {
    const told = this.progress?.estimated_time;
    if (this.phase !== "active" || this.cancelling || told === undefined || this.#heardAt === null) return null;
    return Math.max(0, told - (now - this.#heardAt) / 1000);
  }
}
