// @ts-check
import { byId } from "../ui/dom.js";

/** @typedef {import("../../client/xinflight.js").XinflightError} XinflightError */
/** @typedef {import("../../client/xinflight.js").Xinflight} Xinflight */

/** The button that loads older generations, page by page. */
export class More {
  /** Whether the server has older generations than those loaded; null until it has answered. @type {boolean | null} */
  there = null;
  #button;
  #client;
  #host;

  /**
   * @param {Xinflight} client
   * @param {{oldest: () => HTMLElement, grown: (n: number) => void, problem: (error: XinflightError) => void}} host
   * @param {string} [id] of the button
   */
  constructor(client, host, id = "more") {
    this.#button = byId(id, HTMLButtonElement);
    this.#client = client;
    this.#host = host;
    client.on("history", (there) => {
      this.there = there;
      this.#button.hidden = !there;
    });
    this.#button.addEventListener("click", () => this.#fetch());
  }

  /** Load a page and move the focus to its first generation, because the button moves down or disappears. */
  async #fetch() {
    if (this.#button.getAttribute("aria-disabled") === "true") return;
    const last = this.#host.oldest();
    this.#button.setAttribute("aria-disabled", "true");
    try {
      this.#host.grown(await this.#client.more());
      const first = last.nextElementSibling;
      if (first instanceof HTMLElement) first.focus({ preventScroll: true });
    } catch (error) {
      this.#host.problem(/** @type {XinflightError} */ (error));
    }
    this.#button.setAttribute("aria-disabled", "false");
  }
}
