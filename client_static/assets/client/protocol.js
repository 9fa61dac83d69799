// @ts-check
// The wire protocol, version 1, as far as this client uses it. `docs/protocol.md` is normative.

export const SUBPROTOCOL = "xinflight.v1.json";

/** The close code for missing, invalid or revoked credentials. */
export const UNAUTHORISED = 4401;
/** The close code for expired credentials. */
export const EXPIRED = 4402;

/** The highest seed for which the seed of the last of 64 outputs is still a safe integer. */
export const MAX_SEED = 2 ** 53 - 64 - 1;

/** @typedef {"text2image"|"image2image"|"inpainting"|"edit"|"video"} GenerateKind */
/** @typedef {GenerateKind | "chat"} Kind */

/**
 * The parameters of a `generate` request. Omitted fields take the server's or the model's defaults.
 * @typedef {object} GenerateParams
 * @property {string} [prompt] required, except to start from an image without instructions
 * @property {string} [negative_prompt]
 * @property {string} [model]
 * @property {GenerateKind} [kind] follows from the other fields and the model if omitted
 * @property {string} [image] id of an upload or an output, to start from
 * @property {string[]} [images] ids of further reference images
 * @property {string} [mask] id of the image that tells what of `image` to repaint: what is transparent or white
 * @property {number} [strength] how much to change `image`, more than 0 up to 1
 * @property {number} [n]
 * @property {string} [size] WIDTHxHEIGHT in pixels
 * @property {number} [frames]
 * @property {number} [fps]
 * @property {number} [steps]
 * @property {number} [guidance_scale]
 * @property {number} [seed]
 * @property {string} [task_id] generated if omitted; repeating one attaches to its task
 * @property {string} [lang]
 * @property {string} [group] a name for several tasks, which `cancelAll` accepts
 * @property {boolean} [store] false: deleted once the end and all images were delivered
 */

/**
 * A part of a message: text, an image as a `data:` URL, or an image by the id of an upload or an output.
 * @typedef {{type: "text", text: string} | {type: "image_url", image_url: {url: string}} | {type: "image", image: string}} ChatPart
 */

/**
 * @typedef {object} ChatMessage
 * @property {"system"|"developer"|"user"|"assistant"|"tool"} role
 * @property {string | ChatPart[] | null} [content]
 * @property {string} [name]
 * @property {object[]} [tool_calls]
 * @property {string} [tool_call_id]
 */

/**
 * The parameters of a `chat` request. Omitted fields take the server's or the engine's defaults.
 * @typedef {object} ChatParams
 * @property {ChatMessage[]} messages
 * @property {string} [model]
 * @property {number} [max_tokens]
 * @property {number} [temperature]
 * @property {number} [top_p]
 * @property {string[]} [stop]
 * @property {object[]} [tools]
 * @property {string} [group] a name for several tasks, which `cancelAll` accepts
 * @property {unknown} [metadata] kept with the task, for its clients
 * @property {string} [task_id] generated if omitted; repeating one attaches to its task
 * @property {string} [lang]
 * @property {boolean} [store] false: deleted once its end was delivered
 */

/**
 * What a task was asked for, here or by another client.
 * @typedef {Omit<GenerateParams, "kind"> & Partial<ChatParams> & {kind?: Kind, task_id: string}} TaskRequest
 */

/** @typedef {"queued"|"starting"|"running"|"cancelling"|"completed"|"failed"|"cancelled"|"expired"} State */
/** @typedef {"queued"|"waiting_for_model"|"paused"|"starting"|"generating"|"decoding"|"saving"} Step */
/** @typedef {"never_started"|"stopped"|"running_on"|"unconfirmed"} UpstreamEnd */
/** @typedef {"ready"|"loading"|"no_model"|"unreachable"|"unauthorised"} UpstreamState */

/**
 * The parameters in effect.
 * @typedef {object} Params
 * @property {Kind} [kind] absent means `text2image`
 * @property {string} [prompt]
 * @property {string} [negative_prompt]
 * @property {string} [model]
 * @property {string} [image]
 * @property {string[]} [images]
 * @property {string} [mask]
 * @property {number} [strength]
 * @property {number} n
 * @property {string} [size]
 * @property {number} [frames]
 * @property {number} [fps]
 * @property {number} [steps]
 * @property {number} [guidance_scale]
 * @property {number} [seed]
 * @property {string} [group]
 * @property {boolean} [store]
 */

/**
 * How a chat ended. `truncated`: its messages were probably too long for the model, which did not see their beginning.
 * @typedef {object} ChatEnd
 * @property {string} [finish_reason]
 * @property {{prompt_tokens: number, completion_tokens: number, total_tokens: number}} [usage]
 * @property {object[]} [tool_calls]
 * @property {boolean} [truncated]
 */

/**
 * An output: a file, or the text of a chat, which has no URL, seed, width and height.
 * @typedef {object} OutputRef
 * @property {string} url
 * @property {string} [thumbnail_url] a smaller copy of an image, if there is one worth it
 * @property {string} output_id for `image`, `images` and `mask` of a request
 * @property {number} index
 * @property {number} seed
 * @property {number} width
 * @property {number} height
 * @property {number} [duration] of a video, in seconds
 * @property {number} bytes
 * @property {string} media_type
 * @property {string} [text]
 * @property {string} [reasoning]
 * @property {ChatEnd} [chat]
 * @property {boolean} [incomplete] of a text that broke off or still grows
 * @property {boolean} [starred] in a list only
 * @property {string[]} [tags] in a list only
 * @property {boolean} [deleted] in an event only: it was deleted since, and has neither URL nor text
 */

/**
 * What the owner noted of an output, and whether it was deleted.
 * @typedef {object} OutputMarks
 * @property {number} index
 * @property {boolean} [starred]
 * @property {string[]} [tags]
 * @property {boolean} [deleted]
 */

/**
 * What a person has set for pages, on all devices. What is absent is not set.
 * @typedef {object} Preferences
 * @property {"light"|"dark"|"system"} [theme]
 * @property {string} [language]
 * @property {boolean} [notifications]
 * @property {boolean} [sound]
 * @property {Record<string, string | number | boolean | null>} [dock] settings of the form
 */

/** @typedef {{name: string, settings: Record<string, string | number | boolean | null>, prompt?: string}} Preset */
/** @typedef {{save?: Preset[], delete?: string[]}} PresetsChange names to delete, and then presets to save */

/** @typedef {{state: UpstreamState, message: string, cure: string}} Upstream */
/** @typedef {{task_id: string, was: State | "unknown", index?: number}} CancelledTask */
/** @typedef {{attempt?: number, retry_reason?: string, elapsed?: number, upstream?: UpstreamEnd}} Details */

/**
 * The place of a waiting output.
 * @typedef {object} QueuedOutput
 * @property {string} task_id
 * @property {number} index
 * @property {number} [position] 1 is the next one; absent while it is paused
 * @property {number} [estimated_time] seconds until the output is ready
 * @property {Step} [step] `waiting_for_model` or `paused`; absent means `queued`
 */

/**
 * @typedef {object} ModelInfo
 * @property {string} id
 * @property {Kind[]} kinds what it can do
 * @property {("text" | "image")[]} [starts_from] of a video
 * @property {Kind[]} [default_for] the kinds for which it is used if a request names no model
 * @property {boolean} default
 * @property {string} [size]
 * @property {number} [frames]
 * @property {number} [fps]
 * @property {number} [steps]
 * @property {number} [guidance_scale]
 * @property {boolean} defaults_known
 * @property {boolean} true_cancel
 * @property {number} replicas
 */

/**
 * @typedef {object} Limits
 * @property {number} prompt_length
 * @property {number} outputs
 * @property {number} size_min
 * @property {number} size_max
 * @property {number} size_multiple
 * @property {number} frames
 * @property {number} [upload_bytes] absent: images can't be uploaded
 * @property {number} steps
 * @property {number} guidance_scale
 * @property {number} undo_seconds for which a deleted output can be restored
 * @property {number} frame_bytes
 * @property {number} chat_bytes
 */

/**
 * @typedef {object} Welcome
 * @property {"welcome"} type
 * @property {string} connection_id
 * @property {string} owner
 * @property {boolean} [admin]
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
 * A task in a list; `created` and `ended` in Unix seconds.
 * @typedef {object} TaskInfo
 * @property {string} task_id
 * @property {State} state
 * @property {number} created
 * @property {number} [ended]
 * @property {Params} params
 * @property {OutputRef[]} [data]
 * @property {number[]} [failed]
 * @property {{index: number, code: string}[]} [failures] why they failed
 * @property {number[]} [cancelled]
 * @property {number[]} [deleted] indices of outputs that were deleted
 * @property {string} [code]
 * @property {unknown} [metadata]
 */

/** @typedef {{type: "ok", ref?: string, tasks: CancelledTask[]}} Ok */
/** @typedef {{type: "tasks", ref?: string, tasks: TaskInfo[], next?: string, cursor: string}} Tasks */
/** @typedef {{type: "recovered", ref?: string, recovered: boolean, cursor: string, unknown?: string[]}} Recovered */
/** @typedef {{type: "pong", ref?: string, nonce?: string}} Pong */

/**
 * @typedef {object} Notice
 * @property {"notice"} type
 * @property {"draining"|"upstream"|"deleted"|"erased"|"expiring"|"preferences"|"presets"|"host"} kind
 * @property {string} message
 * @property {Upstream} [upstream]
 * @property {ModelInfo[]} [models]
 * @property {string} [task_id] the deleted task
 * @property {number} [seconds] until the credentials expire
 * @property {number} [version] of the preferences or presets
 * @property {Preferences} [preferences]
 */

// Stored events have a `seq` on the wire; snapshots, and events that are made here of a list, have none.

/**
 * @typedef {object} Accepted
 * @property {"accepted"} type
 * @property {string} task_id
 * @property {number} [seq]
 * @property {Params} params
 * @property {number} timestamp
 * @property {unknown} [metadata]
 */

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
 * @property {number} [estimated_time] seconds until the output is ready
 * @property {"upstream"|"estimate"} source
 * @property {string} [message]
 * @property {Details} [details]
 */

/**
 * The waiting outputs of the owner, the next one first; at most 200 of `waiting`.
 * @typedef {object} Queue
 * @property {"queue"} type
 * @property {QueuedOutput[]} [outputs]
 * @property {number} [waiting]
 * @property {boolean} [paused] whether the owner has paused everything
 * @property {boolean} [held] whether an admin holds the server
 */

/** @typedef {{type: "output", task_id: string, seq?: number} & OutputRef} OutputEvent */

/**
 * All marks of a task; an output that is not listed has none. It may follow the end.
 * @typedef {{type: "marked", task_id: string, seq?: number, outputs: OutputMarks[]}} Marked
 */

/**
 * New text of a chat. It may repeat or overlap what came before.
 * @typedef {object} Delta
 * @property {"delta"} type
 * @property {string} task_id
 * @property {number} [seq]
 * @property {number} index
 * @property {number} offset where it begins, in Unicode code points
 * @property {string} text
 * @property {"text"|"reasoning"} [channel] absent means `text`
 */

/**
 * @typedef {object} Result
 * @property {"result"} type
 * @property {string} task_id
 * @property {number} [seq]
 * @property {{created: number, data: OutputRef[]}} data
 * @property {number[]} [failed]
 * @property {number[]} [cancelled]
 * @property {{index: number, code: string}[]} [failures]
 */

/**
 * `upstream` and `seconds` are missing if the event comes from a list.
 * @typedef {object} Cancelled
 * @property {"cancelled"} type
 * @property {string} task_id
 * @property {number} [seq]
 * @property {UpstreamEnd} [upstream]
 * @property {number} [seconds]
 * @property {OutputRef[]} [data]
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
 * @property {OutputRef[]} [data]
 */

/** @typedef {{type: "preferences", ref?: string, version: number, preferences: Preferences}} PreferencesAnswer */
/** @typedef {{type: "presets", ref?: string, version: number, presets: Preset[]}} PresetsAnswer */
/** @typedef {Ack | Ok | Pong | Tasks | Recovered | PreferencesAnswer | PresetsAnswer} Answer */
/** @typedef {Result | Cancelled | ErrorMessage} End */
/** @typedef {Accepted | Progress | Delta | OutputEvent | End} TaskEvent */
/** @typedef {Welcome | Answer | Notice | Queue | Marked | TaskEvent} ServerMessage */

/**
 * Tell whether a client should reconnect after a close code. Not after codes that would recur: the protocol errors of
 * RFC 6455, and xinflight's 44xx, but for expired credentials: new ones may be there.
 * @param {number} code
 */
export function reconnects(code) {
  const fatal = [1002, 1003, 1007, 1008, 1009, 1010];
  return code === EXPIRED || (!fatal.includes(code) && !(code >= 4400 && code < 4500));
}

/** Generate a random id. `randomUUID` does not exist in insecure contexts (plain HTTP from another machine). */
export function randomId() {
  if (crypto.randomUUID) return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** A refusal of the server, or a failure detected by this client. */
export class XinflightError extends Error {
  /** @param {Omit<ErrorMessage, "type">} error */
  constructor(error) {
    super(error.message || error.code);
    this.name = "XinflightError";
    this.details = error;
    this.code = error.code;
    this.field = error.field;
    this.limit = error.limit;
    this.retryable = error.retryable ?? false;
    /** Seconds. */
    this.retryAfter = error.retry_after;
  }
}
