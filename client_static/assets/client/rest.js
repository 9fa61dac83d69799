// @ts-check
import { XinflightError } from "./protocol.js";

/** @typedef {import("./connection.js").TokenSource} TokenSource */
/** @typedef {import("./protocol.js").ErrorMessage} ErrorMessage */
/** @typedef {import("./protocol.js").TaskInfo} TaskInfo */

/**
 * Return the address of an endpoint of the REST API.
 * @param {URL} socket the address of the WebSocket
 * @param {string} path below `/api/v1/`
 */
export function restUrl(socket, path) {
  const url = new URL(`../api/v1/${path}`, socket);
  url.protocol = url.protocol.replace("ws", "http");
  url.search = "";
  return url;
}

/**
 * Return the header that authenticates a request.
 * @param {TokenSource | null} source without a token, cookies authenticate
 * @returns {Promise<Record<string, string>>}
 */
export async function authorization(source) {
  const token = typeof source === "function" ? await source() : source;
  return token ? { Authorization: `Bearer ${token}` } : {};
}

/**
 * Fetch one task. Rejects with an `XinflightError`: the server's refusal, or `unreachable`.
 * @param {URL} socket the address of the WebSocket
 * @param {string} taskId
 * @param {TokenSource | null} source
 * @returns {Promise<TaskInfo>}
 */
export async function fetchTask(socket, taskId, source) {
  const headers = await authorization(source);
  /** @type {Response} */
  let response;
  try {
    response = await fetch(restUrl(socket, `tasks/${encodeURIComponent(taskId)}`), { headers });
  } catch {
    throw new XinflightError({ code: "unreachable" });
  }
  const answer = parsed(await response.text());
  if (response.ok && "task_id" in answer) return /** @type {TaskInfo} */ (answer);
  throw refusal(response.status, answer, response.headers.get("Retry-After"));
}

/** Return the object that a body is; an empty one if it is none. @param {string} text @returns {object} */
export function parsed(text) {
  try {
    return Object(JSON.parse(text));
  } catch {
    return {};
  }
}

/**
 * Return the error of a refusal.
 * @param {number} status
 * @param {Partial<ErrorMessage> & {detail?: string}} problem
 * @param {string | null} retryAfter
 */
export function refusal(status, { code, detail, field, limit, retryable }, retryAfter) {
  // A proxy on the way may refuse a body by itself, in a form of its own.
  const told = code ?? (status === 413 ? "frame_too_large" : "unreachable");
  const retry_after = Number(retryAfter) || undefined;
  return new XinflightError({ code: told, message: detail, field, limit, retryable, retry_after });
}
