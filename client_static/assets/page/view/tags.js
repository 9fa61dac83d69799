// @ts-check
import { html, render } from "../../vendor/lit-html/lit-html.js";
import { t } from "../../words/words.js";
import { ask } from "../account/api.js";
import { addressOf, chosen } from "../find/search.js";

/** @typedef {import("../store/generation_state.js").GenerationOutput} GenerationOutput */

/** Bounds of the protocol: tags of an image, and characters of a tag. */
const MOST = 16;
const LONGEST = 40;
/** How many tags are offered. */
const OFFERED = 50;

/** The tags of the image in the view: each leads to all images that have it, and can be removed; more can be added. */
export class TagEditor {
  #root;
  #save;
  /** @type {GenerationOutput | null} */
  #output = null;
  /** @type {string[]} */
  #known = [];
  #prefix = /** @type {string | null} */ (null);

  /**
   * @param {HTMLElement} root
   * @param {(output: GenerationOutput, tags: string[]) => void} save
   */
  constructor(root, save) {
    this.#root = root;
    this.#save = save;
  }

  /** Show the tags of an image; null for none. @param {GenerationOutput | null} output */
  show(output) {
    if (output !== this.#output) this.#prefix = null;
    this.#output = output;
    if (!output) {
      this.#known = [];
      render("", this.#root);
      return;
    }
    const tags = output.tags.map(
      (tag) => html`<li class="tag" data-testid="tag"><a href=${addressOf({ text: chosen("", "#", tag), only: "all" })} dir="auto">${tag}</a>
        <button type="button" class="icon" data-testid="tag-remove" aria-label=${t("tags.remove", { tag })} title=${t("tags.remove", { tag })}
          @click=${() => this.#remove(tag)}><svg><use href="#i-close" /></svg></button></li>`,
    );
    const offered = this.#known.filter((tag) => !output.tags.includes(tag));
    render(
      html`<ul role="list" aria-label=${t("find.tags")}>${tags}</ul>
        <input type="text" list="known-tags" maxlength=${LONGEST} dir="auto" autocomplete="off" autocapitalize="none" enterkeyhint="done"
          data-testid="tag-add" aria-label=${t("tags.add")} placeholder=${t("tags.add")} ?hidden=${output.tags.length >= MOST}
          @focus=${() => this.#fetch("")} @input=${this.#type} @change=${this.#add} />
        <datalist id="known-tags" data-testid="known-tags">${offered.map((tag) => html`<option value=${tag}></option>`)}</datalist>`,
      this.#root,
    );
  }

  #type = (/** @type {Event} */ event) => {
    const { value } = /** @type {HTMLInputElement} */ (event.target);
    // All of them are known already if they are few.
    if (this.#known.length >= OFFERED || value.startsWith(this.#prefix ?? "") === false) this.#fetch(value);
  };

  #add = (/** @type {Event} */ event) => {
    const field = /** @type {HTMLInputElement} */ (event.target);
    const added = field.value.split(/[,，]/u).map((tag) => tag.trim()).filter(Boolean);
    field.value = "";
    if (!this.#output || added.length === 0) return;
    this.#save(this.#output, [...new Set([...this.#output.tags, ...added])].slice(0, MOST));
  };

  /** @param {string} tag */
  #remove(tag) {
    if (this.#output) this.#save(this.#output, this.#output.tags.filter((each) => each !== tag));
    this.#root.querySelector("input")?.focus();
  }

  /** Ask for the tags of this person that begin with something. @param {string} prefix */
  async #fetch(prefix) {
    if (prefix === this.#prefix) return;
    this.#prefix = prefix;
    const query = new URLSearchParams({ limit: String(OFFERED), ...(prefix && { prefix }) });
    // They are an offer: without them one can still type a tag.
    const answer = await ask(`tags?${query}`, "GET").catch(() => null);
    if (prefix !== this.#prefix) return;
    this.#known = /** @type {{tags: string[]} | null} */ (answer)?.tags ?? [];
    this.show(this.#output);
  }
}
