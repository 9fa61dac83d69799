// @ts-check
import { inOrder } from "../board/rows.js";

/** @typedef {import("../../client/xinflight.js").QueuedOutput} QueuedOutput */
/** @typedef {import("../store/generation_state.js").GenerationOutput} GenerationOutput */
/** @typedef {import("../store/generation_state.js").GenerationState} GenerationState */

/** A day of the sheet, as the midnight with which it began, in milliseconds. @typedef {{day: number, generations: GenerationState[]}} Section */

/**
 * Order generations as they will land: by the first of their outputs to come.
 * @param {readonly GenerationState[]} unfinished newest first
 * @param {QueuedOutput[]} queue
 * @param {GenerationState[]} before the order that was shown last
 * @param {number} now in milliseconds
 * @returns {GenerationState[]}
 */
export function landingOrder(unfinished, queue, before, now) {
  const flying = (/** @type {readonly GenerationState[]} */ generations) =>
    generations.flatMap(({ outputs }) => outputs.filter(({ state }) => !state.ended).map((output) => inFlight(output, now)));
  const ordered = inOrder(flying([...unfinished].reverse()), queue, flying(before));
  return [...new Set([...ordered.map(({ generation }) => generation), ...unfinished])];
}

/**
 * @param {GenerationOutput} output
 * @param {number} now in milliseconds
 */
function inFlight({ key, index, generation, state }, now) {
  const { waiting, phase, nearly } = state;
  return { key, taskId: generation.task.id, index, generation, waiting, phase, nearly, left: state.remaining(now) };
}

/**
 * Part ended generations by the days on which they were asked for, newest first.
 * @param {readonly GenerationState[]} ended newest first
 * @returns {Section[]}
 */
export function byDay(ended) {
  /** @type {Section[]} */
  const sections = [];
  for (const generation of ended) {
    const day = midnight(generation.created === Infinity ? Date.now() : generation.created * 1000);
    const last = sections.at(-1);
    if (last?.day === day) last.generations.push(generation);
    else sections.push({ day, generations: [generation] });
  }
  return sections;
}

/** Return the midnight before a point in time, by the local clock. @param {number} time in milliseconds */
export function midnight(time) {
  return new Date(time).setHours(0, 0, 0, 0);
}
