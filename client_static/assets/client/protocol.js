// @ts-check
// The wire, version 1, as far as a browser needs it. `docs/protocol.md` is the normative text.

export const SUBPROTOCOL = "xinflight.v1.json";

/** Above it a seed would no longer be exact in a JavaScript number for the last of 64 pictures. */
export const MAX_SEED = 2 ** 53 - 64 - 1;

/**
 * What a person asks for. Fields left out take the server's or the model's defaults.
 * @typedef {object} GenerateParams
 * @property {string} prompt
 * @property {string} [negative_prompt]
 * @property {string} [model]
 * @property {number} [n]
 * @property {string} [size] WIDTHxHEIGHT in pixels
 * @property {number} [steps]
 * @property {number} [guidance_scale]
 * @property {number} [seed]
 * @property {string} [task_id] chosen here when missing; the same again re-attaches
 * @property {string} [lang]
 */

/** @typedef {"queued"|"starting"|"running"|"cancelling"|"completed"|"failed"|"cancelled"|"expired"} State */
/** @typedef {"queued"|"waiting_for_model"|"starting"|"generating"|"decoding"|"saving"} Step */
/** @typedef {"never_started"|"stopped"|"running_on"|"unconfirmed"} UpstreamEnd */
/** @typedef {"ready"|"loading"|"no_model"|"unreachable"|"unauthorised"} UpstreamState */

/**
 * The parameters in effect.
 * @typedef {object} Params
 * @property {string} prompt
 * @property {string} [negative_prompt]
 * @property {string} [model]
 * @property {number} n
 * @property {string} size
 * @property {number} [steps]
 * @property {number} [guidance_scale]
 * @property {number} seed
 */

/** @typedef {{url: string, index: number, seed: number, width: number, height: number, bytes: number, media_type: string}} PictureRef */
/** @typedef {{state: UpstreamState, message: string, cure: string}} Upstream */
/** @typedef {{task_id: string, was: State | "unknown", index?: number}} CancelledTask */
/** @typedef {{attempt?: number, retry_reason?: string, elapsed?: number, upstream?: UpstreamEnd}} Details */

/**
 * @typedef {object} ModelInfo
 * @property {string} id
 * @property {boolean} default
 * @property {string} size
 * @property {number} [steps]
 * @property {number} [guidance_scale]
 * @property {boolean} defaults_known
 * @property {boolean} true_cancel
 * @property {number} replicas
 */

/**
 * @typedef {object} Limits
 * @property {number} prompt_length
 * @property {number} pictures
 * @property {number} size_min
 * @property {number} size_max
 * @property {number} size_multiple
 * @property {number} steps
 * @property {number} guidance_scale
 * @property {number} frame_bytes
 */

/**
 * @typedef {object} Welcome
 * @property {"welcome"} type
 * @property {string} connection_id
 * @property {string} owner
 * @property {string} epoch
 * @property {string} cursor
 * @property {number} heartbeat
 * @property {Limits} limits
 * @property {ModelInfo[]} models
 * @property {Upstream} upstream
 */

/**
 * @typedef {object} Ack
 * @property {"ack"} type
 * @property {string} [ref]
 * @property {string} task_id
 * @property {Params} params
 * @property {State} state
 */

/**
 * A task as it stands; `created` and `ended` in Unix seconds.
 * @typedef {object} TaskInfo
 * @property {string} task_id
 * @property {State} state
 * @property {number} created
 * @property {number} [ended]
 * @property {Params} params
 * @property {PictureRef[]} [data]
 * @property {number[]} [failed]
 * @property {number[]} [cancelled]
 * @property {string} [code]
 */

/** @typedef {{type: "ok", ref?: string, tasks: CancelledTask[]}} Ok */
/** @typedef {{type: "tasks", ref?: string, tasks: TaskInfo[], next?: string, cursor: string}} Tasks */
/** @typedef {{type: "recovered", ref?: string, recovered: boolean, cursor: string, unknown?: string[]}} Recovered */
/** @typedef {{type: "pong", ref?: string, nonce?: string}} Pong */

/**
 * @typedef {object} Notice
 * @property {"notice"} type
 * @property {"draining"|"upstream"|"deleted"|"host"} kind
 * @property {string} message
 * @property {Upstream} [upstream]
 * @property {ModelInfo[]} [models]
 * @property {string} [task_id] of what was deleted
 */

// Stored events have a `seq` on the wire; snapshots, and events that are made here of a list, have none.

/** @typedef {{type: "accepted", task_id: string, seq?: number, params: Params, timestamp: number}} Accepted */

/**
 * @typedef {object} Progress
 * @property {"progress"} type
 * @property {string} task_id
 * @property {number} index
 * @property {State} state
 * @property {number} progress 0 to 99
 * @property {Step} step
 * @property {number} [step_index]
 * @property {number} [step_count]
 * @property {number} [position]
 * @property {number} [estimated_time] seconds until the picture is there
 * @property {"upstream"|"estimate"} source
 * @property {string} [message]
 * @property {Details} [details]
 */

/** @typedef {{type: "picture", task_id: string, seq?: number} & PictureRef} Picture */

/**
 * @typedef {object} Result
 * @property {"result"} type
 * @property {string} task_id
 * @property {number} [seq]
 * @property {{created: number, data: PictureRef[]}} data
 * @property {number[]} [failed]
 * @property {number[]} [cancelled]
 * @property {{index: number, code: string}[]} [failures]
 */

/**
 * What the cancel achieved and how long it took is not in the history.
 * @typedef {object} Cancelled
 * @property {"cancelled"} type
 * @property {string} task_id
 * @property {number} [seq]
 * @property {UpstreamEnd} [upstream]
 * @property {number} [seconds]
 * @property {PictureRef[]} [data]
 */

/**
 * A refusal, or with `seq` the end of a task.
 * @typedef {object} ErrorMessage
 * @property {"error"} type
 * @property {string} code
 * @property {string} [message]
 * @property {string} [ref]
 * @property {string} [task_id]
 * @property {number} [seq]
 * @property {State} [state]
 * @property {string} [field]
 * @property {string} [limit]
 * @property {boolean} [retryable]
 * @property {number} [retry_after]
 */

/** @typedef {Ack | Ok | Pong | Tasks | Recovered} Answer */
/** @typedef {Result | Cancelled | ErrorMessage} End */
/** @typedef {Accepted | Progress | Picture | End} TaskEvent */
/** @typedef {Welcome | Answer | Notice | TaskEvent} ServerMessage */

/**
 * Tell whether a client should come back after a socket was closed with that code: not where the same again would
 * end the same (RFC 6455's protocol faults, and 44xx of ours).
 * @param {number} code
 */
export function comesBack(code) {
  const fatal = [1002, 1003, 1007, 1008, 1009, 1010];
  return !fatal.includes(code) && !(code >= 4400 && code < 4500);
}

/** A random id; `randomUUID` is missing where a page came over plain HTTP from another machine. */
export function randomId() {
  if (crypto.randomUUID) return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** What the server (or this side, for want of one) says went wrong. */
export class XinflightError extends Error {
  /** @param {Omit<ErrorMessage, "type">} error */
  constructor(error) {
    super(error.message || error.code);
    this.name = "XinflightError";
    this.told = error;
    this.code = error.code;
    this.field = error.field;
    this.limit = error.limit;
    this.retryable = error.retryable ?? false;
    /** Seconds. */
    this.retryAfter = error.retry_after;
  }
}
