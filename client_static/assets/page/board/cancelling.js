// @ts-check
import { t } from "../../words/words.js";
import { requestsFor } from "../store/requests.js";
import { rowOf } from "./board_row.js";
import { cancelText } from "./cancel_words.js";
import { inOrder } from "./rows.js";
import { placesOf } from "./undo.js";

/** @typedef {import("../../client/xinflight.js").GenerateParams} GenerateParams */
/** @typedef {import("../../client/xinflight.js").Xinflight} Xinflight */
/** @typedef {import("../../client/xinflight.js").XinflightError} XinflightError */
/** @typedef {import("../store/generation_state.js").GenerationOutput} GenerationOutput */
/** @typedef {import("../store/generation_state.js").GenerationState} GenerationState */
/** @typedef {import("../store/store.js").Store} Store */
/** @typedef {import("../ui/toasts.js").Toasts} Toasts */

/** Outputs that were cancelled together, and the way to say in their toast how that went. @typedef {{tell: () => void}} Group */

/** Milliseconds within which outputs that somebody else cancelled are told in one toast. */
const GATHER = 200;

/**
 * Cancels what is in flight, at once, and offers to bring it back: what had not begun is asked for again and goes back
 * to its place, without a loss; what ran has to begin anew.
 */
export class Cancelling {
  #client;
  #store;
  #toasts;
  #problem;
  /** @type {Map<GenerationOutput, Group>} of outputs that have not ended */
  #groups = new Map();
  /** @type {GenerationOutput[]} cancelled by another window, or by whoever runs the server */
  #elsewhere = [];

  /**
   * @param {Xinflight} client
   * @param {Store} store
   * @param {Toasts} toasts
   * @param {(error: XinflightError) => void} problem
   */
  constructor(client, store, toasts, problem) {
    this.#client = client;
    this.#store = store;
    this.#toasts = toasts;
    this.#problem = problem;
  }

  /** Cancel one output. @param {GenerationOutput} output */
  one(output) {
    this.#offer(inFlight([output]));
    this.#client.cancel(output.generation.task.id, { index: output.index });
  }

  /** Cancel what of a generation has not ended. @param {GenerationState} generation */
  generation(generation) {
    this.#offer(inFlight(generation.outputs));
    this.#client.cancel(generation.task.id);
  }

  /** Cancel everything of this owner, or all but one generation. @param {GenerationState} [except] */
  all(except) {
    this.#offer(inFlight(this.#store.unfinished.value.flatMap((each) => (each === except ? [] : each.outputs))));
    this.#client.cancelAll({ except: except ? [except.task.id] : [] });
  }

  /** Tell what became of an output that ended, if it was cancelled. @param {GenerationOutput} output */
  ended(output) {
    const group = this.#groups.get(output);
    this.#groups.delete(output);
    if (group && !output.cancelRefused) group.tell();
    if (group || output.state.phase !== "cancelled") return;
    if (this.#elsewhere.length === 0) setTimeout(() => this.#offer(this.#elsewhere.splice(0), { undoes: false }), GATHER);
    this.#elsewhere.push(output);
  }

  /**
   * Say what a cancel of outputs does or did, and offer to bring them back.
   * @param {GenerationOutput[]} outputs
   * @param {{undoes?: boolean}} [options] `undoes`: whether it was done here, so that the key for that brings them back
   */
  #offer(outputs, { undoes = true } = {}) {
    if (outputs.length === 0) return;
    const waiting = outputs.filter(({ state }) => state.waiting);
    const unsent = outputs.every(({ state }) => state.phase === "offline");
    const then = { waited: new Set(waiting), later: !this.#store.live.value && !unsent };
    const queue = this.#queue;
    const back = waiting.length
      ? { label: t("act.undo"), undoes, act: () => this.#bringBack(waiting, queue) }
      : { label: t("act.again"), undoes, act: () => this.#bringBack(outputs, queue) };
    const say = this.#toasts.show(cancelText(outputs, then), back);
    const group = { tell: () => say(cancelText(outputs, then)) };
    for (const output of outputs) if (!output.state.ended) this.#groups.set(output, group);
  }

  /** Ids of the tasks that wait, each once, in the order of the board: the newest may not be in the server's queue yet. */
  get #queue() {
    const { unfinished, queue, now } = this.#store;
    const outputs = unfinished.value.toReversed().flatMap((generation) => generation.outputs);
    const waiting = outputs.filter(({ state }) => state.waiting && !state.cancelling);
    const rows = inOrder(waiting.map((output) => rowOf(output, now.value)), queue.value.outputs, []);
    return [...new Set(rows.map(({ taskId }) => taskId))];
  }

  /**
   * Ask for cancelled outputs again, and move them to where they stood.
   * @param {GenerationOutput[]} outputs
   * @param {string[]} queue ids of the waiting tasks as it was before the cancel
   */
  #bringBack(outputs, queue) {
    const generations = new Set(outputs.map(({ generation }) => generation));
    const ids = new Set([...generations].map(({ task }) => task.id));
    const waiting = new Set(this.#queue);
    const still = queue.filter((id) => ids.has(id) || waiting.has(id));
    const places = new Map(placesOf(still, ids).map(({ taskId, before }) => [taskId, before]));
    // In the order in which they stood; what had no place in the queue comes last.
    const order = [...generations].toSorted((a, b) => placeIn(queue, a) - placeIn(queue, b));
    for (const generation of order) {
      const those = outputs.filter((output) => output.generation === generation);
      const before = places.get(generation.task.id) ?? null;
      for (const request of requestsFor(generation, those)) this.#ask(request, before);
    }
  }

  /**
   * @param {GenerateParams} request
   * @param {string | null} before the task before which it goes; null for the end
   */
  #ask(request, before) {
    const task = this.#client.generate({ ...request, lang: this.#client.lang });
    if (before === null) return;
    task.on("acknowledged", () => {
      if (this.#queue.includes(before)) this.#client.move(task.id, { before }).catch(this.#problem);
    });
  }
}

/** @param {GenerationOutput[]} outputs */
function inFlight(outputs) {
  return outputs.filter(({ state }) => !state.ended && !state.cancelling);
}

/**
 * @param {string[]} queue
 * @param {GenerationState} generation
 */
function placeIn(queue, { task }) {
  const at = queue.indexOf(task.id);
  return at < 0 ? queue.length : at;
}
