// @ts-check
import { axesOf, gridOf } from "./grid_layout.js";

/** @typedef {import("../store/generation_state.js").GenerationState} GenerationState */
/** @typedef {import("../dock/grid.js").Axis} Axis */

/** The grid of one prompt. @typedef {import("./grid_layout.js").Grid<GenerationState> & {prompt: string}} GridTable */

/**
 * Arrange the generations of a grid that was asked for: one table for each of its prompts, in their order.
 * @param {string} group
 * @param {GenerationState[]} generations of that group, the oldest first
 * @returns {GridTable[]}
 */
export function tablesOf(group, generations) {
  const axes = axesOf(group);
  if (!axes) return [];
  const prompts = [...new Set(generations.map(({ prompt }) => prompt))];
  return prompts.map((prompt) => {
    const those = generations.filter((generation) => generation.prompt === prompt);
    const { rows, columns, cells } = gridOf(axes, those.map((generation) => ({ params: generation.params, generation })));
    return { prompt, rows, columns, cells: cells.map((line) => line.map((cell) => cell?.generation)) };
  });
}
