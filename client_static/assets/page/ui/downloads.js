// @ts-check

/**
 * Return the address under which the browser saves a file, by a name with date, prompt and seed that the server gives it.
 * @param {string} url the address of an output, signed or not
 */
export function downloadUrl(url) {
  return `${url}${url.includes("?") ? "&" : "?"}download=1`;
}

/**
 * Let the browser save what was made here.
 * @param {Blob} blob
 * @param {string} name
 */
export function saveFile(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  // Not at once: some browsers begin to read it after the click.
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
