// @ts-check

/**
 * Return the hue of an output's colour field, in degrees: decoration that tells tasks apart.
 * @param {string} taskId
 * @param {number} index of the output
 */
export function hueOf(taskId, index) {
  let hue = 0;
  for (const letter of taskId) hue = (hue * 31 + letter.charCodeAt(0)) % 360;
  return hue + 47 * index;
}
