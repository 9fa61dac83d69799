// @ts-check

/**
 * Take the token out of the page's address (`#token=…`, as the server prints it at its start) and turn it into a
 * cookie that scripts can't read. A wrong one shows when the connection is refused.
 * @param {URL} place the log-in's address
 */
export async function login(place) {
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  if (!token) return;
  history.replaceState(null, "", location.pathname + location.search);
  await fetch(place, { method: "POST", body: token }).catch(() => {});
}
