// @ts-check
import { t } from "../../words/words.js";
import { byId } from "../ui/dom.js";

/** The field for the next message. Enter sends, with Shift it breaks the line; while an answer is written, it can be stopped. */
export class Composer {
  #form = byId("chat-form", HTMLFormElement);
  #text = byId("chat-text", HTMLTextAreaElement);
  #send = byId("chat-send", HTMLButtonElement);
  #stop = byId("chat-stop", HTMLButtonElement);
  #busy = false;

  /** @param {{send: (text: string) => void, stop: () => void, typed: () => void}} host */
  constructor(host) {
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      const text = this.#text.value.trim();
      if (this.#busy || text === "") return;
      this.text = "";
      host.send(text);
    });
    this.#text.addEventListener("keydown", (event) => {
      // While an input method composes a word, Enter chooses from its list.
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.#form.requestSubmit();
    });
    this.#text.addEventListener("input", host.typed);
    this.#stop.addEventListener("click", () => host.stop());
  }

  get text() {
    return this.#text.value;
  }

  set text(text) {
    this.#text.value = text;
  }

  focus() {
    this.#text.focus();
  }

  /**
   * Offer to send, or to stop the answer that is being written.
   * @param {{busy: boolean, stopping: boolean}} state
   */
  show({ busy, stopping }) {
    const focused = document.activeElement === (busy ? this.#send : this.#stop);
    this.#busy = busy;
    this.#send.hidden = busy;
    this.#stop.hidden = !busy;
    this.#stop.textContent = t(stopping ? "chat.stopping" : "chat.stop");
    this.#stop.setAttribute("aria-disabled", String(stopping));
    if (focused) this.#text.focus();
  }
}
