// @ts-check

/**
 * Remove the token from the page's address (`#token=…`) and from the history, and return it; null without one.
 * @returns {string | null}
 */
export function takeToken() {
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  if (token !== null) history.replaceState(null, "", location.pathname + location.search);
  return token || null;
}
