// @ts-check
import { byId } from "../ui/dom.js";

/** @typedef {import("../../client/xinflight.js").XinflightError} XinflightError */
/** @typedef {import("../../client/xinflight.js").Xinflight} Xinflight */

/** The button that loads older generations, page by page; where it comes near the window, it does so by itself. */
export class More {
  #button;
  #client;
  #host;

  /**
   * @param {Xinflight} client
   * @param {{grown: (n: number) => void, problem: (error: XinflightError) => void}} host
   * @param {string} id of the button
   * @param {{ahead?: string}} [options] `ahead`: how near, as a margin of an IntersectionObserver
   */
  constructor(client, host, id, { ahead } = {}) {
    this.#button = byId(id, HTMLButtonElement);
    this.#client = client;
    this.#host = host;
    client.on("history", (there) => {
      this.#button.hidden = !there;
    });
    this.#button.addEventListener("click", () => this.#fetch());
    if (ahead === undefined) return;
    const near = new IntersectionObserver((entries) => {
      if (entries.at(-1)?.isIntersecting) this.#fetch();
    }, { rootMargin: ahead });
    // It tells once of what it sees, so what is still near after a page came is looked at anew.
    client.on("history", () => {
      near.unobserve(this.#button);
      near.observe(this.#button);
    });
  }

  async #fetch() {
    if (this.#button.getAttribute("aria-disabled") === "true") return;
    this.#button.setAttribute("aria-disabled", "true");
    try {
      this.#host.grown(await this.#client.more());
    } catch (error) {
      this.#host.problem(/** @type {XinflightError} */ (error));
    }
    this.#button.setAttribute("aria-disabled", "false");
  }
}
