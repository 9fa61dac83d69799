// @ts-check
import { lang } from "../../words/words.js";
import { ask } from "../account/api.js";

// What the server tells admins, and what they may do there for others.

/**
 * @typedef {object} Entry an image of anybody that waits or occupies a slot
 * @property {string} owner
 * @property {string} task_id
 * @property {number} index
 * @property {string} pool
 * @property {string} [model]
 * @property {string} state
 * @property {string} step
 * @property {number} [progress]
 * @property {number} [position]
 * @property {number} [estimated_time]
 * @property {number} [elapsed]
 * @property {boolean} [quarantined]
 * @property {number} created
 */
/**
 * @typedef {object} Queue
 * @property {number} timestamp
 * @property {Entry[]} running
 * @property {number} running_count
 * @property {Entry[]} waiting
 * @property {number} waiting_count
 * @property {string} [next]
 */
/**
 * @typedef {{pool: string, tasks: number, running?: number, waiting?: number, paused?: number, share?: number}} InPool
 */
/** @typedef {{owner: string, pools: InPool[], paused?: boolean, connections?: number}} OwnerLoad */
/** @typedef {{owners: OwnerLoad[], next?: string}} OwnerPage */
/**
 * @typedef {object} ModelSlots
 * @property {string} model
 * @property {number} replicas
 * @property {number} slots
 * @property {number} [busy]
 * @property {number} [quarantined]
 * @property {boolean} [missing]
 */
/**
 * @typedef {object} Pool
 * @property {string} pool
 * @property {ModelSlots[]} [models]
 * @property {number} [tasks]
 * @property {number} [waiting]
 * @property {number} [paused]
 * @property {number} [owners]
 */
/** @typedef {{pool: string, code: string, requests: number, outputs: number, last: number}} FailureCount */
/**
 * @typedef {object} Status
 * @property {number} timestamp
 * @property {{state: string, since: number, server: string, message: string, cure?: string, cause?: string}} upstream
 * @property {Pool[]} pools
 * @property {FailureCount[]} failures
 * @property {number} connections
 * @property {boolean} storing
 * @property {string[]} [failing]
 * @property {boolean} [held]
 * @property {boolean} [draining]
 * @property {number} drain
 * @property {boolean} durable
 */
/**
 * Which owners are listed, and of which of them the queue is. @typedef {object} Wanted
 * @property {string} prefix
 * @property {string | null} after the name behind which the page of owners begins
 * @property {string | null} owner
 * @property {string | null} cursor of the page of that owner's queue
 */
/**
 * @typedef {object} Seen
 * @property {Status} status
 * @property {Queue} queue
 * @property {OwnerPage} owners
 * @property {Queue | null} detail what one owner has
 * @property {Wanted} wanted what this answers
 */

/** Waiting images per pool, and of one owner, that are asked for. */
const NEXT = 12;
/** Owners per page. */
const OWNERS = 50;

/**
 * Ask for all that the view shows. Rejects with an Error whose message is a code, as `ask`.
 * @param {Wanted} wanted
 * @returns {Promise<Seen>}
 */
export async function look(wanted) {
  const { prefix, after, owner, cursor } = wanted;
  const [status, queue, owners, detail] = await Promise.all([
    ask(`admin/status?${new URLSearchParams({ lang: lang() })}`, "GET"),
    ask(`admin/queue?limit=${NEXT}`, "GET"),
    ask(`admin/owners?${query({ limit: OWNERS, prefix, cursor: after })}`, "GET"),
    owner === null ? null : ask(`admin/queue?${query({ limit: NEXT, owner, cursor })}`, "GET"),
  ]);
  return /** @type {Seen} */ ({ status, queue, owners, detail, wanted });
}

/** Cancel an image. @param {Entry} entry */
export async function cancel({ owner, task_id, index }) {
  await ask(`tasks/${encodeURIComponent(task_id)}/cancel?${query({ owner })}`, "POST", { index });
}

/** Cancel all of an owner; return how many generations that were. @param {string} owner */
export async function cancelAll(owner) {
  const answer = await ask(`tasks/cancel?${query({ owner })}`, "POST");
  return /** @type {{tasks: unknown[]}} */ (answer).tasks.length;
}

/** Move a generation before all others of its owner. @param {Entry} entry */
export async function moveFirst({ owner, task_id }) {
  await ask(`tasks/${encodeURIComponent(task_id)}/move?${query({ owner })}`, "POST", { to: "first" });
}

/**
 * Hold what waits of an owner and what is submitted from now on, or let it go on.
 * @param {string} owner
 * @param {boolean} paused
 */
export async function pause(owner, paused) {
  await ask(`tasks/${paused ? "pause" : "unpause"}?${query({ owner })}`, "POST");
}

/**
 * Send a text to all windows of an owner, or of everybody.
 * @param {string | null} owner
 * @param {string} text
 */
export async function notify(owner, text) {
  await ask("notices", "POST", owner === null ? { text } : { owner, text });
}

/** Start nothing more of anybody, or go on. @param {boolean} held */
export async function hold(held) {
  await ask(`admin/${held ? "hold" : "release"}`, "POST");
}

/** Stop the server once what runs has ended. */
export async function drain() {
  await ask("admin/drain", "POST");
}

/** @param {Record<string, string | number | null>} values those that are empty or null are left out */
function query(values) {
  const given = Object.entries(values).filter(([, value]) => value !== null && value !== "");
  return new URLSearchParams(given.map(([name, value]) => [name, String(value)]));
}
