// @ts-check
import { effect } from "../../vendor/signals-core/signals-core.js";
import { byId, keepFocus, showText } from "../ui/dom.js";

/** @typedef {import("../../vendor/signals-core/signals-core.js").ReadonlySignal<boolean>} Flag */
/** @typedef {import("../status/status.js").Trouble} Trouble */

/** What stands where no image is yet: what to do about a model server that is away, and examples to begin with. */
export class EmptySheet {
  #root = byId("empty", HTMLElement);
  #trouble = byId("trouble", HTMLElement);

  /**
   * @param {Flag} empty whether there is nothing to show
   * @param {import("../../vendor/signals-core/signals-core.js").ReadonlySignal<Trouble | null>} trouble
   * @param {import("../page.js").Lazy<unknown>} examples loads and shows them: only who has no image needs them
   */
  constructor(empty, trouble, examples) {
    effect(() => {
      const hide = () => (this.#root.hidden = !empty.value);
      keepFocus(this.#root, hide, () => byId("gallery", HTMLElement));
      if (empty.value) examples();
    });
    effect(() => {
      const { title = "", cure = "" } = trouble.value ?? {};
      this.#trouble.hidden = title === "";
      showText(byId("trouble-title", HTMLElement), title);
      showText(byId("trouble-cure", HTMLElement), cure);
    });
  }
}
