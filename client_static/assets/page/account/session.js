// @ts-check

// The session of a browser: a cookie that no script can read, so the token itself is never stored.

/**
 * Why a token was not exchanged: the server's code, or `unreachable`. `retryAfter`: seconds until the next attempt.
 * @typedef {{code: string, retryAfter?: number}} Refusal
 */

/**
 * Exchange a token for the cookie of a session. Returns null on success.
 * @param {string} token
 * @returns {Promise<Refusal | null>}
 */
export async function exchange(token) {
  return post("login", token);
}

/** Remove the cookie. Returns null on success. @returns {Promise<Refusal | null>} */
export async function endSession() {
  return post("logout", "");
}

/**
 * @param {string} endpoint
 * @param {string} body
 * @returns {Promise<Refusal | null>}
 */
async function post(endpoint, body) {
  try {
    const response = await fetch(new URL(endpoint, location.href), { method: "POST", body });
    if (response.ok) return null;
    const { code = "unreachable" } = await response.json().catch(() => ({}));
    const retryAfter = Number(response.headers.get("Retry-After")) || undefined;
    return { code, retryAfter: response.status === 429 ? (retryAfter ?? 1) : undefined };
  } catch {
    return { code: "unreachable" };
  }
}
