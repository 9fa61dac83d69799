// @ts-check
import { html, nothing, render } from "../../vendor/lit-html/lit-html.js";
import { t } from "../../words/words.js";

/**
 * What is asked before it is done. `to` is given where a text is asked for: to whom it goes, null for everybody.
 * @typedef {object} Question
 * @property {string} title
 * @property {string[]} text paragraphs
 * @property {string} yes
 * @property {boolean} [danger]
 * @property {boolean} [writes] whether a text is asked for
 */

/** The most characters of a notice, as the server has it. */
const LONGEST = 1000;

/** A dialog that asks before something is done for others. Escape, a click outside and the first button cancel. */
export class Dialog {
  #dialog = document.createElement("dialog");
  /** @type {(answer: string | null) => void} */
  #answer = () => {};

  /** @param {HTMLElement} root */
  constructor(root) {
    this.#dialog.className = "ask";
    this.#dialog.dataset.testid = "operator-ask";
    this.#dialog.setAttribute("aria-labelledby", "operator-ask-title");
    this.#dialog.addEventListener("click", ({ target }) => {
      if (target === this.#dialog) this.#dialog.close();
    });
    this.#dialog.addEventListener("close", () => this.#end(null));
    this.#dialog.addEventListener("submit", (event) => {
      event.preventDefault();
      const text = this.#dialog.querySelector("textarea")?.value.trim();
      if (text !== "") this.#end(text ?? "yes");
    });
    root.append(this.#dialog);
  }

  /**
   * Ask, and wait for the answer: what was written or `yes`, or null if it is not to be done.
   * @param {Question} question
   * @returns {Promise<string | null>}
   */
  ask({ title, text, yes, danger = false, writes = false }) {
    this.#end(null);
    const field = html`<label class="field"><span>${t("operator.text")}</span>
      <textarea rows="4" required maxlength=${LONGEST} dir="auto" data-testid="operator-text"></textarea></label>`;
    render(
      html`<form method="dialog"><h2 id="operator-ask-title">${title}</h2>
        ${text.map((paragraph) => html`<p>${paragraph}</p>`)} ${writes ? field : nothing}
        <div class="acts">
          <button type="button" class="quiet" data-testid="operator-no" @click=${() => this.#dialog.close()}>${t("operator.no")}</button>
          <button type="submit" class=${danger ? "danger" : "primary"} data-testid="operator-yes">${yes}</button>
        </div></form>`,
      this.#dialog,
    );
    this.#dialog.showModal();
    return new Promise((resolve) => (this.#answer = resolve));
  }

  /** Cancel what is asked. */
  close() {
    this.#end(null);
  }

  /** @param {string | null} answer */
  #end(answer) {
    const tell = this.#answer;
    this.#answer = () => {};
    if (this.#dialog.open) this.#dialog.close();
    // What it was about is not this person's after a sign-out.
    render(nothing, this.#dialog);
    tell(answer);
  }
}
