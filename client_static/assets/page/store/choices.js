// @ts-check
import { renewShell } from "../status/shell.js";

const YEAR = 365 * 24 * 3600;

/**
 * Remember how the page is to look in a cookie: the server needs it to render the page of the next visit.
 * A choice in the address (`?lang=`) is removed from there, since it would win over the cookie.
 * @param {"lang" | "theme"} what
 * @param {string} value a word without characters that are special in cookies
 */
export function rememberChoice(what, value) {
  const { gateway } = document.documentElement.dataset;
  const folder = new URL(".", location.href).pathname;
  document.cookie = `${gateway}-${what}=${value}; path=${folder}; max-age=${YEAR}; samesite=lax`;
  const url = new URL(location.href);
  url.searchParams.delete(what);
  history.replaceState(history.state, "", url);
  renewShell();
}
