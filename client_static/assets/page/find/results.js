// @ts-check

/** @typedef {import("../../client/xinflight.js").Library} Library */
/** @typedef {import("../../client/xinflight.js").Query} Query */
/** @typedef {import("../../client/xinflight.js").Task} Task */
/** @typedef {import("../../client/xinflight.js").XinflightError} XinflightError */

/** Tasks of a page that is scrolled to, and of one that is read again. */
const PAGE = 50;
const AGAIN = 200;
/** Milliseconds within which changes are gathered before what was found is read again. */
const GATHER = 200;
/** More than the server's clock differs from a time that went through JSON, in seconds. */
const HAIR = 0.001;

/**
 * `show`: called with the tasks that are found so far, newest first, and whether there are more; `failed`: with why the
 * server refused to look.
 * @typedef {{show: (tasks: readonly Task[], more: boolean) => void, failed: (error: XinflightError) => void}} ResultsHost
 */

/**
 * What a query finds, page by page. What changes meanwhile is asked for again, by the time at which it was accepted: only
 * the server knows what the words of a search mean. It does not use the DOM.
 */
export class Results {
  #library;
  #host;
  #mayShow;
  /** @type {Query} */
  #query = {};
  /** @type {Task[]} newest first */
  #tasks = [];
  /** @type {string | undefined} */
  #next;
  /** Counts the queries: what is answered to a former one is dropped. */
  #turn = 0;
  #open = false;
  #answered = false;
  /** One request after the other. */
  #work = Promise.resolve();
  /** @type {{since: number, until: number} | null} accepted when, of what changed, in Unix seconds */
  #changed = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /**
   * @param {Pick<Library, "find">} library
   * @param {(task: Task) => boolean} mayShow whether a task can be shown at all
   * @param {ResultsHost} host
   */
  constructor(library, mayShow, host) {
    this.#library = library;
    this.#mayShow = mayShow;
    this.#host = host;
  }

  /** Look for something else. @param {Query} query */
  open(query) {
    this.close();
    this.#query = query;
    this.#open = true;
    this.#do(() => this.#fetch());
  }

  /** Find nothing more. */
  close() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#turn += 1;
    this.#open = this.#answered = false;
    this.#tasks = [];
    this.#next = undefined;
    this.#changed = null;
  }

  /** Fetch the next page. */
  more() {
    if (this.#next !== undefined) this.#do(() => this.#fetch());
  }

  /** Look again, because there is a connection again: nobody told what changed meanwhile. */
  again() {
    if (!this.#open) return;
    if (this.#answered) this.touched();
    else this.#do(() => this.#fetch());
  }

  /** Look again whether a task is found, or if it is not known, whatever was found. @param {Task} [task] */
  touched(task) {
    const created = task?.created;
    if (!this.#answered || created === null) return;
    const since = Math.min(this.#changed?.since ?? Infinity, created ?? 0);
    const until = Math.max(this.#changed?.until ?? 0, created === undefined ? Infinity : created + HAIR);
    this.#changed = { since, until };
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#do(() => this.#refresh());
    }, GATHER);
  }

  /** Find a task no longer, since it was deleted. @param {Task} task */
  removed(task) {
    if (this.#tasks.includes(task)) this.#show(this.#tasks.filter((each) => each !== task));
  }

  /**
   * Do something after what is being done, unless something else is looked for by then.
   * @param {() => Promise<void>} step
   */
  #do(step) {
    const turn = this.#turn;
    this.#work = this.#work.then(async () => {
      if (turn !== this.#turn) return;
      try {
        await step();
      } catch (error) {
        if (turn === this.#turn) this.#host.failed(/** @type {XinflightError} */ (error));
      }
    });
  }

  /** Fetch pages until one has something new, or there are none: a page may be empty and still have a next one. */
  async #fetch() {
    const turn = this.#turn;
    let fresh = 0;
    do {
      const page = await this.#library.find({ ...this.#query, limit: PAGE, cursor: this.#next });
      if (turn !== this.#turn) return;
      this.#next = page.next;
      this.#answered = true;
      const known = this.#tasks.length;
      this.#show(this.#merged(this.#tasks, page.tasks));
      fresh = this.#tasks.length - known;
    } while (fresh === 0 && this.#next !== undefined);
  }

  /** Replace what was found of the time in which something changed. */
  async #refresh() {
    if (this.#changed === null) return;
    const turn = this.#turn;
    const oldest = this.#next === undefined ? 0 : (this.#tasks.at(-1)?.created ?? 0);
    const since = Math.max(this.#changed.since, oldest, this.#query.since ?? 0);
    const until = Math.min(this.#changed.until, this.#query.until ?? Infinity);
    this.#changed = null;
    if (since >= until) return;
    const period = { since, until: until === Infinity ? undefined : until };
    /** @type {Task[]} */
    let found = [];
    /** @type {string | undefined} */
    let cursor;
    do {
      const page = await this.#library.find({ ...this.#query, ...period, limit: AGAIN, cursor });
      if (turn !== this.#turn) return;
      found = [...found, ...page.tasks];
      cursor = page.next;
    } while (cursor !== undefined);
    const others = this.#tasks.filter(({ created }) => created === null || created < since || created >= until);
    this.#show(this.#merged(others, found));
  }

  /**
   * Return all tasks, each once, newest first.
   * @param {Task[]} some
   * @param {Task[]} others
   */
  #merged(some, others) {
    const all = new Set([...some, ...others.filter((task) => this.#mayShow(task))]);
    return [...all].sort((a, b) => (b.created ?? 0) - (a.created ?? 0));
  }

  /** @param {Task[]} tasks */
  #show(tasks) {
    this.#tasks = tasks;
    this.#host.show(tasks, this.#next !== undefined);
  }
}
