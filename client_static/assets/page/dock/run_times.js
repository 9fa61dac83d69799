// @ts-check

/** @typedef {import("../../client/xinflight.js").Task} Task */
/** @typedef {import("../../client/xinflight.js").TaskEvent} TaskEvent */
/** What decides how long an output takes. @typedef {{model?: string, size?: string, steps?: number, frames?: number}} Work */
/** How long one output took, and how much work it was. @typedef {[seconds: number, work: number]} Run */

/** The number of runs per model that are remembered. */
const RUNS = 8;
/** The number of models of which runs are remembered, the latest ones. */
const MODELS = 20;
/** What is assumed for a model whose own steps are not known. */
const STEPS = 20;

/**
 * How long outputs take, learnt from those that were seen running. The time of an unlike output is scaled by its number
 * of pixels, steps and frames.
 */
export class RunTimes {
  /** @type {Map<string, Run[]>} by model, the newest last */
  #runs;
  /** @type {Map<string, number>} when the request of a running output was sent, in milliseconds, by task and index */
  #begun = new Map();

  /** @param {unknown} [saved] what `saved` returned; anything else counts as nothing */
  constructor(saved) {
    this.#runs = new Map(Array.isArray(saved) ? saved.filter(isEntry) : []);
  }

  /** What survives a reload. It has nothing of any prompt. @returns {[string, Run[]][]} */
  get saved() {
    return [...this.#runs];
  }

  /**
   * Learn from an event of a task. Returns whether there is a new time.
   * @param {Task} task
   * @param {TaskEvent} event
   * @param {number} now in milliseconds
   */
  take(task, event, now) {
    if (event.type === "progress") {
      const key = `${task.id} ${event.index}`;
      const { elapsed } = event.details ?? {};
      if (event.state === "running" && elapsed !== undefined) this.#begun.set(key, now - (elapsed + task.age) * 1000);
      else if (event.state !== "running") this.#begun.delete(key);
      return false;
    }
    if (event.type === "output") return this.#finish(task, event.index, now);
    if (event.type !== "accepted" && event.type !== "delta") {
      for (const key of this.#begun.keys()) if (key.startsWith(`${task.id} `)) this.#begun.delete(key);
    }
    return false;
  }

  /**
   * Return the seconds that one output will probably take, or null if its model was never seen at work.
   * @param {Work} work
   */
  seconds(work) {
    const runs = this.#runs.get(work.model ?? "") ?? [];
    const amount = amountOf(work);
    const alike = runs.filter(([, other]) => Math.abs(other / amount - 1) < 0.05);
    if (alike.length) return median(alike.map(([seconds]) => seconds));
    return runs.length ? median(runs.map(([seconds, other]) => (seconds / other) * amount)) : null;
  }

  /**
   * @param {Task} task
   * @param {number} index
   * @param {number} now in milliseconds
   */
  #finish(task, index, now) {
    const key = `${task.id} ${index}`;
    const begun = this.#begun.get(key);
    this.#begun.delete(key);
    const { params } = task;
    if (begun === undefined || !params?.model || params.kind === "chat") return false;
    const runs = this.#runs.get(params.model) ?? [];
    this.#runs.delete(params.model);
    this.#runs.set(params.model, [...runs, /** @type {Run} */ ([(now - begun) / 1000, amountOf(params)])].slice(-RUNS));
    for (const oldest of [...this.#runs.keys()].slice(0, -MODELS)) this.#runs.delete(oldest);
    return true;
  }
}

/** Return how much work an output is, in megapixels times steps times frames. @param {Work} work */
function amountOf({ size = "1024x1024", steps = STEPS, frames = 1 }) {
  const [width = 1024, height = 1024] = size.split("x").map(Number);
  return ((width * height) / 1e6) * steps * frames;
}

/** @param {number[]} values one at least */
function median(values) {
  const sorted = values.toSorted((a, b) => a - b);
  return /** @type {number} */ (sorted[sorted.length >> 1]);
}

/**
 * @param {unknown} entry
 * @returns {entry is [string, Run[]]}
 */
function isEntry(entry) {
  const [model, runs] = Array.isArray(entry) ? entry : [];
  return (
    typeof model === "string" &&
    Array.isArray(runs) &&
    runs.every((run) => Array.isArray(run) && run.length === 2 && run.every((part) => Number.isFinite(part) && part > 0))
  );
}
