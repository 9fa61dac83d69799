// @ts-check
import { plural, t } from "../../words/words.js";
import { openMenu } from "../ui/menu.js";

/** @typedef {import("./board.js").BoardHost} BoardHost */
/** @typedef {import("./board_row.js").Row} Row */

/**
 * Open the menu of a row of the board: where it goes in the queue, and what goes with it.
 * @param {HTMLElement} button
 * @param {Row} row
 * @param {{movable: boolean, others: boolean, moveBy: (by: number) => void, host: BoardHost}} board `others`: whether
 *   other generations are in flight; `moveBy`: move the row's task by so many, negative to be made sooner
 */
export function openRowMenu(button, { taskId, output }, { movable, others, moveBy, host }) {
  const { generation } = output;
  const flying = generation.outputs.filter(({ state }) => !state.ended).length;
  const moves = [
    { label: t("act.first"), act: () => host.move(taskId, { to: "first" }) },
    { label: t("act.sooner"), act: () => moveBy(-1) },
    { label: t("act.later"), act: () => moveBy(1) },
    { label: t("act.last"), act: () => host.move(taskId, { to: "last" }) },
  ];
  const these = { label: plural("act.cancel_generation", flying), act: () => host.cancelGeneration(generation) };
  const rest = { label: t("act.cancel_others"), act: () => host.cancelOthers(generation) };
  const items = [...(movable ? moves : []), ...(flying > 1 ? [these] : []), ...(others ? [rest] : [])];
  openMenu(button, items, t("board.menu_label", { name: output.name }));
}
