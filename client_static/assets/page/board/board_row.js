// @ts-check
import { html, nothing } from "../../vendor/lit-html/lit-html.js";
import { duration, ordinal, percent, t } from "../../words/words.js";
import { stepText } from "../store/output_words.js";
import { hueOf } from "../ui/hue.js";

/** @typedef {import("../store/generation_state.js").GenerationOutput} GenerationOutput */
/** @typedef {import("./rows.js").InFlight} InFlight */

/**
 * An output in flight as the board shows it. @typedef {InFlight & {output: GenerationOutput}} Row
 */

/**
 * Return the row of an output.
 * @param {GenerationOutput} output
 * @param {number} now in milliseconds
 * @returns {Row}
 */
export function rowOf(output, now) {
  const { key, generation, index, state } = output;
  const { waiting, phase, nearly } = state;
  return { key, taskId: generation.task.id, index, waiting, phase, nearly, left: state.remaining(now), output };
}

/**
 * Describe what a row waits for or does: the place in the queue, else the step.
 * @param {Row} row
 * @param {boolean} withModel whether the models differ, so that each one is told
 */
export function stepOf({ output: { state, generation } }, withModel) {
  const { position, step } = state.progress ?? {};
  const place = position === 1 ? t("board.next") : position ? t("board.place", { place: ordinal(position) }) : "";
  const text = state.waiting && step === "queued" && place && !state.cancelling ? place : stepText(state);
  return [text, withModel && generation.params.model].filter(Boolean).join(" · ");
}

/**
 * Describe when an output is ready: the time left, else how far it is; empty while neither is known.
 * @param {Row} row
 * @param {number} now in milliseconds
 */
export function whenOf({ left, output: { state } }, now) {
  if (state.cancelling) return "";
  if (left !== null) return left < 1 && !state.waiting ? t("board.soon") : duration(Math.max(left, 1));
  const { percent: part } = state.shownAt(now);
  return state.waiting || part === 0 ? "" : percent(part);
}

/**
 * The template of a row. Its progress is a property of what shows it alone: all within the row would be styled anew.
 * @param {Row} row
 * @param {{now: number, withModel: boolean, movable: boolean, more: boolean, place: number}} board `more`: whether its
 *   menu has anything; `place` counts from 0
 */
export function rowTemplate(row, { now, withModel, movable, more, place }) {
  const { output } = row;
  const { state, generation } = output;
  const looks = state.cancelling ? "cancelling" : row.waiting ? "queued" : "running";
  const part = row.waiting ? 0 : state.shownAt(now).percent;
  return html`<li class="flight-row" data-testid="board-row" data-state=${looks}
    data-key=${row.key}>
    ${movable || more
      ? html`<button type="button" class="grip" data-act="menu" data-testid=${movable ? "board-grip" : "board-menu"}
          title=${t(movable ? "board.grip" : "board.menu")}
          aria-label=${t(movable ? "board.grip_label" : "board.menu_label", { name: output.name, n: place + 1 })}
          aria-haspopup="menu" aria-keyshortcuts=${movable ? "Alt+ArrowUp Alt+ArrowDown" : nothing}
          ><svg><use href=${movable ? "#i-grip" : "#i-dots"}/></svg></button>`
      : html`<span class="grip"></span>`}
    <span class="thumb" aria-hidden="true" .style=${`--part: ${part / 100}; --hue: ${hueOf(row.taskId, row.index)}`}><i></i></span>
    <span class="what"><b dir="auto">${generation.prompt}</b><small data-testid="board-step">${stepOf(row, withModel)}</small></span>
    <span class="left" data-testid="board-left">${whenOf(row, now)}</span>
    <button type="button" class="x" data-act="cancel" data-testid="board-cancel" title=${t("act.cancel")}
      aria-label=${t("board.cancel_label", { name: output.name })}
      aria-disabled=${state.cancelling ? "true" : nothing}><svg><use href="#i-close"/></svg></button>
  </li>`;
}

/**
 * The template of a ring of the ribbon.
 * @param {Row} row
 * @param {number} now in milliseconds
 */
export function rowRing(row, now) {
  const part = row.waiting ? 0 : row.output.state.shownAt(now).percent;
  return html`<span class="orbit" data-key=${row.key} data-state=${row.waiting ? "queued" : "running"}
    .style=${`--part: ${part / 100}; --hue: ${hueOf(row.taskId, row.index)}`}><i></i><small>${whenOf(row, now)}</small></span>`;
}
