// @ts-check
import { t } from "../../words/words.js";

/** @typedef {import("./model_choice.js").ModelOption} ModelOption */

/**
 * Fill a list of models, grouped by what they would make where that differs.
 * @param {HTMLSelectElement} select
 * @param {ModelOption[]} options
 */
export function showOptions(select, options) {
  const kinds = [...new Set(options.map(({ kind }) => kind))];
  const written = (/** @type {ModelOption} */ option) => new Option(optionText(option), option.id, option.first);
  if (kinds.length < 2) {
    select.replaceChildren(...options.map(written));
    return;
  }
  const groups = kinds.map((kind) => {
    const group = document.createElement("optgroup");
    group.label = t(`kind.${kind ?? "unknown"}`);
    group.append(...options.filter((option) => option.kind === kind).map(written));
    return group;
  });
  select.replaceChildren(...groups);
}

/** @param {ModelOption} option */
function optionText({ id, first, away }) {
  if (away) return t("form.model_away", { id });
  return first ? t("form.model_default", { id }) : id;
}
