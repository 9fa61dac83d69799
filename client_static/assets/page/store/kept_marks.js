// @ts-check
import { keep, readKept } from "./storage.js";
import { withChanges } from "./tag_changes.js";

/** @typedef {import("../../client/xinflight.js").Task} Task */
/** @typedef {import("../../client/xinflight.js").Xinflight} Xinflight */
/** @typedef {import("../../client/xinflight.js").XinflightError} XinflightError */
/** @typedef {import("./generation_state.js").GenerationOutput} GenerationOutput */

/**
 * What was noted of an output, or with an index of null of a whole generation, and is not sent yet. Tags are kept as what
 * changes: others may change, too, on another device.
 * @typedef {object} Note
 * @property {string} taskId
 * @property {number | null} index
 * @property {boolean} [starred]
 * @property {string[]} [added]
 * @property {string[]} [removed]
 * @property {true} [deleted]
 */

/** @typedef {Omit<Note, "taskId" | "index">} Change */

/**
 * `find`: the output that a note is about, if it is shown; `refused`: called with why the server did not take a note.
 * @typedef {{find: (note: Note) => GenerationOutput | undefined, refused: (error: XinflightError, note: Note) => void}} NotesHost
 */

/** The most notes, so that their storage stays small: some 100 KB with many tags. */
const MOST = 500;
/** Milliseconds after which the server's event has told of what it answered. */
const TOLD = 1000;

/**
 * Stars, tags and deletes that were made without a connection: shown at once, kept over a reload of the tab, and sent in
 * their order once everything that was missed has arrived. All of them may be sent twice. Another user of the tab never
 * sends them.
 */
export class KeptMarks {
  #client;
  #place;
  #host;
  /** @type {Map<string, Note>} */
  #notes = new Map();
  #owner;
  #sending = false;

  /**
   * @param {Xinflight} client
   * @param {string} key distinguishes this server from others at the same origin
   * @param {NotesHost} host
   */
  constructor(client, key, host) {
    this.#client = client;
    this.#place = `xinflight.marks ${key}`;
    this.#host = host;
    const { owner = null, notes = [] } = /** @type {{owner?: string | null, notes?: Note[]}} */ (readKept(this.#place) ?? {});
    this.#owner = owner;
    for (const note of notes) this.#notes.set(keyOf(note), note);
    client.on("history", () => this.#send());
    client.on("resumed", () => this.#send());
    if (client.status.state === "live") this.#send();
  }

  /**
   * Keep a change of an output, or of a whole generation; return false if there are too many.
   * @param {Pick<Note, "taskId" | "index">} of
   * @param {Change} change
   */
  add({ taskId, index }, change) {
    const known = this.#notes.get(keyOf({ taskId, index }));
    if (!known && this.#notes.size >= MOST) return false;
    this.#owner = this.#client.welcome?.owner ?? this.#owner;
    this.#set({ ...known, ...change, taskId, index });
    return true;
  }

  /** Forget a delete that was not sent yet; return false if there is none. @param {Pick<Note, "taskId" | "index">} of */
  restore(of) {
    const known = this.#notes.get(keyOf(of));
    if (!known?.deleted) return false;
    const rest = { ...known };
    delete rest.deleted;
    if (rest.starred === undefined && rest.added === undefined) {
      this.#forget(known);
      this.#host.find(known)?.note(null);
    } else this.#set(rest);
    return true;
  }

  /** Forget all, because another person is here. */
  clear() {
    this.#notes.clear();
    this.#save();
  }

  /** @param {Note} note */
  #set(note) {
    this.#notes.set(keyOf(note), note);
    this.#host.find(note)?.note(note);
    this.#save();
  }

  /** @param {Note} note */
  #forget(note) {
    this.#notes.delete(keyOf(note));
    this.#save();
  }

  #save() {
    keep(this.#place, this.#notes.size ? { owner: this.#owner, notes: [...this.#notes.values()] } : null);
  }

  async #send() {
    if (this.#owner !== null && this.#owner !== this.#client.welcome?.owner) this.clear();
    if (this.#sending) return;
    this.#sending = true;
    try {
      for (const note of [...this.#notes.values()]) {
        // It may have been taken back meanwhile.
        if (this.#notes.get(keyOf(note)) === note) await this.#tell(note);
      }
    } catch {
      // The line is lost again: the rest is sent with the next connection.
    } finally {
      this.#sending = false;
    }
  }

  /** Send a note. Rejects if the connection is lost. @param {Note} note */
  async #tell(note) {
    try {
      await this.#request(note);
    } catch (error) {
      const { code } = /** @type {XinflightError} */ (error);
      if (code === "disconnected") throw error;
      // What is gone needs no delete.
      if (!note.deleted || code !== "not_found") this.#host.refused(/** @type {XinflightError} */ (error), note);
    }
    this.#forget(note);
    const output = this.#host.find(note);
    if (!output) return;
    // The answer may come before the event: what was noted must not vanish in between.
    const told = () => {
      off();
      clearTimeout(timer);
      output.note(this.#notes.get(keyOf(note)) ?? null);
    };
    const timer = setTimeout(told, TOLD);
    const off = output.generation.task.on("marks", told);
  }

  /** @param {Note} note */
  async #request({ taskId, index, starred, added, removed, deleted }) {
    const { library } = this.#client;
    if (index === null) return this.#client.delete(taskId);
    if (deleted) return library.deleteOutput(taskId, index);
    const tags = added && withChanges((await library.get(taskId)).marks.get(index)?.tags ?? [], { added, removed });
    return library.mark(taskId, { index, starred, tags });
  }
}

/** @param {Pick<Note, "taskId" | "index">} of */
function keyOf({ taskId, index }) {
  return `${taskId}/${index ?? ""}`;
}
