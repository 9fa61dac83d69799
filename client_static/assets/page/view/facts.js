// @ts-check
import { html, nothing } from "../../vendor/lit-html/lit-html.js";
import { percent, t, when } from "../../words/words.js";
import { AXIS_WORDS } from "../dock/grid_fields.js";
import { GRID } from "./address.js";
import { axesOf } from "./grid_layout.js";

/** @typedef {import("../store/generation_state.js").GenerationOutput} GenerationOutput */

/**
 * What an image or video was made of and with, as names and values in words.
 * @param {GenerationOutput} output
 * @returns {{key: string, name: string, value: string}[]}
 */
export function factsOf({ generation: { params, task }, state: { output } }) {
  const { kind = "text2image", negative_prompt, model, size, strength, frames, fps, steps, guidance_scale } = params;
  const there = output?.width ? `${output.width}x${output.height}` : size;
  const facts = {
    kind: kind === "text2image" || kind === "chat" ? undefined : t(`kind.${kind}`),
    negative: negative_prompt,
    model,
    size: there?.replace("x", " × "),
    seed: output?.seed ?? params.seed,
    steps,
    guidance: guidance_scale,
    strength: strength === undefined ? undefined : percent(Math.round(strength * 100)),
    frames,
    fps,
    when: task.created === null ? undefined : when(task.created, "full"),
  };
  return Object.entries(facts).flatMap(([key, value]) => {
    const name = t(/** @type {import("../../words/words.js").Key} */ (`fact.${key}`));
    return value === undefined || value === "" ? [] : { key, name, value: String(value) };
  });
}

/**
 * The facts as a list of terms, each value with a button that copies it.
 * @param {GenerationOutput} output
 * @param {(text: string, name: string) => void} copy
 */
export function factList(output, copy) {
  const { prompt } = output.generation.params;
  const row = (/** @type {string} */ key, /** @type {string} */ name, /** @type {string} */ value) => html`
    <div class="fact" data-testid=${`fact-${key}`}>
      <dt>${name}</dt>
      <dd><span dir="auto">${value}</span><button type="button" class="icon" aria-label=${t("act.copy", { what: name })}
        title=${t("act.copy", { what: name })} @click=${() => copy(value, name)}><svg><use href="#i-copy" /></svg></button></dd>
    </div>`;
  return html`<dl>
    ${prompt ? row("prompt", t("form.prompt"), prompt) : nothing}
    ${factsOf(output).map(({ key, name, value }) => row(key, name, value))}
    ${comparison(output)}
  </dl>`;
}

/** Where an image of a grid leads back to all of it. @param {GenerationOutput} output */
function comparison({ generation: { params } }) {
  const axes = axesOf(params.group);
  return axes === null
    ? nothing
    : html`<div class="fact" data-testid="fact-grid">
        <dt>${t("fact.grid")}</dt>
        <dd><a href=${`${GRID}${params.group}`}>${axes.map((axis) => t(AXIS_WORDS[axis])).join(" × ")}</a></dd>
      </div>`;
}
