// @ts-check
import { MAX_SEED } from "../../client/xinflight.js";
import { t } from "../../words/words.js";
import { byId } from "../ui/dom.js";

/** @typedef {import("../../client/xinflight.js").Limits} Limits */
/** @typedef {import("./problems.js").Problems} Problems */
/** @typedef {"n" | "steps" | "guidance_scale" | "seed" | "frames" | "fps"} NumberName */

/** Most frames per second that the protocol allows. */
const MOST_FPS = 120;

/** The fields of numbers: what is typed, its bounds, and whether it is within them. */
export class NumberFields {
  /** @type {Record<NumberName, HTMLInputElement>} */
  inputs = {
    n: byId("n", HTMLInputElement),
    steps: byId("steps", HTMLInputElement),
    guidance_scale: byId("guidance_scale", HTMLInputElement),
    seed: byId("seed", HTMLInputElement),
    frames: byId("frames", HTMLInputElement),
    fps: byId("fps", HTMLInputElement),
  };
  #problems;

  /** @param {Problems} problems */
  constructor(problems) {
    this.#problems = problems;
    this.inputs.seed.max = String(MAX_SEED);
    this.inputs.fps.max = String(MOST_FPS);
  }

  /** @param {Limits} limits */
  setLimits({ outputs, steps, guidance_scale: guidance, frames }) {
    const { inputs } = this;
    inputs.n.max = String(outputs);
    inputs.steps.max = String(steps);
    inputs.guidance_scale.max = String(guidance);
    inputs.frames.max = String(frames);
  }

  /** Return a number; undefined if nothing is typed. @param {NumberName} name @returns {number | undefined} */
  value(name) {
    const input = this.inputs[name];
    return input.value === "" ? undefined : input.valueAsNumber;
  }

  /** Whether a field has nothing, or what can be asked for. @param {NumberName} name */
  valid(name) {
    return this.inputs[name].validity.valid;
  }

  /** @param {NumberName} name @param {number | undefined} value */
  set(name, value) {
    this.inputs[name].value = String(value ?? "");
  }

  /** The bounds of a field. @param {NumberName} name */
  bounds(name) {
    const { min, max, step } = this.inputs[name];
    return { min: Number(min), max: max === "" ? Infinity : Number(max), whole: step !== "any" };
  }

  /** Show a problem of a field, if it has any; return whether it has none. @param {NumberName} name */
  check(name) {
    const { min, max, whole } = this.bounds(name);
    const value = this.value(name) ?? min;
    const fine = !this.inputs[name].validity.badInput && value >= min && value <= max;
    if (fine && (!whole || Number.isInteger(value))) return true;
    this.#problems.show(name, t(whole ? "problem.whole" : "problem.range", { min, max }));
    return false;
  }
}
