// @ts-check

/**
 * Exchange the token in the page's address (`#token=…`, as the server prints it at startup) for an HttpOnly cookie, and
 * remove it from the address. Errors are ignored: with a wrong token the WebSocket is refused, which the page shows.
 * @param {URL} place the address of the log-in endpoint
 */
export async function login(place) {
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  if (!token) return;
  history.replaceState(null, "", location.pathname + location.search);
  await fetch(place, { method: "POST", body: token }).catch(() => {});
}
