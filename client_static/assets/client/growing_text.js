// @ts-check

/** Half a code point, as JavaScript stores those beyond U+FFFF: most texts have none. */
const SURROGATE = /[\ud800-\udfff]/;

/**
 * A text that arrives in deltas, which may overlap or repeat what is there already. Offsets are in Unicode code points,
 * of which an emoji may be one, while it is two in the `length` of a string.
 */
export class GrowingText {
  text = "";
  #length = 0;

  /**
   * Write a delta at its offset. Returns whether the text grew.
   * @param {number} offset in code points
   * @param {string} delta
   */
  write(offset, delta) {
    const known = this.#length - offset;
    const length = codePoints(delta);
    if (length <= known) return false;
    this.text += known > 0 ? Array.from(delta).slice(known).join("") : delta;
    this.#length = offset + length;
    return true;
  }
}

/** @param {string} text */
function codePoints(text) {
  return SURROGATE.test(text) ? Array.from(text).length : text.length;
}
