// @ts-check
import { errorText, ordinal, sentences, t } from "../../words/words.js";
import { part, showText } from "../ui/dom.js";
import { OutputState } from "../store/output_state.js";
import { verdictText } from "../store/output_words.js";

/** @typedef {import("../../client/xinflight.js").Task} Task */

/** The answer of a conversation's newest task: its text as it grows, and how it ended. */
export class Answer {
  element;
  #task;
  #text;
  #reasoning;
  #thoughts;
  #step;
  #note;
  #retry;

  /**
   * @param {HTMLElement} element made from the template of a turn
   * @param {Task} task
   * @param {() => void} again called to ask the same once more
   */
  constructor(element, task, again) {
    this.element = element;
    this.#task = task;
    this.#text = part(element, "text", HTMLElement);
    this.#thoughts = part(element, "thoughts", HTMLDetailsElement);
    this.#reasoning = part(element, "reasoning", HTMLElement);
    this.#step = part(element, "step", HTMLElement);
    this.#note = part(element, "note", HTMLElement);
    this.#retry = part(element, "retry", HTMLButtonElement);
    this.#retry.addEventListener("click", again);
  }

  /** Update it. @param {boolean} live whether there is a connection */
  render(live) {
    const task = this.#task;
    grow(this.#text, task.text);
    grow(this.#reasoning, task.reasoning);
    this.#thoughts.hidden = task.reasoning === "";
    this.element.dataset.state = task.end ? "ended" : "writing";
    showText(this.#step, task.end === null ? waitingText(task, live) : "");
    showText(this.#note, noteText(task));
    this.#retry.hidden = task.end === null || task.end.type === "result";
  }
}

/**
 * Make an element show a text that has mostly grown at its end. The text of a model is never anything but text.
 * @param {HTMLElement} element
 * @param {string} text
 */
function grow(element, text) {
  const node = element.firstChild;
  if (!(node instanceof Text)) element.textContent = text;
  else if (text.startsWith(node.data)) node.appendData(text.slice(node.data.length));
  else node.data = text;
}

/**
 * Say what an answer waits for; empty while its text grows, which says enough.
 * @param {Task} task
 * @param {boolean} live
 */
function waitingText(task, live) {
  if (task.wanted.size > 0) return t("step.cancelling");
  if (!task.acknowledged) return t(live ? "step.sending" : "step.offline");
  if (!live) return t("chat.offline");
  if (task.text !== "" || task.reasoning !== "") return "";
  const { step, position = 0 } = task.places.get(0) ?? {};
  if (step === "waiting_for_model" || step === "paused") return t(`step.${step}`);
  if (position === 0) return t("chat.thinking");
  return position === 1 ? t("step.queued_next") : t("step.queued_at", { place: ordinal(position) });
}

/** Say how an answer ended, unless it simply ended. @param {Task} task */
function noteText({ end }) {
  if (end === null) return "";
  if (end.type === "error") return errorText(end);
  if (end.type === "cancelled") {
    const state = new OutputState();
    state.cancel(end);
    return state.outcome ? verdictText(state) : t("chat.stopped");
  }
  const chat = end.data.data[0]?.chat;
  const notes = [];
  if (chat?.truncated) notes.push(t("chat.truncated"));
  if (chat?.finish_reason === "length") notes.push(t("chat.cut"));
  return sentences(notes);
}
