// @ts-check

/** Where a prompt goes within the text that is put around it. */
export const PLACE = "{prompt}";

/**
 * Put a text around a prompt: the prompt takes the place of `{prompt}`, or the text follows it after a comma. A prompt that
 * has the text around it already, since it is taken from an earlier image, stays as it is.
 * @param {string} around empty: nothing is put around it
 * @param {string} prompt empty: only the text itself remains
 */
export function putAround(around, prompt) {
  if (around === "") return prompt;
  const parts = around.includes(PLACE) ? around.split(PLACE) : ["", `, ${around}`];
  if (prompt === "") return parts.join("").replace(/^[\s,，]+|[\s,，]+$/gu, "");
  const [before = "", after = ""] = [parts[0], parts.at(-1)];
  const has = prompt.length > before.length + after.length && prompt.startsWith(before) && prompt.endsWith(after);
  return has ? prompt : parts.join(prompt);
}
