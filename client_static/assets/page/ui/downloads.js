// @ts-check

/**
 * Return the address under which the browser saves a file, by a name with date, prompt and seed that the server gives it.
 * @param {string} url the address of an output, signed or not
 */
export function downloadUrl(url) {
  return `${url}${url.includes("?") ? "&" : "?"}download=1`;
}
