// The messages of xinflight, generated from its structs by `make specs`. See docs/protocol.md.
// For the sub-protocol xinflight.v1.json and HTTP. In MessagePack, `b64_json` is a Uint8Array.

/** Start to generate images or a video. Bounds here are those of the protocol; settings may be narrower. */
export interface Generate {
  /** Kind of the request. */
  action: "generate";
  /** Echoed in the direct answer. (up to 64 characters) */
  ref?: string | null;
  /** A `welcome.models[].id` or a pool of the server. Default: the default model of the kind. (1 to 200 characters) */
  model?: string | null;
  /** Id of the task, which makes the message safe to repeat. Default: chosen by the server. (matches `^[A-Za-z0-9._:~-]{1,64}$`) */
  task_id?: string | null;
  /** Name for several tasks, which `cancel` and `list` accept. (matches `^[A-Za-z0-9._:~-]{1,64}$`) */
  group?: string | null;
  /** Seconds from acceptance until the task expires. Default: the server's setting. (more than 0, up to 604800) */
  timeout?: number | null;
  /** What to do once the owner has been disconnected for a while: finish or cancel the task. (default continue) */
  on_disconnect?: "cancel" | "continue";
  /** Higher priorities go first, equal priorities in order of acceptance. (integer; -100 to 100; default 0) */
  priority?: number;
  /** Any JSON up to `limits.metadata_bytes`, stored with the task and echoed. */
  metadata?: unknown;
  /** Language of the texts about this task: `en` or `zh-CN`. Default: the connection's. (up to 35 characters) */
  lang?: string | null;
  /** Trace that the task belongs to (W3C Trace Context). Ignored if malformed. Default: that of the HTTP request. */
  traceparent?: string | null;
  /** False: delete the task and what was made once its end and all outputs were delivered. (default True) */
  store?: boolean;
  /** What the output should show, or how to change `image`. Required, except for `image2image` and in a `generate` without any field. */
  prompt?: string | null;
  /** What the image should not show. */
  negative_prompt?: string | null;
  /** What to do. Default: follows from the other fields and from what the model can. */
  kind?: "edit" | "image2image" | "inpainting" | "text2image" | "video" | null;
  /** Image to start from: id of an upload, or of an output of the caller. (matches `^[A-Za-z0-9_-]{8,64}$`) */
  image?: string | null;
  /** Further reference images, for edit models that accept several. (up to 8 entries) */
  images?: string[];
  /** What to repaint of `image`: where this image is transparent, or if opaque, white. (matches `^[A-Za-z0-9_-]{8,64}$`) */
  mask?: string | null;
  /** How much to change `image`. 1 keeps nothing. Default: 0.6, with a mask 1. (more than 0, up to 1) */
  strength?: number | null;
  /** Number of outputs. (integer; 1 to 64; default 1) */
  n?: number;
  /** `WIDTHxHEIGHT` in pixels, multiples of `limits.size_multiple`; for a video it is rounded. Default: that of `image`, else the model's. (matches `^[1-9][0-9]{1,4}x[1-9][0-9]{1,4}$`) */
  size?: string | null;
  /** Video: number of frames, rounded to 4k + 1. Default: the model's. (integer; 1 to 10000) */
  frames?: number | null;
  /** Video: frames per second. Default: the model's. (integer; 1 to 120) */
  fps?: number | null;
  /** Number of inference steps. Default: the model's. (integer; 1 to 1000) */
  steps?: number | null;
  /** How closely to follow the prompt. Default: the model's. (0 to 100) */
  guidance_scale?: number | null;
  /** Seed of output 0. -1 or absent: the server chooses one and returns it in `ack.params`. (integer; -1 to 9007199254740927) */
  seed?: number | null;
  /** `b64_json`: each `output` also contains its file, up to `limits.inline_bytes`. (default url) */
  response_format?: "b64_json" | "url";
}

/** Start a chat completion. Its text arrives as `delta` events; its `output` has all of it. */
export interface Chat {
  /** Kind of the request. */
  action: "chat";
  /** Echoed in the direct answer. (up to 64 characters) */
  ref?: string | null;
  /** A `welcome.models[].id` or a pool of the server. Default: the default model of the kind. (1 to 200 characters) */
  model?: string | null;
  /** Id of the task, which makes the message safe to repeat. Default: chosen by the server. (matches `^[A-Za-z0-9._:~-]{1,64}$`) */
  task_id?: string | null;
  /** Name for several tasks, which `cancel` and `list` accept. (matches `^[A-Za-z0-9._:~-]{1,64}$`) */
  group?: string | null;
  /** Seconds from acceptance until the task expires. Default: the server's setting. (more than 0, up to 604800) */
  timeout?: number | null;
  /** What to do once the owner has been disconnected for a while: finish or cancel the task. (default continue) */
  on_disconnect?: "cancel" | "continue";
  /** Higher priorities go first, equal priorities in order of acceptance. (integer; -100 to 100; default 0) */
  priority?: number;
  /** Any JSON up to `limits.metadata_bytes`, stored with the task and echoed. */
  metadata?: unknown;
  /** Language of the texts about this task: `en` or `zh-CN`. Default: the connection's. (up to 35 characters) */
  lang?: string | null;
  /** Trace that the task belongs to (W3C Trace Context). Ignored if malformed. Default: that of the HTTP request. */
  traceparent?: string | null;
  /** False: delete the task and what was made once its end and all outputs were delivered. (default True) */
  store?: boolean;
  /** The conversation, at most `limits.chat_messages`. No event has it. */
  messages?: ChatMessage[];
  /** Chat: maximum number of tokens to generate. Default: the engine's. (integer; 1 to 10000000) */
  max_tokens?: number | null;
  /** Chat: randomness. Default: the engine's. (0 to 2) */
  temperature?: number | null;
  /** Chat: nucleus sampling. Default: the engine's. (more than 0, up to 1) */
  top_p?: number | null;
  /** Chat: as in OpenAI's API. Default: the engine's. (-2 to 2) */
  presence_penalty?: number | null;
  /** Chat: as in OpenAI's API. Default: the engine's. (-2 to 2) */
  frequency_penalty?: number | null;
  /** Passed on. Not every engine of Xinference reproduces a text by it. (integer; 0 to 9007199254740991) */
  seed?: number | null;
  /** Tools that the model may call, as in OpenAI's API. (up to 128 entries) */
  tools?: unknown[];
  /** As in OpenAI's API, and passed on. */
  tool_choice?: unknown;
  /** Texts at which the model stops. (up to 8 entries) */
  stop?: string[];
}

/** One message of a conversation. `tool_calls` and `tool_call_id` are as in OpenAI's API, and passed on. */
export interface ChatMessage {
  /** Who speaks. */
  role: "assistant" | "developer" | "system" | "tool" | "user";
  /** Text, or parts of text and images. */
  content?: string | (TextPart | ImageUrlPart | ImagePart)[];
  /** Name of the speaker. (up to 200 characters) */
  name?: string;
  /** Calls that the model made. (up to 128 entries) */
  tool_calls?: unknown[];
  /** The call that a `tool` message answers. (up to 200 characters) */
  tool_call_id?: string;
}

/** Text of a message. */
export interface TextPart {
  /** Kind of the message. */
  type: "text";
  /** The text. */
  text: string;
}

/** An image of a message, inline. */
export interface ImageUrlPart {
  /** Kind of the message. */
  type: "image_url";
  /** The image. */
  image_url: ImageUrl;
}

/** An image in the form of OpenAI's API. */
export interface ImageUrl {
  /** The image itself: `data:image/...;base64,...`. (matches `^data:image/[a-z0-9.+-]{1,32};base64,[A-Za-z0-9+/]+={0,2}$`) */
  url: string;
  /** Passed on. */
  detail: string;
}

/** An image of a message, by its id. */
export interface ImagePart {
  /** Kind of the message. */
  type: "image";
  /** Id of an upload, or of an output of the caller. (matches `^[A-Za-z0-9_-]{8,64}$`) */
  image: string;
}

/** Cancel a task, one output of it, a group of tasks, or all tasks of the owner except some. */
export interface Cancel {
  /** Kind of the request. */
  action: "cancel";
  /** Echoed in the direct answer. (up to 64 characters) */
  ref?: string | null;
  /** The task to cancel. Either this, `group` or `scope` is required. (matches `^[A-Za-z0-9._:~-]{1,64}$`) */
  task_id?: string | null;
  /** Cancel only this image. Requires `task_id`. (integer; 0 to 63) */
  index?: number | null;
  /** Cancel all unfinished tasks of this group. (matches `^[A-Za-z0-9._:~-]{1,64}$`) */
  group?: string | null;
  /** Cancel all unfinished tasks of the owner, including those of other connections. */
  scope?: "all" | null;
  /** Admins only: act for this owner. Default: the caller. (1 to 128 characters) */
  owner?: string | null;
  /** Task ids to exclude from `scope` or `group`. (up to 1000 entries) */
  except?: string[];
}

/** Move a waiting task within the owner's own queue. Other owners' tasks keep their turns. */
export interface Move {
  /** Kind of the request. */
  action: "move";
  /** Echoed in the direct answer. (up to 64 characters) */
  ref?: string | null;
  /** The task to move. (matches `^[A-Za-z0-9._:~-]{1,64}$`) */
  task_id: string;
  /** Move it right before this waiting task of the same pool. Either this or `to` is required. (matches `^[A-Za-z0-9._:~-]{1,64}$`) */
  before?: string | null;
  /** Move it before or behind all others of the owner. */
  to?: "first" | "last" | null;
  /** Admins only: act for this owner. Default: the caller. (1 to 128 characters) */
  owner?: string | null;
}

/** Hold the waiting images of a task, or of all tasks of the owner. What runs goes on. */
export interface Pause {
  /** Kind of the request. */
  action: "pause";
  /** Echoed in the direct answer. (up to 64 characters) */
  ref?: string | null;
  /** Id of the task. Either this or `scope` is required. (matches `^[A-Za-z0-9._:~-]{1,64}$`) */
  task_id?: string | null;
  /** All unfinished tasks of the owner, and those submitted until `unpause` with this scope. */
  scope?: "all" | null;
  /** Admins only: act for this owner. Default: the caller. (1 to 128 characters) */
  owner?: string | null;
}

/** Let the waiting images of a task, or of all tasks of the owner, take their turns again. */
export interface Unpause {
  /** Kind of the request. */
  action: "unpause";
  /** Echoed in the direct answer. (up to 64 characters) */
  ref?: string | null;
  /** Id of the task. Either this or `scope` is required. (matches `^[A-Za-z0-9._:~-]{1,64}$`) */
  task_id?: string | null;
  /** All tasks of the owner, and those submitted from now on. */
  scope?: "all" | null;
  /** Admins only: act for this owner. Default: the caller. (1 to 128 characters) */
  owner?: string | null;
}

/** Replay the events after a cursor, of some tasks or of all, then continue live. */
export interface Resume {
  /** Kind of the request. */
  action: "resume";
  /** Echoed in the direct answer. (up to 64 characters) */
  ref?: string | null;
  /** The highest cursor from a stored event, `welcome`, `recovered` or `tasks`. (matches `^[A-Za-z0-9]{1,32}:[0-9]{1,16}$`) */
  after: string;
  /** Ids of the tasks. Either this or `scope` is required. (up to 1000 entries) */
  tasks?: string[] | null;
  /** All tasks of the owner, including future ones. */
  scope?: "all" | null;
}

/** Subscribe to tasks of the owner from another tab or device; `after` replays the events after it first. */
export interface Follow {
  /** Kind of the request. */
  action: "follow";
  /** Echoed in the direct answer. (up to 64 characters) */
  ref?: string | null;
  /** Id of the task. Either this or `scope` is required. (matches `^[A-Za-z0-9._:~-]{1,64}$`) */
  task_id?: string | null;
  /** All tasks of the owner, including future ones. */
  scope?: "all" | null;
  /** Replay the events after this cursor first, `epoch:seq`. Default: from now on. (matches `^[A-Za-z0-9]{1,32}:[0-9]{1,16}$`) */
  after?: string | null;
}

/** Unsubscribe from a task or from all. */
export interface Unfollow {
  /** Kind of the request. */
  action: "unfollow";
  /** Echoed in the direct answer. (up to 64 characters) */
  ref?: string | null;
  /** Id of the task. Either this or `scope` is required. (matches `^[A-Za-z0-9._:~-]{1,64}$`) */
  task_id?: string | null;
  /** All tasks, including those this connection started. */
  scope?: "all" | null;
}

/**
 * List the tasks of the owner, newest first, all or those to which every given field applies.
 *
 * `cursor` is the `next` of the previous page.
 */
export interface ListTasks {
  /** Kind of the request. */
  action: "list";
  /** Echoed in the direct answer. (up to 64 characters) */
  ref?: string | null;
  /** The `next` of the previous page. Default: the first page. (matches `^[0-9]{1,16}$`) */
  cursor?: string | null;
  /** Maximum number of tasks per page. (integer; 1 to 200; default 50) */
  limit?: number;
  /** Only tasks in this state; `unsuccessful`: ended, an image failed or expired. Default: all. */
  state?: "cancelled" | "completed" | "expired" | "failed" | "unfinished" | "unsuccessful" | null;
  /** Only tasks of this group. Default: all. (matches `^[A-Za-z0-9._:~-]{1,64}$`) */
  group?: string | null;
  /** Only tasks with all of these words in prompt, model and tags. Default: all. (1 to 200 characters) */
  search?: string | null;
  /** Only tasks with a starred output. (default False) */
  starred?: boolean;
  /** Only tasks with an output that has this tag. Default: all. (1 to 40 characters) */
  tag?: string | null;
  /** Only tasks of this model. Default: all. (1 to 200 characters) */
  model?: string | null;
  /** Only tasks of this kind. Default: all. */
  kind?: "chat" | "edit" | "image2image" | "inpainting" | "text2image" | "video" | null;
  /** Only tasks accepted at this Unix time or later. Default: all. (0 to 100000000000) */
  since?: number | null;
  /** Only tasks accepted before this Unix time. Default: all. (0 to 100000000000) */
  until?: number | null;
}

/** Delete an ended task and its images for ever, or one finished output, which `restore` can bring back. */
export interface Delete {
  /** Kind of the request. */
  action: "delete";
  /** Echoed in the direct answer. (up to 64 characters) */
  ref?: string | null;
  /** Id of the task. (matches `^[A-Za-z0-9._:~-]{1,64}$`) */
  task_id: string;
  /** Delete only this output. Default: the whole task. (integer; 0 to 63) */
  index?: number | null;
}

/** Star or tag the finished outputs of a task. */
export interface Mark {
  /** Kind of the request. */
  action: "mark";
  /** Echoed in the direct answer. (up to 64 characters) */
  ref?: string | null;
  /** Id of the task. (matches `^[A-Za-z0-9._:~-]{1,64}$`) */
  task_id: string;
  /** Only this output. Default: all outputs of the task that are finished. (integer; 0 to 63) */
  index?: number | null;
  /** Whether they are starred. Default: as before. */
  starred?: boolean | null;
  /** All of their tags, in place of those before. Default: as before. (up to 16 entries) */
  tags?: string[] | null;
}

/** Bring back an output that was deleted less than `limits.undo_seconds` ago. */
export interface Restore {
  /** Kind of the request. */
  action: "restore";
  /** Echoed in the direct answer. (up to 64 characters) */
  ref?: string | null;
  /** Id of the task. (matches `^[A-Za-z0-9._:~-]{1,64}$`) */
  task_id: string;
  /** Index of the output. (integer; 0 to 63) */
  index: number;
}

/** Get the preferences of the owner, after changing some of them. */
export interface Prefer {
  /** Kind of the request. */
  action: "prefer";
  /** Echoed in the direct answer. (up to 64 characters) */
  ref?: string | null;
  /** What to change first. Default: nothing, only get them. */
  change?: PreferencesChange | null;
}

/** Fields of the preferences to replace as a whole, or with null to remove. Others stay as they are. */
export interface PreferencesChange {
  /** Colours of the page. */
  theme?: "dark" | "light" | "system" | null;
  /** Language of the page. (up to 35 characters) */
  language?: string | null;
  /** Whether to notify of what is finished. */
  notifications?: boolean | null;
  /** Whether to play a sound with that. */
  sound?: boolean | null;
  /** Settings of the form for the next generation, by name. */
  dock?: Record<string, unknown> | null;
}

/** Get the presets of the owner, after changing some of them. */
export interface ChangePresets {
  /** Kind of the request. */
  action: "preset";
  /** Echoed in the direct answer. (up to 64 characters) */
  ref?: string | null;
  /** What to change first. Default: nothing, only get them. */
  change?: PresetsChange | null;
}

/** Presets to delete, and then presets to save. Others stay as they are. */
export interface PresetsChange {
  /** Presets to add, or to put in the place of those of the same name. (up to 100 entries) */
  save?: Preset[];
  /** Names of presets to delete first. Unknown ones are no error. (up to 100 entries) */
  delete?: string[];
}

/** Settings of the form under a name. Clients fill the form with them; the server does not look at them. */
export interface Preset {
  /** Name; an owner has one preset of a name. (1 to 60 characters) */
  name: string;
  /** Settings of the form for a generation, by name. */
  settings: Record<string, unknown>;
  /** Text that a client puts around a prompt before it sends that: in place of `{prompt}`, or without `{prompt}` behind the prompt and a comma. (1 to 2000 characters) */
  prompt?: string;
}

/** Request a `pong` with the same nonce. */
export interface Ping {
  /** Kind of the request. */
  action: "ping";
  /** Echoed in the direct answer. (up to 64 characters) */
  ref?: string | null;
  /** Echoed in the answer. (up to 64 characters) */
  nonce?: string | null;
}

/** Present a token: as the first message of a connection, or to extend it before its credentials expire. */
export interface Authenticate {
  /** Kind of the request. */
  action: "authenticate";
  /** Echoed in the direct answer. (up to 64 characters) */
  ref?: string | null;
  /** A token of this server. On an authenticated connection, one of the same owner. (1 to 8000 characters) */
  token: string;
}

/** The first message of a connection: limits, models, the state of Xinference, and the current cursor. */
export interface Welcome {
  /** Kind of the message. */
  type: "welcome";
  /** Protocol version. Absent means 1. (integer) */
  protocol: number;
  /** Id of this connection, which also appears in the server's log. */
  connection_id: string;
  /** The owner of the tasks of this connection. */
  owner: string;
  /** Whether the owner may act for others. Absent means no. */
  admin?: boolean;
  /** Random id created with the server's store. A new one means that the old tasks are gone. */
  epoch: string;
  /** The current position in the owner's events, `epoch:seq`. */
  cursor: string;
  /** Seconds between the server's pings. */
  heartbeat: number;
  /** Limits of this server. */
  limits: Limits;
  /** The models, the default one first. */
  models: ModelInfo[];
  /** State of Xinference. */
  upstream: Upstream;
}

/**
 * The limits of this server. Lengths are in characters, sizes in pixels, times in seconds.
 *
 * Ended tasks are deleted, oldest first, above `history_bytes` or `history_tasks`, and after `history_age`.
 */
export interface Limits {
  /** Maximum length of a prompt, in characters. (integer) */
  prompt_length: number;
  /** Maximum number of images per task. (integer) */
  outputs: number;
  /** Minimum side length in pixels. (integer) */
  size_min: number;
  /** Maximum side length in pixels. (integer) */
  size_max: number;
  /** Sides must be multiples of this number of pixels. (integer) */
  size_multiple: number;
  /** Maximum number of frames of a video. (integer) */
  frames: number;
  /** Maximum number of inference steps. (integer) */
  steps: number;
  /** Maximum guidance scale. */
  guidance_scale: number;
  /** Maximum `timeout` of a `generate`, in seconds. */
  timeout: number;
  /** Maximum number of unfinished tasks per owner. (integer) */
  tasks_per_owner: number;
  /** Maximum number of unfinished tasks per client address. Absent: no limit. (integer) */
  tasks_per_address?: number;
  /** Maximum number of messages and requests per minute and owner. Absent: no limit. (integer) */
  requests_per_minute?: number;
  /** Maximum number of messages and requests per minute and client address. (integer) */
  requests_per_minute_per_address?: number;
  /** Maximum number of WebSockets and streams per owner. Absent: no limit. (integer) */
  connections_per_owner?: number;
  /** Maximum number of WebSockets and streams per client address. (integer) */
  connections_per_address?: number;
  /** Maximum compute seconds per owner and day (UTC). Absent: no limit. */
  seconds_per_day?: number;
  /** Maximum bytes of prompts, messages and metadata of an owner's unfinished tasks. (integer) */
  pending_bytes?: number;
  /** Maximum size of the history in bytes. Above it, the oldest ended tasks are deleted. (integer) */
  history_bytes: number;
  /** Maximum number of ended tasks. Above it, the oldest are deleted. (integer) */
  history_tasks: number;
  /** Seconds for which an output that was deleted can be restored. */
  undo_seconds: number;
  /** Seconds after which ended tasks are deleted. Null means never. */
  history_age: number | null;
  /** Maximum size of an upload, in bytes. Absent: images can't be uploaded here. (integer) */
  upload_bytes?: number;
  /** Maximum number of pixels of an upload. (integer) */
  upload_pixels?: number;
  /** Maximum number of uploads of an owner. (integer) */
  uploads_per_owner?: number;
  /** Maximum bytes of all uploads of an owner. (integer) */
  uploads_bytes?: number;
  /** Maximum size of a `chat`, in bytes. (integer) */
  chat_bytes: number;
  /** Maximum number of messages in a `chat`. (integer) */
  chat_messages: number;
  /** Maximum size of image files sent as `b64_json` in one message, in bytes. (integer) */
  inline_bytes: number;
  /** Maximum size of a frame or an HTTP body other than a `chat`, in bytes. (integer) */
  frame_bytes: number;
  /** Maximum size of metadata, in bytes of JSON. (integer) */
  metadata_bytes: number;
}

/**
 * A model, what it can do, and the defaults for a request that names no values.
 *
 * `defaults_known` is false if steps or guidance scale are the model's own and not known beforehand.
 * `true_cancel` is false if a running generation can't be stopped, only abandoned.
 */
export interface ModelInfo {
  /** The value for `model` in a `generate`. */
  id: string;
  /** What it can do. */
  kinds: ("chat" | "edit" | "image2image" | "inpainting" | "text2image" | "video")[];
  /** The kinds for which it is used if a request names no model. */
  default_for?: ("chat" | "edit" | "image2image" | "inpainting" | "text2image" | "video")[];
  /** Whether a `generate` with nothing but a prompt uses this model. */
  default: boolean;
  /** Default for a `generate` without `size`. Absent for chat. */
  size?: string;
  /** Video: default number of frames. (integer) */
  frames?: number;
  /** Video: default frames per second. (integer) */
  fps?: number;
  /** Video: what it can start from, a prompt alone (`text`), or an `image` and a prompt. */
  starts_from?: ("image" | "text")[];
  /** Default for a `generate` without `steps`. (integer) */
  steps?: number;
  /** Default for a `generate` without `guidance_scale`. */
  guidance_scale?: number;
  /** Chat: number of tokens that messages and answer may have together, if known. (integer) */
  context_length?: number;
  /** False if steps or guidance scale are the model's own and not known beforehand. */
  defaults_known: boolean;
  /** False if a running generation can't be stopped, only abandoned. */
  true_cancel: boolean;
  /** Number of replicas. (integer) */
  replicas: number;
  /** Number of outputs that the model generates at once. (integer) */
  slots: number;
}

/** The state of Xinference and what to do about it, in the language of the subscriber. */
export interface Upstream {
  /** State of Xinference. */
  state: UpstreamState;
  /** Text for people. Never contains a prompt or upstream text. Programs must not parse it. */
  message: string;
  /** What to do about it. Empty if the state is `ready`. */
  cure: string;
}

/** Information for a connection, an owner or everyone that belongs to no task. */
export interface Notice {
  /** Kind of the message. */
  type: "notice";
  /** What the notice is about. */
  kind: "deleted" | "draining" | "erased" | "expiring" | "host" | "preferences" | "presets" | "upstream";
  /** Text for people. Never contains a prompt or upstream text. Programs must not parse it. */
  message: string;
  /** Unix time in seconds, with fractions. */
  timestamp: number;
  /** Kind `upstream` only: as in `welcome`. */
  upstream?: Upstream;
  /** Kind `upstream` only: replaces the models of `welcome`. */
  models?: ModelInfo[];
  /** Kind `deleted` only: id of the deleted task. */
  task_id?: string;
  /** Kind `expiring` only: seconds until the credentials expire. */
  seconds?: number;
  /** Kinds `preferences` and `presets` only: as in the messages of these names. (integer) */
  version?: number;
  /** Kind `preferences` only: all that is set now. */
  preferences?: Preferences;
}

/** What a person has set for pages like that of the server, on whichever device. What is absent is not set. */
export interface Preferences {
  /** Colours of the page. */
  theme?: "dark" | "light" | "system";
  /** Language of the page, such as `zh-CN`. (up to 35 characters) */
  language?: string;
  /** Whether to notify of what is finished. */
  notifications?: boolean;
  /** Whether to play a sound with that. */
  sound?: boolean;
  /** Settings of the form for the next generation, by name. */
  dock?: Record<string, unknown>;
}

/** A generation is accepted. Sent before any other message about the task. */
export interface Ack {
  /** Kind of the message. */
  type: "ack";
  /** Echoed in the direct answer. */
  ref?: string;
  /** Id of the task. */
  task_id: string;
  /** Id of this connection, which also appears in the server's log. */
  connection_id: string;
  /** Text for people. Never contains a prompt or upstream text. Programs must not parse it. */
  message: string;
  /** Unix time in seconds, with fractions. */
  timestamp: number;
  /** The effective parameters. */
  params: Params;
  /** State of the task. */
  state: State;
  /** Names of fields whose values were rounded; `params` has those in effect. */
  adjusted?: string[];
  /** Names of unknown fields that were ignored, at most 16. */
  ignored?: string[];
  /** Any JSON up to `limits.metadata_bytes`, stored with the task and echoed. */
  metadata?: unknown;
}

/**
 * The effective parameters of a task; which of them there are depends on its kind.
 *
 * `steps` and `guidance_scale` are absent if the model's own apply.
 */
export interface Params {
  /** What the task does. Absent means `text2image`. */
  kind?: "chat" | "edit" | "image2image" | "inpainting" | "text2image" | "video";
  /** What the output should show, or how to change `image`. */
  prompt?: string;
  /** What the image should not show. */
  negative_prompt?: string;
  /** Id or pool of the model. Absent until one is assigned. */
  model?: string;
  /** Name that the task shares with others. */
  group?: string;
  /** Id of the image to start from. */
  image?: string;
  /** Ids of further reference images. */
  images?: string[];
  /** Id of the mask. */
  mask?: string;
  /** How much `image` is changed. 1 keeps nothing. */
  strength?: number;
  /** Number of outputs. (integer) */
  n: number;
  /** `WIDTHxHEIGHT` in pixels. Absent for texts, and if the model decides. */
  size?: string;
  /** Video: number of frames. (integer) */
  frames?: number;
  /** Video: frames per second. (integer) */
  fps?: number;
  /** Absent if the model's own applies. (integer) */
  steps?: number;
  /** Absent if the model's own applies. */
  guidance_scale?: number;
  /** Seed to reproduce the output. Output `index` is generated with `seed + index`. (integer) */
  seed?: number;
  /** Chat: maximum number of tokens to generate. Default: the engine's. (integer; 1 to 10000000) */
  max_tokens?: number;
  /** Chat: randomness. Default: the engine's. (0 to 2) */
  temperature?: number;
  /** Chat: nucleus sampling. Default: the engine's. (more than 0, up to 1) */
  top_p?: number;
  /** Chat: as in OpenAI's API. Default: the engine's. (-2 to 2) */
  presence_penalty?: number;
  /** Chat: as in OpenAI's API. Default: the engine's. (-2 to 2) */
  frequency_penalty?: number;
  /** Chat: texts at which the model stops. */
  stop?: string[];
  /** Seconds from acceptance until the task expires. */
  timeout: number;
  /** `continue` or `cancel`, as in the request. */
  on_disconnect: string;
  /** Higher priorities go first, equal priorities in order of acceptance. (integer) */
  priority?: number;
  /** `b64_json`: each `output` also contains its file, up to `limits.inline_bytes`. */
  response_format?: string;
  /** False: the task and what was made are deleted once they were delivered. */
  store?: boolean;
}

/** A request succeeded. Per task, its state when the request arrived, or `unknown`. */
export interface Ok {
  /** Kind of the message. */
  type: "ok";
  /** Echoed in the direct answer. */
  ref?: string;
  /** One entry per task. */
  tasks: CancelledTask[];
}

/** A task and its state when the request about it arrived. */
export interface CancelledTask {
  /** Id of the task. */
  task_id: string;
  /** State when the request arrived, or `unknown`. */
  was: string;
  /** Index of the image, if one was given. (integer) */
  index?: number;
}

/**
 * The replay is over; live events follow. If `recovered` is false, there is a gap and only snapshots were sent.
 *
 * `unknown` lists requested task ids that don't exist.
 */
export interface Recovered {
  /** Kind of the message. */
  type: "recovered";
  /** Echoed in the direct answer. */
  ref?: string;
  /** False if there is a gap and nothing was replayed. Use `list` then. */
  recovered: boolean;
  /** A position in the order of the owner's events, `epoch:seq`. */
  cursor: string;
  /** Requested task ids that don't exist. */
  unknown?: string[];
}

/**
 * A page of the owner's tasks, newest first. `next` is absent on the last page.
 *
 * Resuming after `cursor` returns every event since the page was created.
 */
export interface Tasks {
  /** Kind of the message. */
  type: "tasks";
  /** Echoed in the direct answer. */
  ref?: string;
  /** One entry per task. */
  tasks: TaskInfo[];
  /** The `cursor` of the next page. Absent on the last page. */
  next?: string;
  /** A position in the order of the owner's events, `epoch:seq`. */
  cursor: string;
}

/**
 * The current state of one task in the history.
 *
 * `created` and `ended` are Unix seconds; `failed`, `failures` and `cancelled` are as in `result`, `code` as in
 * `error`.
 */
export interface TaskInfo {
  /** Id of the task. */
  task_id: string;
  /** State of the task. */
  state: State;
  /** Time of acceptance, Unix time in seconds. */
  created: number;
  /** Unix time in seconds. Absent while the task is unfinished. */
  ended?: number;
  /** The effective parameters. */
  params: Params;
  /** The finished outputs, ordered by index; of a chat that broke off, its text so far. */
  data?: OutputRef[];
  /** Indices of the images that failed or expired. */
  failed?: number[];
  /** Index and error code of each failed image. */
  failures?: Failure[];
  /** Indices of the images that were cancelled. */
  cancelled?: number[];
  /** Indices of the outputs that were deleted. */
  deleted?: number[];
  /** For a failed task: error code, as in `error`. */
  code?: ErrorCode;
  /** Whether its waiting images are held until an `unpause`. */
  paused?: boolean;
  /** Any JSON up to `limits.metadata_bytes`, stored with the task and echoed. */
  metadata?: unknown;
  /** Names of fields whose values were rounded; `params` has those in effect. */
  adjusted?: string[];
  /** Names of unknown fields that were ignored, at most 16. */
  ignored?: string[];
}

/**
 * A finished output: a file, or the text of a chat. `url` is filled in for each subscriber when it is sent.
 *
 * `b64_json` is the file itself, if requested: base64 in JSON, bytes in MessagePack.
 */
export interface OutputRef {
  /** URL of the file. Requires the credentials of its owner, or is signed, and then expires. */
  url: string;
  /** URL of a WebP of at most 512 pixels on its longer side, for which the same holds as for `url`. Absent for videos and texts, for images that are as small, and if the server can't make any: use `url` then. */
  thumbnail_url?: string;
  /** Id of the output, for `image`, `images` and `mask` of a `generate`. */
  output_id?: string;
  /** The file itself, if requested: base64 in JSON, bytes in MessagePack. */
  b64_json?: string;
  /** Index of the output in its task, from 0. (integer) */
  index: number;
  /** Seed to reproduce the output. Output `index` is generated with `seed + index`. (integer) */
  seed?: number;
  /** Width in pixels. Absent for a text. (integer) */
  width?: number;
  /** Height in pixels. Absent for a text. (integer) */
  height?: number;
  /** Video: its length in seconds. */
  duration?: number;
  /** Size in bytes. (integer) */
  bytes: number;
  /** `image/jpeg`, `image/png`, `image/webp`, `video/mp4`, or of a text `text/plain`. */
  media_type: string;
  /** Chat: the whole text, in place of a file. */
  text?: string;
  /** Chat: what the model thought before, if it tells that apart from its text. */
  reasoning?: string;
  /** Chat: how it ended. */
  chat?: ChatEnd;
  /** Chat: true if the text broke off, since the task failed or was cancelled. */
  incomplete?: boolean;
  /** Whether the owner starred it. */
  starred?: boolean;
  /** The owner's tags of it, in the order in which they were given. */
  tags?: string[];
}

/** How a chat ended: why it stopped, the tokens it took, and what the model wants to call. */
export interface ChatEnd {
  /** `stop`, `length`, `tool_calls`, or another word of the engine. */
  finish_reason?: string;
  /** Tokens, if the engine has told. */
  usage?: TokenUsage;
  /** Calls that the model makes, as in OpenAI's API. */
  tool_calls?: unknown[];
  /** True if the messages filled the context, so that Xinference has probably cut their beginning, which it does not say. */
  truncated?: boolean;
}

/** Tokens of a chat, as Xinference counts them. */
export interface TokenUsage {
  /** Tokens of the messages, after Xinference has shortened them. (integer) */
  prompt_tokens: number;
  /** Tokens of the answer. (integer) */
  completion_tokens: number;
  /** Their sum. (integer) */
  total_tokens: number;
}

/** Why one of several images failed. */
export interface Failure {
  /** Index of the output in its task, from 0. (integer) */
  index: number;
  /** Stable error code. Handle an unknown code according to `retryable`. */
  code: ErrorCode;
}

/** The preferences of the owner. `version` rises with each change; the last change of a field counts. */
export interface PreferencesMessage {
  /** Kind of the message. */
  type: "preferences";
  /** Echoed in the direct answer. */
  ref?: string;
  /** Rises with each change. 0: nothing was ever set. (integer) */
  version: number;
  /** What is set. */
  preferences: Preferences;
}

/** The presets of the owner. `version` rises with each change. */
export interface PresetsMessage {
  /** Kind of the message. */
  type: "presets";
  /** Echoed in the direct answer. */
  ref?: string;
  /** Rises with each change. 0: there was never one. (integer) */
  version: number;
  /** All of them, those saved first before the others. */
  presets: Preset[];
}

/** The answer to a ping. */
export interface Pong {
  /** Kind of the message. */
  type: "pong";
  /** Echoed in the direct answer. */
  ref?: string;
  /** Echoed in the answer. */
  nonce?: string;
}

/** A refusal, or with `seq` and `state` the end of a task. */
export interface Error {
  /** Kind of the message. */
  type: "error";
  /** Stable error code. Handle an unknown code according to `retryable`. */
  code: ErrorCode;
  /** Text for people. Never contains a prompt or upstream text. Programs must not parse it. */
  message: string;
  /** Unix time in seconds, with fractions. */
  timestamp: number;
  /** The `ref` of the refused message, if it could be decoded. */
  ref?: string;
  /** End: id of the task. Refusal: the id in the refused message; the task is not affected. */
  task_id?: string;
  /** End only: position in the order of the owner's events. (integer) */
  seq?: number;
  /** End only: `failed` or `expired`. */
  state?: State;
  /** End only: the step in which the task failed. */
  step?: Step;
  /** The field that is invalid. */
  field?: string;
  /** The bound that was exceeded, as text for people. */
  limit?: string;
  /** Whether the same request may succeed later. */
  retryable: boolean;
  /** Seconds to wait before retrying, if known. */
  retry_after?: number;
  /** Reserved. */
  details?: Details;
  /** The finished outputs, ordered by index; of a chat that broke off, its text so far. */
  data?: OutputRef[];
  /** Any JSON up to `limits.metadata_bytes`, stored with the task and echoed. */
  metadata?: unknown;
}

/**
 * Details of an attempt: its number, why the previous one ended, and seconds since it was sent.
 *
 * `upstream` is what the cancel of this image achieved.
 */
export interface Details {
  /** Number of this attempt. Absent means the first. (integer) */
  attempt?: number;
  /** Error code that ended the previous attempt. */
  retry_reason?: ErrorCode;
  /** Seconds since the request of this attempt was sent. */
  elapsed?: number;
  /** For a cancelled image: what the cancel achieved. */
  upstream?: CancelOutcome;
}

/** The first stored event of a task. */
export interface Accepted {
  /** Kind of the message. */
  type: "accepted";
  /** Id of the task. */
  task_id: string;
  /** Position in the order of the owner's events. Increases; gaps have no meaning. (integer) */
  seq: number;
  /** Text for people. Never contains a prompt or upstream text. Programs must not parse it. */
  message: string;
  /** Unix time in seconds, with fractions. */
  timestamp: number;
  /** The effective parameters. */
  params: Params;
  /** Any JSON up to `limits.metadata_bytes`, stored with the task and echoed. */
  metadata?: unknown;
}

/** Progress of one image: 0 to 99 percent, and the estimated seconds until it is finished. */
export interface Progress {
  /** Kind of the message. */
  type: "progress";
  /** Id of the task. */
  task_id: string;
  /** Text for people. Never contains a prompt or upstream text. Programs must not parse it. */
  message: string;
  /** Unix time in seconds, with fractions. */
  timestamp: number;
  /** Index of the output in its task, from 0. (integer) */
  index: number;
  /** State of this image. `cancelled` and `failed` end the image, not the task. */
  state: State;
  /** Percent. 100 comes only with the result. Never decreases within an attempt. (integer; 0 to 99) */
  progress: number;
  /** What is currently being done. */
  step: Step;
  /** Number of finished inference steps, if known. (integer) */
  step_index?: number;
  /** Total number of inference steps, if known. (integer) */
  step_count?: number;
  /** Position of a waiting image in the queue of its models. 1 is the next one. (integer) */
  position?: number;
  /** Seconds until this image is finished, including the wait. Absent if unknown. */
  estimated_time?: number;
  /** `upstream`: reported by the model. `estimate`: the model has not reported any yet. */
  source: "estimate" | "upstream";
  /** Additional information. */
  details?: Details;
}

/**
 * Snapshot of the owner's waiting images that a client follows: their places and waiting times.
 *
 * Each replaces the one before. It is never stored and has no `seq`.
 */
export interface Queue {
  /** Kind of the message. */
  type: "queue";
  /** Unix time in seconds, with fractions. */
  timestamp: number;
  /** The waiting images, the next one first, at most 200. Paused ones are last. */
  outputs?: QueuedOutput[];
  /** Number of waiting images, including those beyond the list. (integer) */
  waiting?: number;
  /** Whether the owner has paused everything, including what is submitted from now on. */
  paused?: boolean;
  /** Whether an admin holds the server: nothing of anybody is started until that ends. */
  held?: boolean;
}

/** A waiting image. `step` is what it waits for: its turn, a model, or an `unpause`. */
export interface QueuedOutput {
  /** Id of the task. */
  task_id: string;
  /** Index of the output in its task, from 0. (integer) */
  index: number;
  /** Position of a waiting image in the queue of its models. 1 is the next one. (integer) */
  position?: number;
  /** Seconds until this image is finished, including the wait. Absent if unknown. */
  estimated_time?: number;
  /** `waiting_for_model` or `paused`. Absent means `queued`: it waits for its turn. */
  step?: Step;
}

/** New text of a chat. Write it at `offset`: deltas may be merged, and may repeat text that is there already. */
export interface Delta {
  /** Kind of the message. */
  type: "delta";
  /** Id of the task. */
  task_id: string;
  /** Position in the order of the owner's events. Increases; gaps have no meaning. (integer) */
  seq: number;
  /** Text for people. Never contains a prompt or upstream text. Programs must not parse it. */
  message: string;
  /** Unix time in seconds, with fractions. */
  timestamp: number;
  /** Index of the output in its task, from 0. (integer) */
  index: number;
  /** Where the text belongs, in Unicode code points from the beginning. (integer) */
  offset: number;
  /** The new text. */
  text: string;
  /** Which text it belongs to. Absent means `text`. */
  channel?: "reasoning" | "text";
}

/** One output is finished: a file, or the text of a chat. */
export interface OutputEvent {
  /** Kind of the message. */
  type: "output";
  /** Id of the task. */
  task_id: string;
  /** Position in the order of the owner's events. Increases; gaps have no meaning. (integer) */
  seq: number;
  /** Text for people. Never contains a prompt or upstream text. Programs must not parse it. */
  message: string;
  /** Unix time in seconds, with fractions. */
  timestamp: number;
  /** Index of the output in its task, from 0. (integer) */
  index: number;
  /** URL of the file. Requires the credentials of its owner, or is signed, and then expires. */
  url: string;
  /** URL of a WebP of at most 512 pixels on its longer side, for which the same holds as for `url`. Absent for videos and texts, for images that are as small, and if the server can't make any: use `url` then. */
  thumbnail_url?: string;
  /** Id of the output, for `image`, `images` and `mask` of a `generate`. */
  output_id?: string;
  /** The file itself, if requested: base64 in JSON, bytes in MessagePack. */
  b64_json?: string;
  /** Seed to reproduce the output. Output `index` is generated with `seed + index`. (integer) */
  seed?: number;
  /** Width in pixels. Absent for a text. (integer) */
  width?: number;
  /** Height in pixels. Absent for a text. (integer) */
  height?: number;
  /** Video: its length in seconds. */
  duration?: number;
  /** Size in bytes. (integer) */
  bytes: number;
  /** `image/jpeg`, `image/png`, `image/webp`, `video/mp4`, or of a text `text/plain`. */
  media_type: string;
  /** Chat: the whole text, in place of a file. */
  text?: string;
  /** Chat: what the model thought before, if it tells that apart from its text. */
  reasoning?: string;
  /** Chat: how it ended. */
  chat?: ChatEnd;
  /** True if it was deleted since: then it has no URL and no text. */
  deleted?: boolean;
}

/**
 * Outputs of a task were starred, tagged, deleted or restored. It may follow the end of the task.
 *
 * It has all marks of the task, and takes the place of the one before, which is not replayed any more.
 */
export interface Marked {
  /** Kind of the message. */
  type: "marked";
  /** Id of the task. */
  task_id: string;
  /** Position in the order of the owner's events. Increases; gaps have no meaning. (integer) */
  seq: number;
  /** Text for people. Never contains a prompt or upstream text. Programs must not parse it. */
  message: string;
  /** Unix time in seconds, with fractions. */
  timestamp: number;
  /** Outputs with a star or tags, and those that were deleted; no others. */
  outputs: OutputMarks[];
}

/** What the owner noted of an output, and whether it was deleted. */
export interface OutputMarks {
  /** Index of the output in its task, from 0. (integer) */
  index: number;
  /** Whether the owner starred it. */
  starred?: boolean;
  /** The owner's tags of it, in the order in which they were given. */
  tags?: string[];
  /** True: it was deleted. `restore` may bring it back. */
  deleted?: boolean;
}

/** The end of a completed task, which has at least one image. */
export interface Result {
  /** Kind of the message. */
  type: "result";
  /** Id of the task. */
  task_id: string;
  /** Position in the order of the owner's events. Increases; gaps have no meaning. (integer) */
  seq: number;
  /** Text for people. Never contains a prompt or upstream text. Programs must not parse it. */
  message: string;
  /** Unix time in seconds, with fractions. */
  timestamp: number;
  /** The images, in the form that OpenAI-style clients expect. */
  data: ResultData;
  /** Always 100. (integer) */
  progress: number;
  /** Always `completed`. */
  status: string;
  /** Indices of the images that failed or expired. */
  failed?: number[];
  /** Indices of the images that were cancelled. */
  cancelled?: number[];
  /** Index and error code of each failed image. */
  failures?: Failure[];
  /** Any JSON up to `limits.metadata_bytes`, stored with the task and echoed. */
  metadata?: unknown;
}

/** The images in the form that OpenAI-style clients expect. `created` is Unix time in seconds. */
export interface ResultData {
  /** Unix time in seconds. (integer) */
  created: number;
  /** The finished outputs, ordered by index; of a chat that broke off, its text so far. */
  data: OutputRef[];
}

/** The end of a cancelled task. `seconds` is the time between the cancel and this end. */
export interface Cancelled {
  /** Kind of the message. */
  type: "cancelled";
  /** Id of the task. */
  task_id: string;
  /** Position in the order of the owner's events. Increases; gaps have no meaning. (integer) */
  seq: number;
  /** Text for people. Never contains a prompt or upstream text. Programs must not parse it. */
  message: string;
  /** Unix time in seconds, with fractions. */
  timestamp: number;
  /** What the cancel achieved. */
  upstream: CancelOutcome;
  /** Seconds from the cancel to this end. */
  seconds: number;
  /** The finished outputs, ordered by index; of a chat that broke off, its text so far. */
  data?: OutputRef[];
  /** Any JSON up to `limits.metadata_bytes`, stored with the task and echoed. */
  metadata?: unknown;
}

/** The body of a cancel: one image of the task, or all of it. */
export interface CancelBody {
  /** Cancel only this image. Default: the whole task. (integer; 0 to 63) */
  index?: number | null;
}

/** The body of a move: exactly one of its fields. */
export interface MoveBody {
  /** Move it right before this waiting task of the same pool. (matches `^[A-Za-z0-9._:~-]{1,64}$`) */
  before?: string | null;
  /** Move it before or behind all others of the owner. */
  to?: "first" | "last" | null;
}

/** The body of a mark: stars and tags of one output of the task, or of all finished ones. */
export interface MarkBody {
  /** Only this output. Default: all outputs of the task that are finished. (integer; 0 to 63) */
  index?: number | null;
  /** Whether they are starred. Default: as before. */
  starred?: boolean | null;
  /** All of their tags, in place of those before. Default: as before. (up to 16 entries) */
  tags?: string[] | null;
}

/** Tags of the owner, sorted without regard to case. To get others, ask for those that begin with something. */
export interface TagsInfo {
  /** One entry per tag. */
  tags: string[];
}

/** The preferences of the owner. `version` rises with each change; the last change of a field counts. */
export interface PreferencesInfo {
  /** Rises with each change. 0: nothing was ever set. (integer) */
  version: number;
  /** What is set. */
  preferences: Preferences;
}

/** The presets of the owner. `version` rises with each change. */
export interface PresetsInfo {
  /** Rises with each change. 0: there was never one. (integer) */
  version: number;
  /** All of them, those saved first before the others. */
  presets: Preset[];
}

/** A notice from an admin to one owner, or to everyone if `owner` is absent. */
export interface NoticeBody {
  /** Text of the notice. (1 to 1000 characters) */
  text: string;
  /** Recipient. Default: all owners. */
  owner?: string | null;
}

/** Create a link to one image, which anybody who has it can load. */
export interface ShareBody {
  /** Id of the task. (matches `^[A-Za-z0-9._:~-]{1,64}$`) */
  task_id: string;
  /** Index of the image in its task. (integer; 0 to 63; default 0) */
  index?: number;
  /** Seconds until the link stops working. Default: when it is revoked, or the task is deleted. (more than 0, up to 31622400) */
  expires?: number | null;
}

/** A share that was just created, with its link. */
export interface NewShare {
  /** Id of the share, to revoke it. It does not give access to the image. */
  id: string;
  /** Id of the task. */
  task_id: string;
  /** Index of the output in its task, from 0. (integer) */
  index: number;
  /** Time of creation, Unix time in seconds. */
  created: number;
  /** Unix time in seconds. Absent if it does not expire. */
  expires?: number;
  /** The link. It is not stored and can't be returned again. */
  url: string;
}

/** A page of the owner's shares, newest first. Use `next` as `?cursor=`. */
export interface SharePage {
  /** One entry per share. */
  shares: ShareInfo[];
  /** The `cursor` of the next page. Absent on the last page. */
  next?: string;
}

/** A share. Its link is only in the answer to the request that created it. */
export interface ShareInfo {
  /** Id of the share, to revoke it. It does not give access to the image. */
  id: string;
  /** Id of the task. */
  task_id: string;
  /** Index of the output in its task, from 0. (integer) */
  index: number;
  /** Time of creation, Unix time in seconds. */
  created: number;
  /** Unix time in seconds. Absent if it does not expire. */
  expires?: number;
}

/** An upload. The same bytes have the same id for the same owner. */
export interface UploadInfo {
  /** Id for `image`, `images` and `mask`, valid for its owner only. */
  upload_id: string;
  /** `image/jpeg`, `image/png` or `image/webp`: what the bytes are. */
  media_type: string;
  /** Width in pixels, as the image is shown. (integer) */
  width: number;
  /** Height in pixels, as the image is shown. (integer) */
  height: number;
  /** Size in bytes. (integer) */
  bytes: number;
  /** Unix time in seconds: a day after it was uploaded or used for the last time. */
  expires: number;
}

/** A page of the owner's uploads, newest first. Use `next` as `?cursor=`. */
export interface UploadPage {
  /** One entry per upload. */
  uploads: UploadInfo[];
  /** The `cursor` of the next page. Absent on the last page. */
  next?: string;
}

/** The work of all owners at one moment, or with `owner` that of one. */
export interface WholeQueue {
  /** Unix time in seconds, with fractions. */
  timestamp: number;
  /** What occupies a slot of a model, also what is being cancelled: up to `limit`, those that have been there for longest. */
  running: QueueEntry[];
  /** Number of images that occupy a slot, in total. (integer) */
  running_count: number;
  /** The next ones of each pool in their predicted order. With `owner` a page of all that waits, in the owner's order, also what is paused. */
  waiting: QueueEntry[];
  /** Number of waiting images in total. Paused ones count only with `owner`. (integer) */
  waiting_count: number;
  /** The `cursor` of the next page. Absent on the last page. */
  next?: string;
}

/** An image of anybody that waits or occupies a slot. Prompts, metadata and images are its owner's only. */
export interface QueueEntry {
  /** Whose it is. */
  owner: string;
  /** Id of the task. */
  task_id: string;
  /** Index of the output in its task, from 0. (integer) */
  index: number;
  /** The queue it is in; empty while its model is not known. */
  pool: string;
  /** The model it occupies, or was requested for. */
  model?: string;
  /** State of the image. */
  state: State;
  /** What is currently being done. */
  step: Step;
  /** Percent. (integer; 0 to 99) */
  progress?: number;
  /** Position of a waiting image in the queue of its models. 1 is the next one. (integer) */
  position?: number;
  /** Seconds until this image is finished, including the wait. Absent if unknown. */
  estimated_time?: number;
  /** Seconds since its request was sent. Absent if none is under way. */
  elapsed?: number;
  /** Whether nobody waits for its request any more, which may still run and keeps the slot. */
  quarantined?: boolean;
  /** Priority among the tasks of its owner. (integer) */
  priority?: number;
  /** Time of acceptance, Unix time in seconds. */
  created: number;
}

/** A page of the owners with unfinished work, by name. */
export interface OwnerPage {
  /** Unix time in seconds, with fractions. */
  timestamp: number;
  /** One entry per owner. */
  owners: OwnerLoad[];
  /** The `cursor` of the next page. Absent on the last page. */
  next?: string;
}

/** An owner with unfinished work. */
export interface OwnerLoad {
  /** Whose it is. */
  owner: string;
  /** One entry per pool in which the owner has work, by name. */
  pools: OwnerInPool[];
  /** Whether everything is paused, including what is submitted from now on. */
  paused?: boolean;
  /** Number of open connections of this owner. (integer) */
  connections?: number;
}

/** What an owner has in one pool. */
export interface OwnerInPool {
  /** The queue it is in; empty while its model is not known. */
  pool: string;
  /** Number of unfinished tasks. (integer) */
  tasks: number;
  /** Number of images that occupy a slot. (integer) */
  running?: number;
  /** Number of images that wait for their turn; paused ones don't. (integer) */
  waiting?: number;
  /** Number of paused tasks. (integer) */
  paused?: number;
  /** Part of the pool's compute time that this owner gets while those who wait now go on waiting. Absent if it doesn't wait. (0 to 1) */
  share?: number;
}

/** How the server is, for admins; costs as much as there are models. */
export interface ServerStatus {
  /** Unix time in seconds, with fractions. */
  timestamp: number;
  /** How Xinference is. */
  upstream: UpstreamHealth;
  /** One entry per pool that has a model or a task, by name. */
  pools: PoolStatus[];
  /** What failed within the last hour, the most frequent first. */
  failures: FailureCount[];
  /** Number of open connections, of all owners. (integer) */
  connections: number;
  /** Whether events and files can be stored now. */
  storing: boolean;
  /** Background tasks that failed recently. Each is restarted after a pause. */
  failing?: string[];
  /** Whether an admin lets nothing start until a release. */
  held?: boolean;
  /** Whether the server is stopping. */
  draining?: boolean;
  /** Seconds that running images get when the server stops. */
  drain: number;
  /** Whether unfinished tasks continue after the next start. */
  durable: boolean;
}

/** How Xinference is, for whoever runs the server. */
export interface UpstreamHealth {
  /** State of Xinference. */
  state: UpstreamState;
  /** When it came into this state, Unix time in seconds. */
  since: number;
  /** Host and port of Xinference. */
  server: string;
  /** Text for people. Never contains a prompt or upstream text. Programs must not parse it. */
  message: string;
  /** What to do about it. Empty if the state is `ready`. */
  cure?: string;
  /** Why it does not respond, as the system or Xinference says. Empty otherwise. */
  cause?: string;
}

/** What a pool of models has to do. */
export interface PoolStatus {
  /** Its name; empty for tasks whose model is not known. */
  pool: string;
  /** Its models. */
  models?: ModelSlots[];
  /** Number of unfinished tasks. (integer) */
  tasks?: number;
  /** Number of images that wait for their turn; paused ones don't. (integer) */
  waiting?: number;
  /** Number of paused tasks. (integer) */
  paused?: number;
  /** Number of owners who wait. (integer) */
  owners?: number;
}

/** The slots of one model. Which of its replicas makes an image is Xinference's choice, and not told. */
export interface ModelSlots {
  /** Its uid. */
  model: string;
  /** Number of its replicas. (integer) */
  replicas: number;
  /** Number of images that all replicas make at once. (integer) */
  slots: number;
  /** Number of taken slots, quarantined ones included. (integer) */
  busy?: number;
  /** Number of slots kept by requests that nobody waits for and that may still run. (integer) */
  quarantined?: number;
  /** Whether it left the list of models a moment ago, as after a crash. */
  missing?: boolean;
}

/** How often something failed within the last hour. */
export interface FailureCount {
  /** In which pool. */
  pool: string;
  /** With which error code. */
  code: ErrorCode;
  /** Number of requests to Xinference that failed, tried again or not. (integer) */
  requests: number;
  /** Number of images that ended so. (integer) */
  outputs: number;
  /** When it happened last, Unix time in seconds. */
  last: number;
}

/** The tasks that were paused, unpaused or cancelled, with their states when the request arrived. */
export interface ChangedTasks {
  /** One entry per task. */
  tasks: CancelledTask[];
}

/** The waiting images of the owner, as in a `queue` message. */
export interface QueueInfo {
  /** The waiting images, the next one first, at most 200. Paused ones are last. */
  outputs: QueuedOutput[];
  /** Number of waiting images, including those beyond the list. (integer) */
  waiting: number;
  /** Whether the owner has paused everything, including what is submitted from now on. */
  paused: boolean;
  /** Whether an admin holds the server: nothing of anybody is started until that ends. */
  held: boolean;
}

/** A page of tasks, newest first. Use `next` as `?cursor=`, and `cursor` as `?after=` of the events. */
export interface TaskPage {
  /** One entry per task. */
  tasks: TaskInfo[];
  /** The `cursor` of the next page. Absent on the last page. */
  next?: string;
  /** Resume at `/api/v1/events?after=` with this cursor to get everything after this page. */
  cursor: string;
}

/** What a chat was started with, as far as its parameters don't have it. */
export interface ChatContent {
  /** The conversation, at most `limits.chat_messages`. No event has it. */
  messages: ChatMessage[];
  /** Tools that the model may call, as in OpenAI's API. (up to 128 entries) */
  tools?: unknown[];
  /** As in OpenAI's API, and passed on. */
  tool_choice?: unknown;
}

/** The models, with what they can do. */
export interface Models {
  /** The models, the default one first. */
  models: ModelInfo[];
}

/** Who the caller is, what is allowed, and what was used today. */
export interface AccountInfo {
  /** The owner of the caller's tasks. */
  owner: string;
  /** Whether the caller is an admin. */
  admin: boolean;
  /** When the credentials expire, Unix time in seconds. Absent means never. */
  expires?: number;
  /** Limits of this server. */
  limits: Limits;
  /** The usage of today. */
  usage: UsageInfo;
}

/** What an owner used on one day. */
export interface UsageInfo {
  /** The owner. Only in the usage of all owners. */
  owner?: string;
  /** UTC day, `YYYY-MM-DD`. */
  day: string;
  /** Compute seconds: the time for which the owner's images occupied a slot of a model. */
  seconds: number;
  /** Number of finished images. (integer) */
  outputs: number;
  /** Bytes of their files. (integer) */
  bytes: number;
}

/** What was used from a day to another, both included. Days without usage are left out. */
export interface UsageReport {
  /** UTC day, `YYYY-MM-DD`. */
  from: string;
  /** UTC day, `YYYY-MM-DD`. */
  to: string;
  /** One entry per day, or per day and owner, in order. */
  days: UsageInfo[];
}

/** What an erasure came to. */
export interface ErasedInfo {
  /** False: repeat the request, since tasks had not ended yet. */
  complete: boolean;
  /** Number of deleted tasks. (integer) */
  tasks: number;
  /** Number of deleted images. (integer) */
  outputs: number;
  /** Number of deleted uploads. (integer) */
  uploads: number;
  /** Ids of tasks that did not end in time after their cancel. They are still there. */
  unfinished: string[];
  /** Ids of deleted tasks that the model still computes. What it makes is discarded. */
  running_on: string[];
}

/** Health of the server, state of Xinference, and background tasks that failed recently. */
export interface Health {
  /** Whether requests are accepted. `degraded`: they are, but Xinference is not ready or a background task failed. */
  status: "degraded" | "draining" | "ok" | "storage_unavailable";
  /** State of Xinference. */
  upstream: UpstreamState;
  /** Background tasks that failed recently. Each is restarted after a pause. */
  failing?: string[];
}

/** The body of an error response (RFC 9457). `code`, `field` and `limit` are as in an `error` message. */
export interface Problem {
  /** Always `about:blank`. See `code`. */
  type: string;
  /** The status as text. */
  title: string;
  /** The HTTP status. (integer) */
  status: number;
  /** Text for people. */
  detail: string;
  /** Stable error code. Handle an unknown code according to `retryable`. */
  code: ErrorCode;
  /** The field that is invalid. */
  field?: string;
  /** The bound that was exceeded, as text for people. */
  limit?: string;
  /** Whether the same request may succeed later. */
  retryable: boolean;
  /** Seconds to wait before retrying, if known. */
  retry_after?: number;
  /** The `X-Request-Id` of the response, by which the server's log lines are found. */
  request_id: string;
}

/** The generated images. `created` is Unix time in seconds. */
export interface OpenAiImages {
  /** Unix time in seconds. (integer) */
  created: number;
  /** The finished images, ordered by index. */
  data: OpenAiImage[];
}

/** One image: its URL, or the file as base64. */
export interface OpenAiImage {
  /** URL of the image. Signed, so it needs no credentials until it expires after some hours. */
  url?: string;
  /** The file itself, if requested: base64 in JSON, bytes in MessagePack. */
  b64_json?: string;
}

/** One image of a stream of generations. `usage` is all zeros, since no tokens are counted. */
export interface OpenAiCompleted {
  /** Kind of the message. */
  type: "image_generation.completed";
  /** The file itself, if requested: base64 in JSON, bytes in MessagePack. */
  b64_json: string;
  /** Unix time in seconds. (integer) */
  created_at: number;
  /** `WIDTHxHEIGHT` in pixels. */
  size: string;
  /** `jpeg`, `png` or `webp`. */
  output_format: string;
  /** Always `auto`. */
  quality: string;
  /** Always `auto`. */
  background: string;
  /** All zeros. */
  usage: Record<string, unknown>;
}

/** One image of a stream of edits. `usage` is all zeros, since no tokens are counted. */
export interface OpenAiEdited {
  /** Kind of the message. */
  type: "image_edit.completed";
  /** The file itself, if requested: base64 in JSON, bytes in MessagePack. */
  b64_json: string;
  /** Unix time in seconds. (integer) */
  created_at: number;
  /** `WIDTHxHEIGHT` in pixels. */
  size: string;
  /** `jpeg`, `png` or `webp`. */
  output_format: string;
  /** Always `auto`. */
  quality: string;
  /** Always `auto`. */
  background: string;
  /** All zeros. */
  usage: Record<string, unknown>;
}

/** A request of OpenAI's clients. Fields of `chat` may be added; unknown ones are ignored. */
export interface OpenAiNewChat {
  /** Echoed in the direct answer. (up to 64 characters) */
  ref?: string | null;
  /** A `welcome.models[].id` or a pool of the server. Default: the default model of the kind. (1 to 200 characters) */
  model?: string | null;
  /** Id of the task, which makes the message safe to repeat. Default: chosen by the server. (matches `^[A-Za-z0-9._:~-]{1,64}$`) */
  task_id?: string | null;
  /** Name for several tasks, which `cancel` and `list` accept. (matches `^[A-Za-z0-9._:~-]{1,64}$`) */
  group?: string | null;
  /** Seconds from acceptance until the task expires. Default: the server's setting. (more than 0, up to 604800) */
  timeout?: number | null;
  /** What to do once the owner has been disconnected for a while: finish or cancel the task. (default continue) */
  on_disconnect?: "cancel" | "continue";
  /** Higher priorities go first, equal priorities in order of acceptance. (integer; -100 to 100; default 0) */
  priority?: number;
  /** Any JSON up to `limits.metadata_bytes`, stored with the task and echoed. */
  metadata?: unknown;
  /** Language of the texts about this task: `en` or `zh-CN`. Default: the connection's. (up to 35 characters) */
  lang?: string | null;
  /** Trace that the task belongs to (W3C Trace Context). Ignored if malformed. Default: that of the HTTP request. */
  traceparent?: string | null;
  /** False: delete the task and what was made once its end and all outputs were delivered. (default True) */
  store?: boolean;
  /** The conversation, at most `limits.chat_messages`. No event has it. */
  messages?: ChatMessage[];
  /** Chat: maximum number of tokens to generate. Default: the engine's. (integer; 1 to 10000000) */
  max_tokens?: number | null;
  /** Chat: randomness. Default: the engine's. (0 to 2) */
  temperature?: number | null;
  /** Chat: nucleus sampling. Default: the engine's. (more than 0, up to 1) */
  top_p?: number | null;
  /** Chat: as in OpenAI's API. Default: the engine's. (-2 to 2) */
  presence_penalty?: number | null;
  /** Chat: as in OpenAI's API. Default: the engine's. (-2 to 2) */
  frequency_penalty?: number | null;
  /** Passed on. Not every engine of Xinference reproduces a text by it. (integer; 0 to 9007199254740991) */
  seed?: number | null;
  /** Tools that the model may call, as in OpenAI's API. (up to 128 entries) */
  tools?: unknown[];
  /** As in OpenAI's API, and passed on. */
  tool_choice?: unknown;
  /** Text or texts at which the model stops. (1 to 200 characters; up to 8 entries) */
  stop?: string | string[] | null;
  /** Chat: maximum number of tokens to generate. Default: the engine's. (integer; 1 to 10000000) */
  max_completion_tokens?: number | null;
  /** Always 1. (integer; 1 to 1; default 1) */
  n?: number;
  /** Respond with server-sent events, one per piece of text. (default False) */
  stream?: boolean;
  /** With `stream` only. */
  stream_options?: OpenAiStreamOptions | null;
  /** Text. */
  response_format?: OpenAiResponseFormat | null;
  /** Text. */
  modalities?: "text"[];
}

/** Options of a stream. */
export interface OpenAiStreamOptions {
  /** Send the tokens in a chunk of their own before the end of the stream. */
  include_usage?: boolean | null;
}

/** The form of the answer. */
export interface OpenAiResponseFormat {
  /** No other form can be had. */
  type: "text";
}

/** A finished chat completion. */
export interface OpenAiChatAnswer {
  /** The id of the task. */
  id: string;
  /** Always `chat.completion`. */
  object: string;
  /** Unix time in seconds. (integer) */
  created: number;
  /** The value for `model` in a `generate`. */
  model: string;
  /** One answer. */
  choices: OpenAiChatChoice[];
  /** Tokens; null if the engine has not told. */
  usage: TokenUsage | null;
  /** True if the messages were probably too long, so that Xinference cut their beginning. */
  truncated?: boolean;
}

/** The only answer. */
export interface OpenAiChatChoice {
  /** Always 0. (integer) */
  index: number;
  /** The answer of the model. */
  message: OpenAiChatMessage;
  /** Always null. */
  logprobs: null;
  /** `stop`, `length`, `tool_calls`; null until the end. */
  finish_reason: string | null;
}

/** The answer of the model. */
export interface OpenAiChatMessage {
  /** Always `assistant`. */
  role: string;
  /** The text; null if there are calls in its place. */
  content: string | null;
  /** What the model thought before, if it tells. */
  reasoning_content?: string;
  /** Calls that the model makes. */
  tool_calls?: unknown[];
}

/** One event of a stream. `data: [DONE]` follows the last one; a stream without it has failed. */
export interface OpenAiChatChunk {
  /** The id of the task. */
  id: string;
  /** Always `chat.completion.chunk`. */
  object: string;
  /** Unix time in seconds. (integer) */
  created: number;
  /** The value for `model` in a `generate`. */
  model: string;
  /** What is new; none beside the tokens. */
  choices: OpenAiChunkChoice[];
  /** In the last chunk, if requested and known. */
  usage?: TokenUsage;
  /** True if the messages were probably too long, so that Xinference cut their beginning. */
  truncated?: boolean;
}

/** What is new of the only answer. */
export interface OpenAiChunkChoice {
  /** Always 0. (integer) */
  index: number;
  /** What is new. */
  delta: OpenAiChatDelta;
  /** Always null. */
  logprobs: null;
  /** `stop`, `length`, `tool_calls`; null until the end. */
  finish_reason: string | null;
}

/** New text: it belongs behind that of the chunks before. */
export interface OpenAiChatDelta {
  /** `assistant`, in the first chunk. */
  role?: string;
  /** New text. */
  content?: string;
  /** New text of what the model thinks. */
  reasoning_content?: string;
  /** Calls that the model makes, all at once. */
  tool_calls?: unknown[];
}

/** The models. */
export interface OpenAiModels {
  /** Object type, as in OpenAI's API. */
  object: "list";
  /** One entry per model. */
  data: OpenAiModel[];
}

/** A model. */
export interface OpenAiModel {
  /** The value for `model` in a `generate`. */
  id: string;
  /** Object type, as in OpenAI's API. */
  object: "model";
  /** Always 0. (integer) */
  created: number;
  /** Always `xinference`. */
  owned_by: string;
}

/** The body of an error response. */
export interface OpenAiError {
  /** What was wrong. */
  error: OpenAiProblem;
}

/** Details of an error. `param` is the invalid field, `code` the same as in `error` messages. */
export interface OpenAiProblem {
  /** Text for people. Never contains a prompt or upstream text. Programs must not parse it. */
  message: string;
  /** Whether the client caused the error, by the request or by too many of them, or the server. */
  type: "invalid_request_error" | "rate_limit_error" | "server_error";
  /** The field that is invalid. */
  param: string | null;
  /** Stable error code. Handle an unknown code according to `retryable`. */
  code: ErrorCode;
}

/**
 * State of a task or of one of its images.
 *
 * - `queued`: waiting in the queue
 * - `starting`: sent to the model, which has not reported progress yet
 * - `running`: being generated
 * - `cancelling`: the upstream was asked to stop and has not confirmed yet
 * - `completed`: end: at least one image is finished
 * - `failed`: end: generation failed
 * - `cancelled`: end: cancelled
 * - `expired`: end: its timeout has passed
 */
export type State = "queued" | "starting" | "running" | "cancelling" | "completed" | "failed" | "cancelled" | "expired";

/**
 * Current step of an image, in the order they normally occur.
 *
 * - `queued`: waiting in the queue
 * - `waiting_for_model`: waiting for the upstream, for its model, or before another attempt
 * - `paused`: held until its task is unpaused
 * - `starting`: sent to the model
 * - `generating`: inference steps are running
 * - `decoding`: the steps are finished and the model decodes the image
 * - `saving`: the image has arrived and is being stored
 */
export type Step = "queued" | "waiting_for_model" | "paused" | "starting" | "generating" | "decoding" | "saving";

/**
 * What a cancel achieved in Xinference, best outcome first.
 *
 * - `never_started`: it was still in the queue and never sent to a model
 * - `stopped`: the model has stopped and is free
 * - `running_on`: this model can't be stopped: it runs to its last step and the image is discarded
 * - `unconfirmed`: the upstream was asked to stop, but did not confirm it
 */
export type CancelOutcome = "never_started" | "stopped" | "running_on" | "unconfirmed";

/**
 * State of Xinference.
 *
 * - `ready`: a model of a known kind is available
 * - `loading`: not queried yet, or temporarily not accepting requests
 * - `no_model`: it responds, but runs no model of a known kind
 * - `unreachable`: it does not respond
 * - `unauthorised`: it rejects the server's API key
 */
export type UpstreamState = "ready" | "loading" | "no_model" | "unreachable" | "unauthorised";

/**
 * Error codes. More may be added.
 *
 * - `not_json`: The frame or body is not valid JSON in UTF-8, or not valid MessagePack
 * - `wrong_shape`: A field is missing or has the wrong type, or fields exclude each other
 * - `unknown_action`: The `action` is missing or unknown to this version
 * - `frame_too_large`: The frame or body exceeds `limits.frame_bytes`
 * - `binary_frame`: A binary frame on a sub-protocol that uses text frames only
 * - `text_frame`: A text frame on a sub-protocol that uses binary frames only
 * - `unsupported_type`: The body's Content-Type or Content-Encoding is not supported
 * - `body_timeout`: The request body did not arrive in time
 * - `not_acceptable`: None of the media types in Accept can be produced
 * - `out_of_bounds`: A value is out of bounds; `field` and `limit` name it and its bound
 * - `prompt_missing`: The prompt is missing or empty
 * - `bad_task_id`: The task id is malformed
 * - `lora_tag`: The prompt contains a `<lora:` tag; choose a model launched with the LoRA instead
 * - `unauthorised`: Missing or invalid credentials
 * - `token_expired`: The token or the session was valid and has expired
 * - `ambiguous_credentials`: One request has two different tokens
 * - `forbidden`: The caller is not allowed to do this
 * - `not_found`: Nothing with this id belongs to the caller; ids of other owners are reported as not found, too
 * - `image_not_found`: No upload and no output of the caller has this id, or not any more
 * - `bad_image`: Not an image that can be used: damaged, animated, too large, of another format, or of the wrong size
 * - `too_many_uploads`: The owner's uploads would exceed their number or their bytes
 * - `images_unsupported`: This server was installed without what it needs to read images
 * - `task_id_conflict`: The task id is already used by a request with different content
 * - `too_many_tasks`: The owner, or the server as a whole, has too many unfinished tasks
 * - `rate_limited`: Too many requests per minute of this owner or from this address, or too many invalid credentials from it
 * - `quota_exceeded`: The owner has used up the compute seconds of this day (UTC)
 * - `too_many_shares`: The owner has too many share links; revoke one first
 * - `too_many_connections`: No connection is left for a streaming response; a WebSocket is closed with 1013 instead
 * - `model_not_found`: The upstream does not run this model
 * - `model_unsuitable`: The model can't do what is asked
 * - `task_unfinished`: An unfinished task can't be deleted; cancel it first
 * - `account_busy`: An export or an erasure of this owner is under way
 * - `storage_unavailable`: The data can't be stored now: the disk is full, read-only or busy
 * - `shutting_down`: The server is shutting down
 * - `timeout`: The task exceeded its timeout
 * - `cancelled`: The task was cancelled; reported only where one request stands for one task
 * - `interrupted`: A text broke off after it had begun: it is kept as it is, since another try would write another text
 * - `internal`: A bug in xinflight; the log has the traceback
 * - `upstream_auth`: Xinference rejects the server's API key (401, 403) or has banned its address (429)
 * - `upstream_unreachable`: Xinference can't be reached
 * - `upstream_busy`: Xinference accepts no more work: 503, or 429 for its rate limit
 * - `upstream_died`: The model process died (its 500 says so), or the response was lost on the way
 * - `upstream_failed`: Xinference reported any other failure
 * - `upstream_out_of_memory`: The model's device has too little memory for what was asked: the same request would fail again
 * - `upstream_garbage`: Xinference answered 200 with a body that can't be decoded
 */
export type ErrorCode = "not_json" | "wrong_shape" | "unknown_action" | "frame_too_large" | "binary_frame" | "text_frame" | "unsupported_type" | "body_timeout" | "not_acceptable" | "out_of_bounds" | "prompt_missing" | "bad_task_id" | "lora_tag" | "unauthorised" | "token_expired" | "ambiguous_credentials" | "forbidden" | "not_found" | "image_not_found" | "bad_image" | "too_many_uploads" | "images_unsupported" | "task_id_conflict" | "too_many_tasks" | "rate_limited" | "quota_exceeded" | "too_many_shares" | "too_many_connections" | "model_not_found" | "model_unsuitable" | "task_unfinished" | "account_busy" | "storage_unavailable" | "shutting_down" | "timeout" | "cancelled" | "interrupted" | "internal" | "upstream_auth" | "upstream_unreachable" | "upstream_busy" | "upstream_died" | "upstream_failed" | "upstream_out_of_memory" | "upstream_garbage" | (string & {});

/**
 * WebSocket close codes. Below 4400: reconnect after a pause. From 4400: don't reconnect.
 *
 * - `1001`: not sent by this version
 * - `1006`: never sent: dropped as a dead peer or slow reader, or a network failure
 * - `1012`: the server is stopping or restarting
 * - `1013`: too many connections, or the store can't be read now
 * - `4008`: reserved for a slow reader; this version drops it without a close frame
 * - `4400`: reserved for a request that can't be served
 * - `4401`: the credentials are missing, invalid or revoked
 * - `4402`: the credentials have expired; reconnect with new ones
 * - `4403`: reserved for an owner without access
 * - `4406`: the client offered only unsupported sub-protocols
 * - `4429`: a flood: the client kept sending messages far beyond `limits.requests_per_minute`
 */
export type CloseCode = 1001 | 1006 | 1012 | 1013 | 4008 | 4400 | 4401 | 4402 | 4403 | 4406 | 4429;

/** Any request of a client over the WebSocket. */
export type ClientMessage = Generate | Chat | Cancel | Move | Pause | Unpause | Resume | Follow | Unfollow | ListTasks | Delete | Mark | Restore | Prefer | ChangePresets | Ping | Authenticate;

/** Any message of the server. More may be added, and clients must ignore unknown ones. */
export type ServerMessage = Welcome | Notice | Ack | Ok | Recovered | Tasks | PreferencesMessage | PresetsMessage | Pong | Error | Accepted | Progress | Queue | Delta | OutputEvent | Marked | Result | Cancelled;
