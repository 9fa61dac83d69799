// @ts-check
import { XinflightError } from "../../client/xinflight.js";
import { batch, signal } from "../../vendor/signals-core/signals-core.js";
import { isChat } from "./chats.js";
import { GenerationState } from "./generation_state.js";
import { Overall } from "./overall.js";

/** @typedef {import("../../client/xinflight.js").QueueState} QueueState */
/** @typedef {import("../../client/xinflight.js").Task} Task */
/** @typedef {import("../../client/xinflight.js").Xinflight} Xinflight */
/** @typedef {import("./generation_state.js").GenerationOutput} GenerationOutput */
/** @typedef {import("./generation_state.js").News} News */

/**
 * What the sheet shows in place of everything: the generations that were found, and which of their outputs.
 * @typedef {{generations: readonly GenerationState[], shows: (output: GenerationOutput) => boolean}} Found
 */

/** Milliseconds within which changes are gathered: one update of the page for all of them. */
const GATHER = 16;

/**
 * What the page knows of this person's generations, each state once. Its parts are signals: an effect that read them
 * runs again after they changed, at most once per 16 ms. It is a timer that updates them and not an animation frame: a
 * hidden page gets no frames, and its title must still change. It does not use the DOM.
 */
export class Store {
  /** @type {import("../../vendor/signals-core/signals-core.js").Signal<readonly GenerationState[]>} newest first */
  generations = signal([]);
  /** @type {import("../../vendor/signals-core/signals-core.js").Signal<readonly GenerationState[]>} newest first */
  unfinished = signal([]);
  /** What was found, while something is searched for; else null. */
  found = signal(/** @type {Found | null} */ (null));
  /** A generation that was asked for by its address, and is older than those that are loaded. */
  visited = signal(/** @type {GenerationState | null} */ (null));
  /** Counts the changes of stars, tags and deleted outputs. */
  marks = signal(0);
  /** Whether there is a connection. */
  live = signal(false);
  /** Whether the server has older generations than those here; null until it has told. */
  more = signal(/** @type {boolean | null} */ (null));
  /** @type {import("../../vendor/signals-core/signals-core.js").Signal<Readonly<QueueState>>} what waits */
  queue;
  /** The progress of everything since the last time that nothing was unfinished; `percent` never falls meanwhile. */
  overall = signal({ percent: 0, estimate: false, left: 0 });
  /** Milliseconds of `performance.now()`, set once a second while something is unfinished. */
  now = signal(performance.now());
  #overall = new Overall();
  /** @type {WeakMap<Task, GenerationState>} */
  #states = new WeakMap();
  #marked = false;
  #client;
  #news;
  /** @type {GenerationState[]} */
  #all = [];
  /** @type {Set<GenerationState>} */
  #changed = new Set();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /**
   * @param {Xinflight} client
   * @param {(output: GenerationOutput, what: News) => void} news called for each change that should be announced
   */
  constructor(client, news) {
    this.#client = client;
    this.#news = news;
    this.queue = signal(client.queue);
    client.on("task", (task) => {
      if (!isChat(task)) this.#add(task);
    });
    client.on("removed", (task) => this.#remove(task));
    client.on("history", (more) => {
      this.more.value = more;
    });
    client.library.on("marked", ({ task }) => {
      const created = task?.created ?? null;
      if (!task || created === null || !this.#states.get(task)?.incomplete) return;
      // A time that goes through JSON may differ by a hair. Without a connection everything is listed again later.
      client.library.find({ since: created, until: created + 0.001 }).catch(() => {});
    });
    client.on("queue", () => this.#later());
    client.on("status", ({ state }) => this.#connection(state === "live"));
    setInterval(() => this.#tick(), 1000);
  }

  /** The seed of the newest image; null if there is none. */
  get newestSeed() {
    for (const { outputs } of this.generations.value) {
      const made = outputs.findLast(({ state, deleted }) => state.output !== null && !deleted);
      if (made?.state.output) return made.state.output.seed;
    }
    return null;
  }

  /** All outputs of unfinished generations, ended ones too. */
  get unfinishedOutputs() {
    return this.unfinished.value.flatMap(({ outputs }) => outputs);
  }

  /** Return the generation of a task, be it loaded, only found, or visited. @param {string} taskId */
  find(taskId) {
    const found = this.found.value?.generations ?? [];
    const visited = this.visited.value ?? [];
    return [...this.generations.value, ...found].concat(visited).find(({ task }) => task.id === taskId) ?? null;
  }

  /**
   * Ask the server for a generation that is not loaded. Rejects with an `XinflightError`; a chat is not found either.
   * @param {string} taskId
   */
  async visit(taskId) {
    const task = await this.#client.library.get(taskId);
    if (isChat(task)) throw new XinflightError({ code: "not_found" });
    this.visited.value = this.stateOf(task);
  }

  /**
   * Return the one state of a task, which may be one that was only found.
   * @param {Task} task
   * @returns {GenerationState}
   */
  stateOf(task) {
    const listener = {
      changed: (/** @type {GenerationState} */ generation) => this.#touch(generation),
      marked: () => {
        this.#marked = true;
      },
      news: this.#news,
    };
    const state = this.#states.get(task) ?? new GenerationState(task, listener, this.live.value);
    this.#states.set(task, state);
    return state;
  }

  /** @param {Task} task */
  #add(task) {
    const generation = this.stateOf(task);
    // Of several that the server has not accepted yet, too, the last one asked for is the newest.
    const pending = generation.created === Infinity;
    const after = this.#all.findIndex(({ created }) => pending || created < generation.created);
    this.#all.splice(after < 0 ? this.#all.length : after, 0, generation);
    this.#touch(generation);
  }

  /** @param {Task} task */
  #remove(task) {
    this.#all = this.#all.filter((generation) => generation.task !== task);
    if (this.visited.value?.task === task) this.visited.value = null;
    this.#later();
  }

  /** @param {boolean} live */
  #connection(live) {
    if (live === this.live.value) return;
    this.live.value = live;
    for (const generation of this.#all) if (!generation.ended) generation.setLive(live);
    this.#later();
  }

  #tick() {
    if (this.unfinished.value.length === 0) return;
    batch(() => {
      this.now.value = performance.now();
      this.#sum();
    });
  }

  /** @param {GenerationState} generation */
  #touch(generation) {
    this.#changed.add(generation);
    this.#later();
  }

  #later() {
    this.#timer ??= setTimeout(() => this.flush(), GATHER);
  }

  /** Update the signals now. */
  flush() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    batch(() => {
      this.queue.value = this.#client.queue;
      this.now.value = performance.now();
      if (!sameItems(this.generations.value, this.#all)) this.generations.value = [...this.#all];
      const unfinished = this.#all.filter(({ ended }) => !ended);
      if (!sameItems(this.unfinished.value, unfinished)) this.unfinished.value = unfinished;
      if (this.#marked) this.marks.value += 1;
      this.#marked = false;
      for (const generation of this.#changed) generation.revision.value += 1;
      this.#changed.clear();
      this.#sum();
    });
  }

  #sum() {
    this.#overall.update(this.unfinishedOutputs.map(({ state }) => state), this.now.value);
    const { percent, estimate, left } = this.#overall;
    const was = this.overall.value;
    if (was.percent === percent && was.estimate === estimate && was.left === left) return;
    this.overall.value = { percent, estimate, left };
  }
}

/**
 * @template T
 * @param {readonly T[]} some
 * @param {readonly T[]} others
 */
function sameItems(some, others) {
  return some.length === others.length && some.every((item, at) => item === others[at]);
}
