// @ts-check

/**
 * Return the prompts of a text that has one per line, without blank lines and white space around them.
 * @param {string} text
 */
export function promptLines(text) {
  return text.split("\n").flatMap((line) => line.trim() || []);
}
