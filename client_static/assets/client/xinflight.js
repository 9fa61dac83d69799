// @ts-check
// The public interface of the client: import from here only. The other modules of this folder may change at any time.

export { Xinflight } from "./client.js";
export { Estimate } from "./estimate.js";
export { eventsOf } from "./history.js";
export { MAX_SEED, XinflightError } from "./protocol.js";
export { Task } from "./task.js";

/** @typedef {import("./client.js").QueueState} QueueState */
/** @typedef {import("./client.js").XinflightEvents} XinflightEvents */
/** @typedef {import("./connection.js").Status} Status */
/** @typedef {import("./connection.js").TokenSource} TokenSource */
/** @typedef {import("./connection.js").Unauthorised} Unauthorised */
/** @typedef {import("./estimate.js").Shown} Shown */
/** @typedef {import("./protocol.js").ChatEnd} ChatEnd */
/** @typedef {import("./protocol.js").ChatMessage} ChatMessage */
/** @typedef {import("./protocol.js").ChatParams} ChatParams */
/** @typedef {import("./protocol.js").Delta} Delta */
/** @typedef {import("./protocol.js").End} End */
/** @typedef {import("./protocol.js").ErrorMessage} ErrorMessage */
/** @typedef {import("./protocol.js").GenerateKind} GenerateKind */
/** @typedef {import("./protocol.js").GenerateParams} GenerateParams */
/** @typedef {import("./library.js").Library} Library */
/** @typedef {import("./library.js").Query} Query */
/** @typedef {import("./protocol.js").Kind} Kind */
/** @typedef {import("./protocol.js").Limits} Limits */
/** @typedef {import("./protocol.js").ModelInfo} ModelInfo */
/** @typedef {import("./protocol.js").Notice} Notice */
/** @typedef {import("./protocol.js").Params} Params */
/** @typedef {import("./protocol.js").OutputMarks} OutputMarks */
/** @typedef {import("./protocol.js").OutputRef} OutputRef */
/** @typedef {import("./protocol.js").Preferences} Preferences */
/** @typedef {import("./protocol.js").Preset} Preset */
/** @typedef {import("./protocol.js").PresetsChange} PresetsChange */
/** @typedef {import("./protocol.js").Progress} Progress */
/** @typedef {import("./protocol.js").QueuedOutput} QueuedOutput */
/** @typedef {import("./protocol.js").TaskEvent} TaskEvent */
/** @typedef {import("./protocol.js").TaskInfo} TaskInfo */
/** @typedef {import("./protocol.js").Upstream} Upstream */
/** @typedef {import("./protocol.js").UpstreamEnd} UpstreamEnd */
/** @typedef {import("./protocol.js").Welcome} Welcome */
/** @typedef {import("./task.js").TaskEvents} TaskEvents */
/** @typedef {import("./uploads.js").Upload} Upload */
/** @typedef {import("./uploads.js").UploadOptions} UploadOptions */
