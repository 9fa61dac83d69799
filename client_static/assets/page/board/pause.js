// @ts-check
import { onLang, t } from "../../words/words.js";
import { byId, keepFocus } from "../ui/dom.js";

/** @typedef {import("../../client/xinflight.js").XinflightError} XinflightError */
/** @typedef {import("../../client/xinflight.js").Xinflight} Xinflight */

/** The button that holds all of the owner's waiting images, and lets them go on. */
export class PauseButton {
  #button = byId("pause", HTMLButtonElement);
  #client;
  #live = false;

  /**
   * @param {Xinflight} client
   * @param {{problem: (error: XinflightError) => void, changed: (paused: boolean) => void}} host `changed` is called
   *   when everything is paused, or not any more, whichever window did it
   */
  constructor(client, host) {
    this.#client = client;
    let was = client.queue.paused;
    this.#live = client.status.state === "live";
    client.on("queue", ({ paused }) => {
      this.#render();
      if (paused !== was) host.changed(paused);
      was = paused;
    });
    client.on("status", ({ state }) => {
      this.#live = state === "live";
      this.#render();
    });
    this.#button.addEventListener("click", () => {
      const done = client.queue.paused ? client.unpause() : client.pause();
      done.catch(host.problem);
    });
    onLang(() => this.#render());
    this.#render();
  }

  #render() {
    const { paused, waiting } = this.#client.queue;
    this.#button.textContent = t(paused ? "act.resume_queue" : "act.pause_queue");
    this.#button.title = t(paused ? "act.resume_queue_label" : "act.pause_queue_label");
    const hide = () => (this.#button.hidden = !this.#live || (!paused && waiting === 0));
    keepFocus(this.#button, hide, () => byId("gallery", HTMLElement));
  }
}
