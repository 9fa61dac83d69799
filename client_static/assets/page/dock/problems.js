// @ts-check
import { showText } from "../ui/dom.js";

/** The problems of a form, each shown at its field until that is changed. */
export class Problems {
  #form;

  /** @param {HTMLFormElement} form */
  constructor(form) {
    this.#form = form;
    form.addEventListener("input", ({ target }) => {
      if (target instanceof HTMLElement) this.#mend(target);
    });
  }

  /**
   * Show a problem at a field and focus the field. Returns false if the form has no such field.
   * @param {string} name of the field
   * @param {string} text
   * @param {HTMLElement[]} [wrong] the inputs to mark, if the field has several; the first one gets the focus
   */
  show(name, text, wrong) {
    const place = document.getElementById(`${name}-problem`);
    const named = this.#form.elements.namedItem(name);
    const marked = wrong ?? (named instanceof HTMLElement ? [named] : []);
    const [first] = marked;
    if (!place || !first) return false;
    showText(place, text);
    for (const input of marked) input.setAttribute("aria-invalid", "true");
    const sheet = first.closest("[popover]");
    if (sheet instanceof HTMLElement && !sheet.matches(":popover-open")) sheet.showPopover();
    first.focus();
    return true;
  }

  clear() {
    for (const place of this.#form.querySelectorAll(".problem")) if (place instanceof HTMLElement) showText(place, "");
    for (const input of this.#form.querySelectorAll("[aria-invalid]")) input.removeAttribute("aria-invalid");
  }

  /** Remove the mark of a field that is being changed, and its text once no other field is marked for it. */
  #mend(/** @type {HTMLElement} */ input) {
    if (!input.hasAttribute("aria-invalid")) return;
    input.removeAttribute("aria-invalid");
    for (const id of (input.getAttribute("aria-describedby") ?? "").split(" ")) {
      const place = document.getElementById(id);
      const others = this.#form.querySelector(`[aria-invalid][aria-describedby~="${id}"]`);
      if (place?.classList.contains("problem") && !others) showText(place, "");
    }
  }
}
