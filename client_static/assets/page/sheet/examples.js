// @ts-check
import { html, render } from "../../vendor/lit-html/lit-html.js";
import { onLang, t } from "../../words/words.js";
import { byId } from "../ui/dom.js";

/** What each tile asks for; the scenes of `examples.svg` stand in the same order. */
const EXAMPLES = /** @type {const} */ ([
  "example.lighthouse",
  "example.city",
  "example.boat",
  "example.hut",
  "example.planet",
  "example.mountains",
]);

/** Fill the empty sheet with tiles, each of which asks for an image with one press. */
export function showExamples() {
  const list = byId("examples", HTMLElement);
  const show = () => {
    const tile = (/** @type {typeof EXAMPLES[number]} */ key) =>
      html`<li><button type="button" class="example" data-testid="example" @click=${() => ask(t(key))}>
        <span class="scene" aria-hidden="true"></span><span class="what">${t(key)}</span></button></li>`;
    render(EXAMPLES.map(tile), list);
  };
  show();
  onLang(show);
}

/** Ask for a prompt by the form, with its settings, as its button does. What was typed there stays. @param {string} prompt */
function ask(prompt) {
  const field = byId("prompt", HTMLTextAreaElement);
  const typed = field.value;
  write(field, prompt);
  byId("form", HTMLFormElement).requestSubmit();
  if (typed) write(field, typed);
}

/**
 * @param {HTMLTextAreaElement} field
 * @param {string} text
 */
function write(field, text) {
  field.value = text;
  field.dispatchEvent(new Event("input", { bubbles: true }));
}
