// @ts-check
import { duration, percent, plural, t } from "../../words/words.js";

/**
 * What settings differ from the model's defaults; undefined or empty where they don't.
 * @typedef {object} Changes
 * @property {string} [size]
 * @property {number} [steps]
 * @property {number} [guidance_scale]
 * @property {number} [frames]
 * @property {number} [fps]
 * @property {number} [seed]
 * @property {number} [strength]
 * @property {boolean} [negative]
 */

/**
 * Describe how many outputs are asked for and how long each will take; empty for one whose time is not known.
 * @param {number} n
 * @param {number | null} seconds
 */
export function costText(n, seconds) {
  if (seconds === null) return n > 1 ? t("dock.count", { n }) : "";
  const time = duration(seconds);
  return n > 1 ? t("dock.cost", { n, time }) : t("dock.cost_one", { time });
}

/**
 * Describe the settings that differ from the model's defaults.
 * @param {Changes} changes
 */
export function changesText({ size, steps, guidance_scale: guidance, frames, fps, seed, strength, negative }) {
  const parts = [
    size?.replace("x", " × "),
    steps !== undefined && plural("meta.steps", steps),
    guidance !== undefined && t("meta.guidance", { n: guidance }),
    frames !== undefined && plural("meta.frames", frames),
    fps !== undefined && t("meta.fps", { n: fps }),
    seed !== undefined && t("dock.seed_kept", { seed }),
    strength !== undefined && t("meta.strength", { percent: percent(Math.round(strength * 100)) }),
    negative && t("form.negative"),
  ];
  return parts.filter(Boolean).join(" · ");
}
