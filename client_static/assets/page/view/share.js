// @ts-check
import { errorText, t } from "../../words/words.js";
import { ask } from "../account/api.js";
import { part, showText } from "../ui/dom.js";

/** What came of a click. @typedef {{note: string, link?: string}} Told */
/** What the server's answers have that is used here. @typedef {{id: string, index: number, url?: string}} Share */

/** The share links of the image in the viewer: create one, or revoke all. */
export class ShareLinks {
  #copy;
  #revoke;
  #link;
  #note;
  #taskId = "";
  #index = 0;

  /** @param {HTMLElement} root the element with the buttons */
  constructor(root) {
    this.#copy = part(root, "share", HTMLButtonElement);
    this.#revoke = part(root, "revoke", HTMLButtonElement);
    this.#link = part(root, "link", HTMLInputElement);
    this.#note = part(root, "share-note", HTMLElement);
    this.#copy.addEventListener("click", () => this.#act(this.#copy, () => this.#create()));
    this.#revoke.addEventListener("click", () => this.#act(this.#revoke, () => this.#revokeAll()));
    this.#link.addEventListener("focus", () => this.#link.select());
  }

  /**
   * Use another image from now on.
   * @param {string} taskId
   * @param {number} index
   */
  use(taskId, index) {
    this.#taskId = taskId;
    this.#index = index;
    this.#tell({ note: "" });
  }

  /** @param {Told} told */
  #tell({ note, link = "" }) {
    this.#link.hidden = link === "";
    this.#link.value = link;
    showText(this.#note, note);
  }

  /**
   * Do something for the image that is shown now, and tell what came of it, unless another one is shown by then.
   * @param {HTMLButtonElement} button
   * @param {() => Promise<Told>} work
   */
  async #act(button, work) {
    const image = [this.#taskId, this.#index].join();
    button.disabled = true;
    const told = await work().catch((error) => ({ note: errorText({ code: error.message }) }));
    button.disabled = false;
    if (image === [this.#taskId, this.#index].join()) this.#tell(told);
  }

  /** @returns {Promise<Told>} */
  async #create() {
    const { url = "" } = /** @type {Share} */ (
      await ask("shares", "POST", { task_id: this.#taskId, index: this.#index })
    );
    // Without TLS there is no clipboard: then the link is there to be copied by hand.
    const copied = await Promise.resolve(navigator.clipboard?.writeText(url) ?? Promise.reject()).then(
      () => true,
      () => false,
    );
    return { note: t(copied ? "share.copied" : "share.ready"), link: url };
  }

  /** @returns {Promise<Told>} */
  async #revokeAll() {
    const index = this.#index;
    let revoked = 0;
    let next = "";
    do {
      const page = /** @type {{shares: Share[], next?: string}} */ (
        await ask(`shares?limit=200&task_id=${encodeURIComponent(this.#taskId)}${next && `&cursor=${next}`}`, "GET")
      );
      next = page.next ?? "";
      for (const share of page.shares.filter((each) => each.index === index)) {
        await ask(`shares/${share.id}`, "DELETE");
        revoked += 1;
      }
    } while (next);
    return { note: t(revoked ? "share.revoked" : "share.none") };
  }
}
