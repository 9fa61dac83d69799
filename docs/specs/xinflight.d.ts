// The messages of xinflight, made from its structs by `make specs`; docs/protocol.md says what they mean.
// As the sub-protocol xinflight.v1.json and HTTP have them; in MessagePack, `b64_json` is a Uint8Array.

/** Start one generation. Bounds here are the protocol's; a server's settings may be narrower. */
export interface Generate {
  /** What is wanted. */
  action: "generate";
  /** Echoed in the direct answer. (up to 64 characters) */
  ref?: string | null;
  /** What the picture shows; must be there and not be blank, except in a `generate` without any field. */
  prompt?: string | null;
  /** What the picture should not show. */
  negative_prompt?: string | null;
  /** A `welcome.models[].id`, or a pool of the server's settings. Default: the server's default model. (1 to 200 characters) */
  model?: string | null;
  /** How many pictures. (integer; 1 to 64; default 1) */
  n?: number;
  /** `WIDTHxHEIGHT` in pixels; sides are multiples of `limits.size_multiple`. Default: the model's. (matches `^[1-9][0-9]{1,4}x[1-9][0-9]{1,4}$`) */
  size?: string | null;
  /** Steps of the model. Default: the model's. (integer; 1 to 1000) */
  steps?: number | null;
  /** How closely the prompt is followed. Default: the model's. (0 to 100) */
  guidance_scale?: number | null;
  /** Of picture 0. -1, or none: the server draws one and tells it in `ack.params`. (integer; -1 to 9007199254740927) */
  seed?: number | null;
  /** Names the task and makes the message safe to repeat. Default: the server draws one. (matches `^[A-Za-z0-9._:~-]{1,64}$`) */
  task_id?: string | null;
  /** Seconds from acceptance until the task expires. Default: the server's setting. (more than 0, up to 604800) */
  timeout?: number | null;
  /** What to do when the owner has had no connection for a while: go on to the end, or cancel. (default continue) */
  on_disconnect?: "cancel" | "continue";
  /** Higher ones go first; equal ones in the order of acceptance. (integer; -100 to 100; default 0) */
  priority?: number;
  /** Any JSON up to `limits.metadata_bytes`: kept with the task and echoed; opaque to the server. */
  metadata?: unknown;
  /** Language of the texts about this task: `en` or `zh-CN`. Default: the connection's. (up to 35 characters) */
  lang?: string | null;
  /** `b64_json`: each `picture` has its file inside, too, up to `limits.inline_bytes`. (default url) */
  response_format?: "b64_json" | "url";
}

/** Cancel a task, one picture of it, or all of one's own but some. */
export interface Cancel {
  /** What is wanted. */
  action: "cancel";
  /** Echoed in the direct answer. (up to 64 characters) */
  ref?: string | null;
  /** Which task. Either this or `scope` must be there. (matches `^[A-Za-z0-9._:~-]{1,64}$`) */
  task_id?: string | null;
  /** Only this picture; only together with `task_id`. (integer; 0 to 63) */
  index?: number | null;
  /** Every unfinished task of the owner, those of other connections too. */
  scope?: "all" | null;
  /** Ids that `scope` spares. (up to 1000 entries) */
  except?: string[];
}

/** Replay what was missed after a cursor, of some tasks or of all, then stay live. */
export interface Resume {
  /** What is wanted. */
  action: "resume";
  /** Echoed in the direct answer. (up to 64 characters) */
  ref?: string | null;
  /** The highest cursor given by a stored event, `welcome`, `recovered` or `tasks`. (matches `^[A-Za-z0-9]{1,32}:[0-9]{1,16}$`) */
  after: string;
  /** Which tasks. Either this or `scope` must be there. (up to 1000 entries) */
  tasks?: string[] | null;
  /** Every task of the owner, those to come too. */
  scope?: "all" | null;
}

/** Watch one's own tasks from another tab or device; with `after`, what came after it first. */
export interface Follow {
  /** What is wanted. */
  action: "follow";
  /** Echoed in the direct answer. (up to 64 characters) */
  ref?: string | null;
  /** Which task. Either this or `scope` must be there. (matches `^[A-Za-z0-9._:~-]{1,64}$`) */
  task_id?: string | null;
  /** Every task of the owner, those to come too. */
  scope?: "all" | null;
  /** First replay what came after this cursor, `epoch:seq`. Default: from now on. (matches `^[A-Za-z0-9]{1,32}:[0-9]{1,16}$`) */
  after?: string | null;
}

/** Watch them no more. */
export interface Unfollow {
  /** What is wanted. */
  action: "unfollow";
  /** Echoed in the direct answer. (up to 64 characters) */
  ref?: string | null;
  /** Which task. Either this or `scope` must be there. (matches `^[A-Za-z0-9._:~-]{1,64}$`) */
  task_id?: string | null;
  /** Everything, the tasks that this connection started too. */
  scope?: "all" | null;
}

/** Page through one's own tasks, the newest first; `cursor` is the `next` of the page before. */
export interface ListTasks {
  /** What is wanted. */
  action: "list";
  /** Echoed in the direct answer. (up to 64 characters) */
  ref?: string | null;
  /** The `next` of the page before. Default: the first page. (matches `^[0-9]{1,16}$`) */
  cursor?: string | null;
  /** Tasks on a page. (integer; 1 to 200; default 50) */
  limit?: number;
  /** Only these. Default: all. */
  state?: "cancelled" | "completed" | "expired" | "failed" | "unfinished" | null;
}

/** Forget one ended task and its pictures. */
export interface Delete {
  /** What is wanted. */
  action: "delete";
  /** Echoed in the direct answer. (up to 64 characters) */
  ref?: string | null;
  /** Which task. (matches `^[A-Za-z0-9._:~-]{1,64}$`) */
  task_id: string;
}

/** Ask for a pong with the same nonce. */
export interface Ping {
  /** What is wanted. */
  action: "ping";
  /** Echoed in the direct answer. (up to 64 characters) */
  ref?: string | null;
  /** Echoed in the answer. (up to 64 characters) */
  nonce?: string | null;
}

/** The first frame. `heartbeat` is in seconds, `cursor` the newest position of this owner. */
export interface Welcome {
  /** What this is. */
  type: "welcome";
  /** The version of the protocol; absent means 1. (integer) */
  protocol: number;
  /** Names this connection, also in the server's log. */
  connection_id: string;
  /** Whose tasks they are. */
  owner: string;
  /** A random id made with the server's store; another one means that the old tasks are gone. */
  epoch: string;
  /** The newest position of this owner. */
  cursor: string;
  /** Seconds between the server's pings. */
  heartbeat: number;
  /** What this server accepts and keeps. */
  limits: Limits;
  /** The models that make pictures from text, the default one first. */
  models: ModelInfo[];
  /** What is known of Xinference. */
  upstream: Upstream;
}

/**
 * What this server accepts and keeps. Lengths in characters, sizes in pixels, times in seconds.
 *
 * Ended tasks are deleted, the oldest first, above `history_bytes` or `history_tasks`, and after
 * `history_age`.
 */
export interface Limits {
  /** Longest prompt, in characters. (integer) */
  prompt_length: number;
  /** Most pictures of one task. (integer) */
  pictures: number;
  /** Shortest side, in pixels. (integer) */
  size_min: number;
  /** Longest side, in pixels. (integer) */
  size_max: number;
  /** Sides are multiples of this many pixels. (integer) */
  size_multiple: number;
  /** Most steps of a picture. (integer) */
  steps: number;
  /** Highest guidance scale. */
  guidance_scale: number;
  /** Most seconds that a `generate` may ask for. */
  timeout: number;
  /** Most unfinished tasks of one owner. (integer) */
  tasks_per_owner: number;
  /** Bytes of the history above which ended tasks are deleted, the oldest first. (integer) */
  history_bytes: number;
  /** Number of ended tasks above which they are deleted, the oldest first. (integer) */
  history_tasks: number;
  /** Seconds after which ended tasks are deleted; null: never. */
  history_age: number | null;
  /** Most bytes of picture files that one message carries as `b64_json`. (integer) */
  inline_bytes: number;
  /** Largest frame, and largest HTTP body, in bytes. (integer) */
  frame_bytes: number;
  /** Largest metadata, in bytes of JSON. (integer) */
  metadata_bytes: number;
}

/**
 * A model that makes pictures from text, with the defaults a `generate` gets.
 *
 * `defaults_known` is false where steps and guidance are the model's own and can't be told beforehand.
 * `true_cancel` is false where a running generation can't be stopped, only given up.
 */
export interface ModelInfo {
  /** Names the model in a `generate`. */
  id: string;
  /** Whether it is taken when a `generate` names none. */
  default: boolean;
  /** What a `generate` gets that names none. */
  size: string;
  /** What a `generate` gets that names none. (integer) */
  steps?: number;
  /** What a `generate` gets that names none. */
  guidance_scale?: number;
  /** False: steps or guidance are the model's own and can't be told. */
  defaults_known: boolean;
  /** False: a running picture can't be stopped, only given up. */
  true_cancel: boolean;
  /** How many pictures it makes at once. (integer) */
  replicas: number;
}

/** The state of Xinference and what to do about it, in the reader's language. */
export interface Upstream {
  /** What is known of Xinference. */
  state: UpstreamState;
  /** Text for people, never a prompt or a text of the upstream; programs must not parse it. */
  message: string;
  /** What to do about it; empty when it is `ready`. */
  cure: string;
}

/** Word to a connection, an owner or all; `upstream` when that is what changed. */
export interface Notice {
  /** What this is. */
  type: "notice";
  /** What the notice is about. */
  kind: "deleted" | "draining" | "host" | "upstream";
  /** Text for people, never a prompt or a text of the upstream; programs must not parse it. */
  message: string;
  /** Unix seconds, with fractions. */
  timestamp: number;
  /** With kind `upstream`: as in `welcome`. */
  upstream?: Upstream;
  /** With kind `upstream`: as in `welcome`; replaces them. */
  models?: ModelInfo[];
  /** With kind `deleted`: which task. */
  task_id?: string;
}

/** A generation is taken; sent before anything else of it. */
export interface Ack {
  /** What this is. */
  type: "ack";
  /** Echoed in the direct answer. */
  ref?: string;
  /** Which task. */
  task_id: string;
  /** Names this connection, also in the server's log. */
  connection_id: string;
  /** Text for people, never a prompt or a text of the upstream; programs must not parse it. */
  message: string;
  /** Unix seconds, with fractions. */
  timestamp: number;
  /** The values in effect. */
  params: Params;
  /** Where the task is in its life. */
  state: State;
  /** Names of the fields that the server did not know, at most 16. */
  ignored?: string[];
  /** Any JSON up to `limits.metadata_bytes`: kept with the task and echoed; opaque to the server. */
  metadata?: unknown;
}

/** The parameters in effect. `steps` and `guidance_scale` are absent where the model's own apply. */
export interface Params {
  /** What the picture shows; must be there and not be blank, except in a `generate` without any field. */
  prompt: string;
  /** What the picture should not show. */
  negative_prompt?: string;
  /** A `welcome.models[].id`, or a pool of the server's settings. Default: the server's default model. */
  model?: string;
  /** How many pictures. (integer) */
  n: number;
  /** `WIDTHxHEIGHT` in pixels. */
  size: string;
  /** Absent where the model's own apply. (integer) */
  steps?: number;
  /** Absent where the model's own applies. */
  guidance_scale?: number;
  /** With which the picture can be made again; picture `index` is made with `seed + index`. (integer) */
  seed: number;
  /** Seconds from acceptance until the task expires. Default: the server's setting. */
  timeout: number;
  /** What to do when the owner has had no connection for a while: go on to the end, or cancel. */
  on_disconnect: string;
  /** Higher ones go first; equal ones in the order of acceptance. (integer) */
  priority?: number;
  /** `b64_json`: each `picture` has its file inside, too, up to `limits.inline_bytes`. */
  response_format?: string;
}

/** What each task was when its cancel arrived: a state, or `unknown`. */
export interface Ok {
  /** What this is. */
  type: "ok";
  /** Echoed in the direct answer. */
  ref?: string;
  /** One entry per task. */
  tasks: CancelledTask[];
}

/** What a task was when its cancel arrived. */
export interface CancelledTask {
  /** Which task. */
  task_id: string;
  /** The state when the question arrived, or `unknown`. */
  was: string;
  /** Which picture, if one was named. (integer) */
  index?: number;
}

/**
 * The replay is over; from here it is live. Not `recovered`: there is a gap, and only snapshots were sent.
 *
 * `unknown` names the asked tasks that there are not.
 */
export interface Recovered {
  /** What this is. */
  type: "recovered";
  /** Echoed in the direct answer. */
  ref?: string;
  /** False: there is a gap, nothing was replayed; `list` tells what there is. */
  recovered: boolean;
  /** A position in the order of the owner's events, `epoch:seq`. */
  cursor: string;
  /** The asked tasks that there are not. */
  unknown?: string[];
}

/**
 * A page of one's own tasks, the newest first. `next` is absent on the last page.
 *
 * Whoever resumes after `cursor` gets everything that happened since the page was made.
 */
export interface Tasks {
  /** What this is. */
  type: "tasks";
  /** Echoed in the direct answer. */
  ref?: string;
  /** One entry per task. */
  tasks: TaskInfo[];
  /** The `cursor` of the next page; absent on the last one. */
  next?: string;
  /** A position in the order of the owner's events, `epoch:seq`. */
  cursor: string;
}

/**
 * One task of the history as it stands.
 *
 * `created` and `ended` are Unix seconds; `failed` and `cancelled` are as in `result`, `code` as in `error`.
 */
export interface TaskInfo {
  /** Which task. */
  task_id: string;
  /** Where the task is in its life. */
  state: State;
  /** When it was accepted, in Unix seconds. */
  created: number;
  /** Unix seconds; absent while it is unfinished. */
  ended?: number;
  /** The values in effect. */
  params: Params;
  /** The pictures there are, in the order of their index. */
  data?: PictureRef[];
  /** Indices of pictures that failed or expired. */
  failed?: number[];
  /** Indices of pictures that were cancelled. */
  cancelled?: number[];
  /** Of a failed task: as in `error`. */
  code?: ErrorCode;
  /** Any JSON up to `limits.metadata_bytes`: kept with the task and echoed; opaque to the server. */
  metadata?: unknown;
  /** Names of the fields that the server did not know, at most 16. */
  ignored?: string[];
}

/**
 * A finished picture; `url` is filled in for each follower on the way out.
 *
 * `b64_json` is the picture itself for who asked for it: base64 in JSON, bytes in MessagePack.
 */
export interface PictureRef {
  /** Where the picture is, for `GET`: unguessable and enough in itself, so treat it like the picture. */
  url: string;
  /** The file itself for who asked for it: base64 in JSON, bytes in MessagePack. */
  b64_json?: string;
  /** Which picture of the task, from 0. (integer) */
  index: number;
  /** With which the picture can be made again; picture `index` is made with `seed + index`. (integer) */
  seed: number;
  /** Pixels. (integer) */
  width: number;
  /** Pixels. (integer) */
  height: number;
  /** Size of the file. (integer) */
  bytes: number;
  /** `image/jpeg`, `image/png` or `image/webp`. */
  media_type: string;
}

/** The answer to a ping. */
export interface Pong {
  /** What this is. */
  type: "pong";
  /** Echoed in the direct answer. */
  ref?: string;
  /** Echoed in the answer. */
  nonce?: string;
}

/** A refusal, or with `seq` and `state` the end of a task. */
export interface Error {
  /** What this is. */
  type: "error";
  /** Stable; one that is not known is to be treated by `retryable`. */
  code: ErrorCode;
  /** Text for people, never a prompt or a text of the upstream; programs must not parse it. */
  message: string;
  /** Unix seconds, with fractions. */
  timestamp: number;
  /** Of the message that is refused, if it could be read. */
  ref?: string;
  /** End: which task. Refusal: the one that the message named; that task, if there is one, goes on. */
  task_id?: string;
  /** Only of an end: its place in the order. (integer) */
  seq?: number;
  /** Only of an end: `failed` or `expired`. */
  state?: State;
  /** Only of an end: the step it failed in. */
  step?: Step;
  /** The field at fault. */
  field?: string;
  /** The bound that was broken, as text for people. */
  limit?: string;
  /** Whether the same again may go well later. */
  retryable: boolean;
  /** Seconds to wait before, when known. */
  retry_after?: number;
  /** Reserved. */
  details?: Details;
  /** Any JSON up to `limits.metadata_bytes`: kept with the task and echoed; opaque to the server. */
  metadata?: unknown;
}

/**
 * What is known besides: which attempt this is, why the last one ended, seconds since it was sent.
 *
 * `upstream` is what the cancel of this one picture achieved.
 */
export interface Details {
  /** Which attempt this is; absent means the first. (integer) */
  attempt?: number;
  /** The code that ended the attempt before. */
  retry_reason?: ErrorCode;
  /** Seconds since this attempt's request. */
  elapsed?: number;
  /** Of a cancelled picture: what the cancel achieved. */
  upstream?: CancelOutcome;
}

/** The first stored event of a task. */
export interface Accepted {
  /** What this is. */
  type: "accepted";
  /** Which task. */
  task_id: string;
  /** Its place in the order of the owner's events. It rises; gaps mean nothing. (integer) */
  seq: number;
  /** Text for people, never a prompt or a text of the upstream; programs must not parse it. */
  message: string;
  /** Unix seconds, with fractions. */
  timestamp: number;
  /** The values in effect. */
  params: Params;
  /** Any JSON up to `limits.metadata_bytes`: kept with the task and echoed; opaque to the server. */
  metadata?: unknown;
}

/** How far one picture is. `progress` is 0 to 99; `estimated_time` seconds until it is there. */
export interface Progress {
  /** What this is. */
  type: "progress";
  /** Which task. */
  task_id: string;
  /** Text for people, never a prompt or a text of the upstream; programs must not parse it. */
  message: string;
  /** Unix seconds, with fractions. */
  timestamp: number;
  /** Which picture of the task, from 0. (integer) */
  index: number;
  /** Of this picture. `cancelled` and `failed` end the picture, not the task. */
  state: State;
  /** Percent; 100 comes with the result only, and it never falls within an attempt. (integer; 0 to 99) */
  progress: number;
  /** What is being done. */
  step: Step;
  /** Steps of the model that are done, when known. (integer) */
  step_index?: number;
  /** Steps of the model in all, when known. (integer) */
  step_count?: number;
  /** Of a waiting picture: 1 is the next one. (integer) */
  position?: number;
  /** Seconds until this picture is there, waiting included; absent while that is not known. */
  estimated_time?: number;
  /** `upstream`: the percentage is the model's own. `estimate`: it has shown none yet. */
  source: "estimate" | "upstream";
  /** What is known besides. */
  details?: Details;
}

/** One picture is ready. */
export interface Picture {
  /** What this is. */
  type: "picture";
  /** Which task. */
  task_id: string;
  /** Its place in the order of the owner's events. It rises; gaps mean nothing. (integer) */
  seq: number;
  /** Text for people, never a prompt or a text of the upstream; programs must not parse it. */
  message: string;
  /** Unix seconds, with fractions. */
  timestamp: number;
  /** Which picture of the task, from 0. (integer) */
  index: number;
  /** Where the picture is, for `GET`: unguessable and enough in itself, so treat it like the picture. */
  url: string;
  /** The file itself for who asked for it: base64 in JSON, bytes in MessagePack. */
  b64_json?: string;
  /** With which the picture can be made again; picture `index` is made with `seed + index`. (integer) */
  seed: number;
  /** Pixels. (integer) */
  width: number;
  /** Pixels. (integer) */
  height: number;
  /** Size of the file. (integer) */
  bytes: number;
  /** `image/jpeg`, `image/png` or `image/webp`. */
  media_type: string;
}

/** The end of a task with at least one picture. */
export interface Result {
  /** What this is. */
  type: "result";
  /** Which task. */
  task_id: string;
  /** Its place in the order of the owner's events. It rises; gaps mean nothing. (integer) */
  seq: number;
  /** Text for people, never a prompt or a text of the upstream; programs must not parse it. */
  message: string;
  /** Unix seconds, with fractions. */
  timestamp: number;
  /** The pictures, as OpenAI-style clients expect them. */
  data: ResultData;
  /** Percent; 100 comes with the result only, and it never falls within an attempt. (integer) */
  progress: number;
  /** Always `completed`. */
  status: string;
  /** Indices of pictures that failed or expired. */
  failed?: number[];
  /** Indices of pictures that were cancelled. */
  cancelled?: number[];
  /** Why: index and code of each failed picture. */
  failures?: Failure[];
  /** Any JSON up to `limits.metadata_bytes`: kept with the task and echoed; opaque to the server. */
  metadata?: unknown;
}

/** The pictures as OpenAI-style clients expect them; `created` is Unix seconds. */
export interface ResultData {
  /** Unix seconds. (integer) */
  created: number;
  /** The pictures there are, in the order of their index. */
  data: PictureRef[];
}

/** Why one picture of several failed. */
export interface Failure {
  /** Which picture of the task, from 0. (integer) */
  index: number;
  /** Stable; one that is not known is to be treated by `retryable`. */
  code: ErrorCode;
}

/** The end of a cancelled task. `seconds` is the time from the cancel to this end. */
export interface Cancelled {
  /** What this is. */
  type: "cancelled";
  /** Which task. */
  task_id: string;
  /** Its place in the order of the owner's events. It rises; gaps mean nothing. (integer) */
  seq: number;
  /** Text for people, never a prompt or a text of the upstream; programs must not parse it. */
  message: string;
  /** Unix seconds, with fractions. */
  timestamp: number;
  /** What the cancel achieved. */
  upstream: CancelOutcome;
  /** From the cancel to this end. */
  seconds: number;
  /** The pictures there are, in the order of their index. */
  data?: PictureRef[];
  /** Any JSON up to `limits.metadata_bytes`: kept with the task and echoed; opaque to the server. */
  metadata?: unknown;
}

/** What of a task is cancelled: one picture, or all. */
export interface CancelBody {
  /** Only this picture. Default: the whole task. (integer; 0 to 63) */
  index?: number | null;
}

/** What an admin tells an owner, or with `owner` absent everybody. */
export interface NoticeBody {
  /** What is told. (1 to 1000 characters) */
  text: string;
  /** Whom to tell. Default: everybody. */
  owner?: string | null;
}

/** A page of tasks, the newest first. `next` goes into `?cursor=`, `cursor` into `?after=` of the events. */
export interface TaskPage {
  /** One entry per task. */
  tasks: TaskInfo[];
  /** The `cursor` of the next page; absent on the last one. */
  next?: string;
  /** What happened after it is at `/api/v1/events?after=`. */
  cursor: string;
}

/** The models that make pictures from text. */
export interface Models {
  /** The models that make pictures from text, the default one first. */
  models: ModelInfo[];
}

/** Whether the server takes work, what it knows of Xinference, and which background tasks failed lately. */
export interface Health {
  /** Whether work is taken; `degraded`: it is, but a background task failed. */
  status: "degraded" | "draining" | "ok" | "storage_unavailable";
  /** What is known of Xinference. */
  upstream: UpstreamState;
  /** Background tasks that failed lately; each is started again after a pause. */
  failing?: string[];
}

/** The body of a refusal (RFC 9457). `code`, `field` and `limit` are those of the wire's `error`. */
export interface Problem {
  /** Always `about:blank`: the code tells what it is. */
  type: string;
  /** The status in words. */
  title: string;
  /** The HTTP status. (integer) */
  status: number;
  /** The text for people. */
  detail: string;
  /** Stable; one that is not known is to be treated by `retryable`. */
  code: ErrorCode;
  /** The field at fault. */
  field?: string;
  /** The bound that was broken, as text for people. */
  limit?: string;
  /** Whether the same again may go well later. */
  retryable: boolean;
  /** Seconds to wait before, when known. */
  retry_after?: number;
}

/** The answer; `created` is Unix seconds. */
export interface OpenAiImages {
  /** Unix seconds. (integer) */
  created: number;
  /** The pictures there are, in the order of their index. */
  data: OpenAiImage[];
}

/** One picture: its URL, or the file as base64. */
export interface OpenAiImage {
  /** Where the picture is, for `GET`: unguessable and enough in itself, so treat it like the picture. */
  url?: string;
  /** The file itself for who asked for it: base64 in JSON, bytes in MessagePack. */
  b64_json?: string;
}

/** One picture of a stream. `usage` counts nothing: pictures are not made of tokens here. */
export interface OpenAiCompleted {
  /** What this is. */
  type: "image_generation.completed";
  /** The file itself for who asked for it: base64 in JSON, bytes in MessagePack. */
  b64_json: string;
  /** Unix seconds. (integer) */
  created_at: number;
  /** `WIDTHxHEIGHT` in pixels. */
  size: string;
  /** `jpeg`, `png` or `webp`. */
  output_format: string;
  /** Always `auto`. */
  quality: string;
  /** Always `auto`. */
  background: string;
  /** Zeros. */
  usage: Record<string, unknown>;
}

/** The models that make pictures from text. */
export interface OpenAiModels {
  /** The kind, as OpenAI says it. */
  object: "list";
  /** One entry per model. */
  data: OpenAiModel[];
}

/** A model that makes pictures from text. */
export interface OpenAiModel {
  /** Names the model in a `generate`. */
  id: string;
  /** The kind, as OpenAI says it. */
  object: "model";
  /** Always 0. (integer) */
  created: number;
  /** Always `xinference`. */
  owned_by: string;
}

/** The body of a refusal. */
export interface OpenAiError {
  /** What was wrong. */
  error: OpenAiProblem;
}

/** What was wrong; `param` is the field at fault, `code` that of the wire. */
export interface OpenAiProblem {
  /** Text for people, never a prompt or a text of the upstream; programs must not parse it. */
  message: string;
  /** Whose fault it was. */
  type: "invalid_request_error" | "server_error";
  /** The field at fault. */
  param: string | null;
  /** Stable; one that is not known is to be treated by `retryable`. */
  code: ErrorCode;
}

/**
 * Where a task, or one picture of it, is in its life.
 *
 * - `queued`: waiting for a free model
 * - `starting`: sent; the model has shown no progress yet
 * - `running`: the model works on it
 * - `cancelling`: the upstream was told to stop and has not said yet that it did
 * - `completed`: end: there is a picture
 * - `failed`: end: it can't be made
 * - `cancelled`: end: it was cancelled
 * - `expired`: end: its time ran out
 */
export type State = "queued" | "starting" | "running" | "cancelling" | "completed" | "failed" | "cancelled" | "expired";

/**
 * What is being done for a picture, in the order of a life without trouble.
 *
 * - `queued`: waiting for its turn
 * - `waiting_for_model`: waiting for the upstream or its model, or for the pause before another attempt
 * - `starting`: sent to the model
 * - `generating`: the model takes its steps
 * - `decoding`: the steps are done; the model makes the picture of them
 * - `saving`: the picture has arrived and is being kept
 */
export type Step = "queued" | "waiting_for_model" | "starting" | "generating" | "decoding" | "saving";

/**
 * What a cancel achieved at Xinference, the best first.
 *
 * - `never_started`: it was still waiting here; no model has seen it
 * - `stopped`: the model has stopped and is free
 * - `running_on`: this model can't be stopped: it works on to its last step, its picture is dropped
 * - `unconfirmed`: the upstream was told to stop, but did not confirm that it did
 */
export type CancelOutcome = "never_started" | "stopped" | "running_on" | "unconfirmed";

/**
 * What is known of Xinference.
 *
 * - `ready`: there is a model that makes pictures from text
 * - `loading`: not asked yet, or it takes no work for the moment
 * - `no_model`: it answers, but runs no such model
 * - `unreachable`: it does not answer
 * - `unauthorised`: it refuses the server's API key
 */
export type UpstreamState = "ready" | "loading" | "no_model" | "unreachable" | "unauthorised";

/**
 * What went wrong. Others may be added.
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
 * - `lora_tag`: The prompt contains a `<lora:` tag
 * - `unauthorised`: Missing or invalid credentials
 * - `forbidden`: The caller is not allowed to do this
 * - `not_found`: The caller has nothing with this id
 * - `task_id_conflict`: The task id is already used by a request with different content
 * - `too_many_tasks`: The owner, or the server as a whole, has too many unfinished tasks
 * - `too_many_connections`: No connection is left for a streaming response; a WebSocket is closed with 1013 instead
 * - `model_not_found`: The upstream does not run this model
 * - `model_unsuitable`: The model can't generate images from text
 * - `task_unfinished`: An unfinished task can't be deleted; cancel it first
 * - `storage_unavailable`: The data can't be stored now: the disk is full, read-only or busy
 * - `shutting_down`: The server is shutting down
 * - `upstream_auth`: Xinference rejects the server's API key (401, 403) or has banned its address (429)
 * - `upstream_unreachable`: Xinference can't be reached
 * - `upstream_busy`: Xinference accepts no more work: 503, or 429 for its rate limit
 * - `upstream_died`: The model process died (its 500 says so), or the response was lost on the way
 * - `upstream_failed`: Xinference reported any other failure
 * - `upstream_garbage`: Xinference answered 200 with a body that can't be decoded
 * - `timeout`: The task exceeded its timeout
 * - `cancelled`: The task was cancelled
 * - `internal`: A bug in xinflight; the log has the traceback
 */
export type ErrorCode = "not_json" | "wrong_shape" | "unknown_action" | "frame_too_large" | "binary_frame" | "text_frame" | "unsupported_type" | "body_timeout" | "not_acceptable" | "out_of_bounds" | "prompt_missing" | "bad_task_id" | "lora_tag" | "unauthorised" | "forbidden" | "not_found" | "task_id_conflict" | "too_many_tasks" | "too_many_connections" | "model_not_found" | "model_unsuitable" | "task_unfinished" | "storage_unavailable" | "shutting_down" | "upstream_auth" | "upstream_unreachable" | "upstream_busy" | "upstream_died" | "upstream_failed" | "upstream_garbage" | "timeout" | "cancelled" | "internal" | (string & {});

/**
 * Why a socket is closed. Below 4400: come back after a pause; from 4400 on: give up.
 *
 * - `1001`: not sent by this version
 * - `1006`: never sent: dropped as a dead peer or a slow reader, or the network broke
 * - `1012`: the server stops or restarts
 * - `1013`: too many connections, or a replay that can't be read from the store now
 * - `4008`: reserved for a slow reader; this version drops it without a close frame
 * - `4400`: reserved for a request that can't be served
 * - `4401`: a token is needed, or the given one is wrong
 * - `4403`: reserved for an owner who may not come in
 * - `4406`: only sub-protocols were offered that the server does not speak
 */
export type CloseCode = 1001 | 1006 | 1012 | 1013 | 4008 | 4400 | 4401 | 4403 | 4406;

/** Anything a client says over the WebSocket. */
export type ClientMessage = Generate | Cancel | Resume | Follow | Unfollow | ListTasks | Delete | Ping;

/** Anything the server says; others may be added, and must be ignored. */
export type ServerMessage = Welcome | Notice | Ack | Ok | Recovered | Tasks | Pong | Error | Accepted | Progress | Picture | Result | Cancelled;
