// @ts-check
import { repeat } from "../../vendor/lit-html/directives/repeat.js";
import { html, nothing, render } from "../../vendor/lit-html/lit-html.js";
import { errorText, onLang, t } from "../../words/words.js";
import { OwnPresets } from "../store/presets.js";
import { byId } from "../ui/dom.js";
import { openMenu } from "../ui/menu.js";
import { RowWalk } from "../ui/row_walk.js";
import { isUndo, keysOn } from "../ui/shortcuts.js";
import { loadStyle } from "../ui/style.js";
import { PLACE } from "./around.js";
import { presetText } from "./preset_words.js";

/** @typedef {import("../page.js").Page} Page */
/** @typedef {import("./form.js").Form} Form */
/** @typedef {import("../../client/xinflight.js").Preset} Preset */
/** @typedef {import("../../client/xinflight.js").PresetsChange} PresetsChange */

/** The most characters of a name and of a text around the prompt, and the most presets, that the server keeps. */
const [NAME, PROMPT, MOST] = [60, 2000, 100];

/**
 * Load the style of the list of presets, and make it. Rejects if they can't be loaded.
 * @param {Page} page
 * @param {Form} form
 */
export async function loadPresets(page, form) {
  await loadStyle("presets.css");
  const list = new Presets(page, form);
  page.onLeave(() => list.clear());
  return list;
}

/** The list of presets above the dock: one press sets the dock to one; they are saved, changed and deleted there, with undo. */
export class Presets {
  #page;
  #form;
  #own;
  #root = document.createElement("section");
  #body = document.createElement("div");
  #chip = byId("presets-open", HTMLButtonElement);
  #walk = new RowWalk(this.#root, { list: "ul", row: "li" });
  /** The preset whose name and text are being changed; null: what is set now is to be saved. @type {Preset | null} */
  #edited = null;
  /** What was written last as a name. */
  #name = "";
  /** What was done last, and how it is undone. @type {{text: string, undo: PresetsChange} | null} */
  #done = null;
  #problem = "";

  /**
   * @param {Page} page
   * @param {Form} form
   */
  constructor(page, form) {
    this.#page = page;
    this.#form = form;
    this.#root.id = "presets";
    this.#root.dataset.testid = "presets";
    this.#root.className = "sheet-up";
    this.#root.role = "group";
    this.#root.popover = "auto";
    this.#root.setAttribute("aria-labelledby", "presets-title");
    this.#root.append(this.#body);
    this.#root.addEventListener("beforetoggle", ({ newState }) => newState === "open" && this.#begin());
    // This one comes later: somebody may write already.
    this.#root.addEventListener("toggle", ({ newState }) => {
      if (newState === "open" && !this.#root.contains(document.activeElement)) this.#focus(this.#form.preset.name);
    });
    this.#root.addEventListener("keydown", (event) => this.#press(event));
    byId("studio", HTMLElement).append(this.#root);
    this.#own = new OwnPresets(page.client, { changed: () => this.#changed(), problem: page.problem });
    onLang(() => this.#render());
    this.#render();
  }

  /** Show it for the first time; after that the chip does. */
  open() {
    this.#chip.popoverTargetElement = this.#root;
    this.#root.showPopover();
  }

  /** Forget everything, because it is somebody else's. */
  clear() {
    this.#root.hidePopover();
    this.#own.clear();
    this.#write(null);
    this.#done = null;
    this.#render();
  }

  #begin() {
    this.#done = null;
    this.#problem = "";
    this.#write(null);
    this.#render();
  }

  /** Focus the preset of that name, or the one at which Tab stops; without any, where the first one is named. */
  #focus(name = "") {
    /** @type {NodeListOf<HTMLElement>} */
    const buttons = this.#root.querySelectorAll("[data-preset]");
    const presets = [...buttons];
    const found = presets.find(({ dataset }) => dataset.preset === name) ?? presets.find(({ tabIndex }) => tabIndex === 0);
    (found ?? this.#field("name")).focus();
  }

  /** Another list is there. */
  #changed() {
    const names = this.#own.list.map(({ name }) => name);
    const { name } = this.#form.preset;
    // Of a preset that is gone the chip has no name to show.
    if (this.#own.known && name !== "" && !names.includes(name)) this.#form.use({ ...this.#form.preset, name: "" });
    const empty = this.#body.querySelector("[data-preset]") === null;
    this.#render();
    if (empty && this.#root.matches(":popover-open") && !this.#name) this.#focus(this.#form.preset.name);
  }

  /** @param {KeyboardEvent} event */
  #press(event) {
    const { key, target } = event;
    if (this.#done && isUndo(event)) {
      event.preventDefault();
      this.#undo();
      return;
    }
    if (!(target instanceof HTMLElement) || target.closest("input, textarea, .menu")) return;
    const preset = /^[1-9]$/.test(key) && keysOn() ? this.#own.list[Number(key) - 1] : undefined;
    if (!preset) return;
    event.preventDefault();
    this.#use(preset);
  }

  /** Whether a model is there, as far as is known. @param {string} id */
  #running(id) {
    const models = this.#page.client.welcome?.models;
    return !models || models.some((model) => model.id === id && model.kinds.some((kind) => kind !== "chat"));
  }

  /** Set the dock to a preset; what was set before can be brought back. @param {Preset} preset */
  #use(preset) {
    const before = this.#form.preset;
    const model = String(preset.settings.model ?? "");
    const there = model === "" || this.#running(model);
    const settings = there ? preset.settings : { ...preset.settings, model: before.settings.model ?? null };
    this.#form.use({ ...preset, settings });
    this.#root.hidePopover();
    this.#chip.focus();
    const text = t(there ? "presets.used" : "presets.used_away", { name: preset.name, model });
    this.#page.toasts.show(text, { label: t("act.undo"), undoes: true, act: () => this.#form.use(before) });
  }

  /**
   * Change the list; the line above it says so and offers to undo it. Returns whether that was done.
   * @param {PresetsChange} change
   * @param {string} text what was done
   */
  async #change(change, text) {
    this.#problem = "";
    try {
      this.#done = { text, undo: await this.#own.change(change) };
    } catch (error) {
      const { code, message, limit } = /** @type {import("../../client/xinflight.js").XinflightError} */ (error);
      const many = this.#own.list.length >= MOST && code === "out_of_bounds";
      this.#problem = many ? t("presets.many", { n: MOST }) : errorText({ code, message, limit });
    }
    this.#render();
    return this.#problem === "";
  }

  async #undo() {
    const undo = this.#done?.undo;
    if (!undo) return;
    this.#done = null;
    await this.#change(undo, t("presets.undone"));
    this.#done = null;
    this.#render();
    this.#focus();
  }

  /** @param {Preset} preset */
  async #remove({ name }) {
    if (!(await this.#change({ delete: [name] }, t("presets.deleted", { name })))) return;
    if (this.#edited?.name === name) this.#write(null);
    this.#render();
    this.#focus();
  }

  /** Put what is set now in the place of a preset. @param {string} name */
  async #overwrite(name) {
    const preset = { ...this.#form.preset, name };
    if (await this.#change({ save: [preset] }, t("presets.overwritten", { name }))) this.#form.use(preset);
    this.#render();
    this.#focus();
  }

  /** Save what is written. @param {Event} event */
  async #save(event) {
    event.preventDefault();
    const name = this.#name.trim();
    const prompt = this.#field("prompt").value.trim() || undefined;
    if (name === "") {
      this.#problem = t("presets.name_missing");
      this.#render();
      this.#field("name").focus();
      return;
    }
    const edited = this.#edited;
    const set = this.#form.preset;
    const preset = { name, settings: (edited ?? set).settings, prompt };
    const renamed = edited && edited.name !== name ? [edited.name] : [];
    if (!(await this.#change({ delete: renamed, save: [preset] }, t("presets.saved", { name })))) return;
    // The dock is set to what was saved; what was only changed leaves it alone, unless it is what the dock is set to.
    if (!edited || set.name === edited.name) this.#form.use(preset);
    this.#write(null);
    this.#render();
    this.#focus(name);
  }

  /** @param {"name" | "prompt"} name @returns {HTMLInputElement | HTMLTextAreaElement} */
  #field(name) {
    return /** @type {HTMLInputElement} */ (this.#body.querySelector(`[name=${name}]`));
  }

  /** Fill the fields: with a preset whose name and text are to be changed, or with what is set now. @param {Preset | null} preset */
  #write(preset) {
    this.#edited = preset;
    this.#name = preset?.name ?? "";
    this.#field("name").value = this.#name;
    this.#field("prompt").value = (preset ?? this.#form.preset).prompt ?? "";
  }

  /** @param {Preset} preset */
  #edit(preset) {
    this.#write(preset);
    this.#render();
    this.#field("name").focus();
  }

  #render() {
    const { list } = this.#own;
    const row = (/** @type {Preset} */ preset) => this.#row(preset, list.indexOf(preset));
    const template = html`<header><h3 id="presets-title">${t("dock.presets")}</h3>
          <button type="button" class="icon" popovertarget="presets" popovertargetaction="hide" aria-label=${t("act.close")} title=${t("act.close")}><svg><use href="#i-close" /></svg></button></header>
        <p class="done" role="status" data-testid="presets-done">${this.#done ? this.#doneTemplate(this.#done) : nothing}</p>
        ${list.length ? nothing : html`<p class="hint" data-testid="presets-none">${t("presets.none")}</p>`}
        <ul role="list">${repeat(list, ({ name }) => name, row)}</ul>
        ${this.#formTemplate()}`;
    this.#walk.keep(() => render(template, this.#body));
  }

  /** @param {{text: string}} done */
  #doneTemplate({ text }) {
    return html`<span dir="auto">${text}</span> <button type="button" class="quiet" data-testid="presets-undo" aria-keyshortcuts="Control+Z" @click=${() => this.#undo()}>${t("act.undo")}</button>`;
  }

  /**
   * @param {Preset} preset
   * @param {number} at
   */
  #row(preset, at) {
    const { name, settings, prompt } = preset;
    const set = this.#form.preset.name === name;
    const menu = (/** @type {Event} */ { currentTarget }) => {
      openMenu(/** @type {HTMLElement} */ (currentTarget), [
        { label: t("presets.overwrite"), act: () => void this.#overwrite(name) },
        { label: t("presets.edit"), act: () => this.#edit(preset) },
        { label: t("act.delete"), act: () => void this.#remove(preset) },
      ], name);
    };
    return html`<li>
      <button type="button" class="plain preset" data-preset=${name} data-testid="preset" aria-current=${set ? "true" : nothing} @click=${() => this.#use(preset)}>
        <b dir="auto">${name}</b>${at < 9 ? html`<kbd aria-hidden="true">${at + 1}</kbd>` : nothing}
        <small dir="auto">${presetText(settings, (model) => this.#running(model))}</small>
        ${prompt ? html`<small class="text" dir="auto">${prompt.replaceAll(PLACE, "…")}</small>` : nothing}</button>
      <button type="button" class="icon" data-testid="preset-menu" aria-haspopup="menu" aria-label=${t("presets.more", { name })} @click=${menu}><svg><use href="#i-dots" /></svg></button>
    </li>`;
  }

  #formTemplate() {
    const edited = this.#edited;
    const replaces = this.#own.list.some(({ name }) => name === this.#name.trim() && name !== edited?.name);
    const label = replaces ? "presets.replace" : "act.save";
    const write = (/** @type {Event} */ { target }) => {
      this.#name = /** @type {HTMLInputElement} */ (target).value;
      this.#problem = "";
      this.#render();
    };
    const stop = () => {
      this.#write(null);
      this.#render();
      this.#focus();
    };
    return html`<form novalidate autocomplete="off" data-testid="preset-form" @submit=${(/** @type {Event} */ event) => this.#save(event)}>
      <h4 dir="auto">${edited ? t("presets.change", { name: edited.name }) : t("presets.save_now")}</h4>
      ${edited ? nothing : html`<p class="hint" data-testid="preset-now">${presetText(this.#form.preset.settings, (model) => this.#running(model))}</p>`}
      <div class="field"><label for="preset-name">${t("presets.name")}</label>
        <input id="preset-name" name="name" data-testid="preset-name" maxlength=${NAME} dir="auto" aria-invalid=${this.#problem ? "true" : nothing} aria-describedby="preset-problem" @input=${write} /></div>
      <div class="field"><label for="preset-prompt">${t("presets.prompt")}</label>
        <textarea id="preset-prompt" name="prompt" data-testid="preset-prompt" rows="2" maxlength=${PROMPT} dir="auto" aria-describedby="preset-hint"></textarea>
        <p class="hint" id="preset-hint">${t("presets.prompt_hint", { place: PLACE })}</p></div>
      <p class="problem" id="preset-problem" data-testid="preset-problem" role="alert">${this.#problem}</p>
      <div class="acts"><button type="submit" class="quiet" data-testid="preset-save">${t(label, { name: this.#name.trim() })}</button>
        ${edited ? html`<button type="button" class="plain" data-testid="preset-stop" @click=${stop}>${t("presets.stop")}</button>` : nothing}</div>
    </form>`;
  }
}
