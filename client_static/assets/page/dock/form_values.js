// @ts-check

/** @typedef {import("../store/draft.js").Values} Values */

/**
 * The parts of the form that have values.
 * @typedef {object} Fields
 * @property {import("./prompt_field.js").PromptField} prompt
 * @property {HTMLTextAreaElement} negative
 * @property {import("./model_choice.js").ModelChoice} choice
 * @property {import("./number_fields.js").NumberFields} numbers
 * @property {import("./size_field.js").SizeField} size
 * @property {import("./strength_field.js").StrengthField} strength
 * @property {import("./grid_fields.js").GridFields} grid
 * @property {import("./preset_chip.js").PresetChip} preset
 */

/** The settings that are the same on all devices of a person: not what is being asked for just now. */
const PREFERRED = ["model", "size", "n", "steps", "guidance_scale", "frames", "fps", "strength", "negative_prompt"];
/** The most characters of a setting that the server keeps. */
const MOST = 2000;

/**
 * Return the raw content of the fields, by name.
 * @param {Fields} fields
 * @returns {Values}
 */
export function valuesOf({ prompt, negative, choice, numbers, size, strength, grid, preset }) {
  const texts = Object.entries(numbers.inputs).map(([name, { value }]) => [name, value]);
  const written = { prompt: prompt.value, mode: prompt.mode, around: prompt.around, negative_prompt: negative.value };
  const chosen = { model: choice.chosen ?? "", size: size.value, strength: strength.text, grid: grid.text, preset: preset.text };
  return { ...Object.fromEntries(texts), ...written, ...chosen };
}

/**
 * Fill the fields with what `valuesOf` returned; those that it lacks get their defaults.
 * @param {Fields} fields
 * @param {Values} values
 * @param {() => void} chosen called when the model is known, and before its size is set
 */
export function fillFields({ prompt, negative, choice, numbers, size, strength, grid, preset }, values, chosen) {
  for (const [name, input] of Object.entries(numbers.inputs)) input.value = values[name] || input.defaultValue;
  prompt.value = values.prompt ?? "";
  prompt.mode = values.mode ?? "";
  prompt.around = values.around ?? "";
  preset.text = values.preset ?? "";
  negative.value = values.negative_prompt ?? "";
  choice.chosen = values.model || null;
  strength.text = values.strength ?? "";
  grid.text = values.grid ?? "";
  chosen();
  size.set(values.size ?? "");
}

/** Return the settings that go along to other devices; those at their defaults are left out. @param {Values} values */
export function preferredOf(values) {
  const settings = PREFERRED.flatMap((name) => {
    const value = values[name] ?? "";
    const own = value === "" || (name === "n" && value === "1");
    return own || value.length > MOST ? [] : [/** @type {const} */ ([name, value])];
  });
  return Object.fromEntries(settings);
}

/**
 * Return `values` with the settings that came from another device.
 * @param {Values} values
 * @param {Record<string, string | number | boolean | null>} preferred
 * @returns {Values}
 */
export function withPreferred(values, preferred) {
  const settings = PREFERRED.map((name) => [name, String(preferred[name] ?? "")]);
  return { ...values, ...Object.fromEntries(settings) };
}
