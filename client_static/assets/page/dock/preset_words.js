// @ts-check
import { t } from "../../words/words.js";
import { changesText } from "./dock_words.js";

/** @typedef {import("../../client/xinflight.js").Preset} Preset */

/**
 * Describe what a preset sets.
 * @param {Preset["settings"]} settings
 * @param {(model: string) => boolean} running whether a model is there
 */
export function presetText(settings, running) {
  const text = (/** @type {string} */ name) => String(settings[name] ?? "");
  // Others may have stored anything under these names.
  const number = (/** @type {string} */ name) => (text(name) === "" || isNaN(Number(text(name))) ? undefined : Number(text(name)));
  const [model, n] = [text("model"), number("n")];
  const parts = [
    model && (running(model) ? model : t("form.model_away", { id: model })),
    n !== undefined && n > 1 && t("dock.count", { n }),
    changesText({
      size: text("size"),
      steps: number("steps"),
      guidance_scale: number("guidance_scale"),
      frames: number("frames"),
      fps: number("fps"),
      strength: number("strength"),
      negative: text("negative_prompt") !== "",
    }),
  ];
  return parts.filter(Boolean).join(" · ") || t("dock.reset");
}
