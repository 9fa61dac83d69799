// @ts-check
import { eventsOf } from "../../client/xinflight.js";
import { errorText, t } from "../../words/words.js";
import { signal } from "../../vendor/signals-core/signals-core.js";
import { tileName } from "./output_words.js";
import { OutputState } from "./output_state.js";
import { withChanges } from "./tag_changes.js";

/** @typedef {import("../../client/xinflight.js").End} End */
/** @typedef {import("../../client/xinflight.js").OutputRef} OutputRef */
/** @typedef {import("../../client/xinflight.js").Task} Task */
/** @typedef {import("../../client/xinflight.js").TaskEvent} TaskEvent */

/** @typedef {"ready" | "failed" | "cancelled" | "progress"} News */

/**
 * Called after each change of a generation, after one of its marks, and for each change of an output that should be
 * announced.
 * @typedef {object} GenerationListener
 * @property {(generation: GenerationState) => void} changed
 * @property {() => void} marked
 * @property {(output: GenerationOutput, what: News) => void} news
 */

/** One output of a generation: its place in it and its state. */
export class GenerationOutput {
  state = new OutputState();
  /** Why the server refused to cancel it, in words; empty if it did not. */
  cancelRefused = "";
  /** @type {import("./kept_marks.js").Note | null} what was noted of it and is not sent yet */
  #noted = null;
  generation;
  index;

  /**
   * @param {GenerationState} generation
   * @param {number} index
   */
  constructor(generation, index) {
    this.generation = generation;
    this.index = index;
  }

  /** An id that no other output of this person has. */
  get key() {
    return `${this.generation.task.id}/${this.index}`;
  }

  /** What it is called where it is not seen. */
  get name() {
    return tileName(this.generation.prompt, this.index, this.generation.outputs.length);
  }

  /** What this person noted of it. */
  get #marks() {
    return this.generation.task.marks.get(this.index);
  }

  get starred() {
    return this.#noted?.starred ?? this.#marks?.starred === true;
  }

  get tags() {
    const { tags = [] } = this.#marks ?? {};
    return this.#noted ? withChanges(tags, this.#noted) : tags;
  }

  /** Show what is noted of it and not sent yet; null for nothing. @param {import("./kept_marks.js").Note | null} note */
  note(note) {
    this.#noted = note;
    this.generation.marked();
  }

  /** Whether it was made and deleted since. It may come back. */
  get deleted() {
    return this.#noted?.deleted === true || this.#marks?.deleted === true || (this.state.phase === "done" && this.state.output === null);
  }

  /** Whether it has a tile. What was cancelled has none: its toast has told what became of it. */
  get shown() {
    return this.state.phase !== "cancelled" && !this.deleted && !this.generation.cleared && !this.generation.dismissed;
  }

  /** Whether it is a video, as far as is known. */
  get isVideo() {
    return this.state.output?.media_type.startsWith("video/") === true;
  }
}

/**
 * A task that makes images or videos, and the state of each of its outputs: the one place from which sheet, board and
 * title read it. Read `revision.value` in an effect to run it again after a change. It does not use the DOM.
 */
export class GenerationState {
  /** Counts the changes. The store sets it, for many changes at once. */
  revision = signal(0);
  /** @type {GenerationOutput[]} */
  outputs = [];
  task;
  /** Whether this person has just deleted it, and may still undo that. */
  dismissed = false;
  #listener;
  /** True while the constructor replays known events, which must not be announced. */
  #quiet = true;

  /**
   * @param {Task} task
   * @param {GenerationListener} listener
   * @param {boolean} live
   */
  constructor(task, listener, live) {
    this.task = task;
    this.#listener = listener;
    for (let index = 0; index < task.count; index += 1) this.outputs.push(new GenerationOutput(this, index));
    if (task.acknowledged) this.#acknowledged();
    for (const event of task.info ? eventsOf(task.info) : []) this.#receive(event);
    this.setLive(live);
    this.#quiet = false;
    this.#listen();
  }

  get ended() {
    return this.task.end !== null;
  }

  /** Whether all that was made of it is deleted: then what else there is of it goes, too. */
  get cleared() {
    const made = this.outputs.filter(({ state }) => state.phase === "done");
    return this.ended && made.length > 0 && made.every(({ deleted }) => deleted);
  }

  /** The parameters in effect, or those requested until the server has accepted the task. */
  get params() {
    return this.task.params ?? this.task.request;
  }

  /** What was asked for in words; what is done, if that needs none. */
  get prompt() {
    const { prompt, kind = "text2image" } = this.params;
    return prompt || t(`kind.${kind === "chat" ? "unknown" : kind}`);
  }

  /** The sort key, newest first: Unix seconds, or Infinity until the server has accepted the task. */
  get created() {
    return this.task.created ?? Infinity;
  }

  /** Whether an output of it waits, as the server told. */
  get waits() {
    return this.outputs.some(({ state }) => state.phase === "active" && state.waiting);
  }

  /** Those of its outputs that failed: one strip of the sheet tells of all of them. */
  get failed() {
    return this.outputs.filter(({ state }) => state.failed);
  }

  /** Whether an output was restored that was deleted before this page knew of it: then it has to be asked for. */
  get incomplete() {
    const made = this.outputs.filter(({ state }) => state.phase === "done" && state.output === null);
    return this.ended && made.some(({ index }) => this.task.marks.get(index)?.deleted !== true);
  }

  /** Show nothing of it, or all of it again. @param {boolean} dismissed */
  dismiss(dismissed) {
    this.dismissed = dismissed;
    this.marked();
  }

  /** Tell that its marks, or what of it is shown, changed. */
  marked() {
    this.#listener.marked();
    this.#changed();
  }

  /** Update the outputs after a connect or a disconnect. @param {boolean} live */
  setLive(live) {
    for (const { state } of this.outputs) state.setLive(live, performance.now());
    this.#changed();
  }

  #listen() {
    const { task } = this;
    task.on("acknowledged", () => this.#acknowledged());
    task.on("event", (event) => this.#receive(event));
    task.on("places", (places) => {
      for (const { state, index } of this.outputs) state.place(places.get(index), performance.now());
      this.#changed();
    });
    task.on("marks", () => {
      for (const made of task.info?.data ?? []) if (this.outputs[made.index]?.state.output === null) this.#finish(made);
      this.#listener.marked();
      this.#changed();
    });
    task.on("cancelling", ({ index }) => this.#mark(index, true));
    task.on("cancelRefused", (error) => {
      for (const output of this.outputs) output.cancelRefused = t("end.cancel_refused", { why: errorText(error) });
      this.#mark(null, false);
    });
    task.on("cancelled", ({ index }) => {
      const output = this.outputs[index];
      if (!output || output.state.ended) return;
      output.state.cancel({});
      this.#news(output, "cancelled");
      this.#changed();
    });
  }

  #acknowledged() {
    for (const { state } of this.outputs) state.acknowledged();
    this.#changed();
  }

  /**
   * @param {number | null} index null for every output
   * @param {boolean} cancelling
   */
  #mark(index, cancelling) {
    for (const output of this.outputs) {
      if (index === null || output.index === index) output.state.cancelling = cancelling;
    }
    this.#changed();
  }

  #changed() {
    if (!this.#quiet) this.#listener.changed(this);
  }

  /**
   * @param {GenerationOutput} output
   * @param {News} what
   */
  #news(output, what) {
    if (!this.#quiet) this.#listener.news(output, what);
  }

  /** @param {TaskEvent} event */
  #receive(event) {
    if (event.type === "progress") {
      const output = this.outputs[event.index];
      if (!output) return;
      const { ended } = output.state;
      output.state.advance(event, performance.now(), this.task.age);
      const stopped = output.state.ended && !ended;
      this.#news(output, !stopped ? "progress" : output.state.phase === "cancelled" ? "cancelled" : "failed");
    } else if (event.type === "output") this.#finish(event);
    else if (event.type !== "accepted" && event.type !== "delta") this.#end(event);
    this.#changed();
  }

  /** @param {OutputRef} made */
  #finish(made) {
    const output = this.outputs[made.index];
    if (!output) return;
    const known = output.state.phase === "done";
    if (made.deleted) {
      output.state.vanish();
      return;
    }
    output.state.finish(made);
    if (!known) this.#news(output, "ready");
  }

  /** @param {End} end */
  #end(end) {
    const made = end.type === "result" ? end.data.data : (end.data ?? []);
    if (end.type !== "error") made.forEach((output) => this.#finish(output));
    for (const output of this.outputs) {
      if (output.deleted) output.state.vanish();
      if (output.state.phase === "done") continue;
      const told = output.state.ended;
      this.#stop(output, end);
      if (!told) this.#news(output, output.state.phase === "cancelled" ? "cancelled" : "failed");
    }
  }

  /**
   * @param {GenerationOutput} output one without a file
   * @param {End} end
   */
  #stop({ state, index }, end) {
    if (end.type === "cancelled") state.cancelWithTask(end, this.outputs.length);
    else if (end.type === "error") state.fail(end, end.state === "expired" ? "expired" : "failed");
    else if (end.cancelled?.includes(index)) state.cancel({});
    else {
      const why = end.failures?.find((failure) => failure.index === index);
      state.fail(why ?? null, why?.code === "timeout" ? "expired" : "failed");
    }
  }
}
