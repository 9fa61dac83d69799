// @ts-check
import { XinflightError } from "./protocol.js";
import { authorization, parsed, refusal, restUrl } from "./rest.js";

/** @typedef {import("./connection.js").TokenSource} TokenSource */

/**
 * An image that the server has stored; `expires` in Unix seconds.
 * @typedef {object} Upload
 * @property {string} upload_id for `image`, `images` and `mask` of a request
 * @property {string} media_type
 * @property {number} width pixels
 * @property {number} height pixels
 * @property {number} bytes
 * @property {number} expires
 */

/**
 * `onProgress` is called with the part that has been sent, 0 to 1, where the browser tells it. `signal` aborts the
 * upload, which then rejects with the signal's reason.
 * @typedef {{onProgress?: (part: number) => void, signal?: AbortSignal}} UploadOptions
 */

/** @typedef {{status: number, text: string, retryAfter: string | null}} Reply */

/**
 * Upload an image. Rejects with an `XinflightError`: the server's refusal, or `unreachable`.
 * @param {URL} socket the address of the WebSocket
 * @param {Blob} blob
 * @param {TokenSource | null} source without a token, cookies authenticate
 * @param {UploadOptions} options
 * @returns {Promise<Upload>}
 */
export async function upload(socket, blob, source, options) {
  const url = restUrl(socket, "uploads");
  const headers = { "Content-Type": blob.type || "application/octet-stream", ...(await authorization(source)) };
  // Only the older API tells how much of a body was sent, and it is missing outside of browsers.
  const post = typeof XMLHttpRequest === "undefined" ? postByFetch : postByRequest;
  const { status, text, retryAfter } = await post(url, headers, blob, options);
  const answer = parsed(text);
  if (status >= 200 && status < 300 && "upload_id" in answer) return /** @type {Upload} */ (answer);
  throw refusal(status, answer, retryAfter);
}

/**
 * @param {URL} url
 * @param {Record<string, string>} headers
 * @param {Blob} blob
 * @param {UploadOptions} options
 * @returns {Promise<Reply>}
 */
function postByRequest(url, headers, blob, { onProgress, signal }) {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const request = new XMLHttpRequest();
    const abort = () => request.abort();
    request.open("POST", url);
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.upload.onprogress = ({ loaded, total }) => onProgress?.(total ? loaded / total : 0);
    request.onload = () =>
      resolve({ status: request.status, text: request.responseText, retryAfter: request.getResponseHeader("Retry-After") });
    request.onerror = () => reject(new XinflightError({ code: "unreachable" }));
    request.onabort = () => reject(signal?.reason);
    request.onloadend = () => signal?.removeEventListener("abort", abort);
    signal?.addEventListener("abort", abort);
    request.send(blob);
  });
}

/**
 * @param {URL} url
 * @param {Record<string, string>} headers
 * @param {Blob} body
 * @param {UploadOptions} options
 * @returns {Promise<Reply>}
 */
async function postByFetch(url, headers, body, { signal }) {
  try {
    const response = await fetch(url, { method: "POST", headers, body, signal });
    return { status: response.status, text: await response.text(), retryAfter: response.headers.get("Retry-After") };
  } catch {
    signal?.throwIfAborted();
    throw new XinflightError({ code: "unreachable" });
  }
}
