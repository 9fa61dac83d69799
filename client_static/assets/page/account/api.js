// @ts-check

/**
 * Send a request to the REST API; throw an Error whose message is the server's code, or `unreachable`.
 * @param {string} path
 * @param {string} method
 * @param {object} [body]
 * @returns {Promise<unknown>}
 */
export async function ask(path, method, body) {
  const response = await fetch(new URL(`api/v1/${path}`, location.href), {
    method,
    headers: body && { "Content-Type": "application/json" },
    body: body && JSON.stringify(body),
  }).catch(() => {
    throw new Error("unreachable");
  });
  if (response.status === 204) return null;
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(answer.code ?? "internal");
  return answer;
}
