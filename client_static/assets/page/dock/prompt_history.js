// @ts-check

/**
 * Walk through earlier prompts, as a shell does: first the newest one; behind the newest comes back what was being
 * typed. What is typed meanwhile becomes the draft.
 */
export class PromptHistory {
  #earlier;
  /** @type {string[]} the prompts that are walked through, fixed at the first step so that new ones don't shift them */
  #prompts = [];
  /** The index in `#prompts`; -1 for the draft. */
  #at = -1;
  #draft = "";

  /** @param {() => Iterable<string>} earlier returns the prompts that were asked for, the newest first */
  constructor(earlier) {
    this.#earlier = earlier;
  }

  /**
   * Return the prompt before the one that is shown, or null if there is none.
   * @param {string} shown
   */
  older(shown) {
    this.#follow(shown);
    if (this.#at < 0) this.#prompts = [...new Set(this.#earlier())].filter((prompt) => prompt && prompt !== shown);
    else if (this.#at === this.#prompts.length - 1) this.#extend();
    const next = this.#prompts[this.#at + 1];
    if (next === undefined) return null;
    this.#at += 1;
    return next;
  }

  /**
   * Return the prompt after the one that is shown, at last the draft, or null if the draft is shown.
   * @param {string} shown
   */
  newer(shown) {
    this.#follow(shown);
    if (this.#at < 0) return null;
    this.#at -= 1;
    return this.#prompts[this.#at] ?? this.#draft;
  }

  /** Add those that became known since the first step and are older than all. */
  #extend() {
    const known = [...new Set(this.#earlier())];
    const last = known.indexOf(this.#prompts.at(-1) ?? "");
    this.#prompts.push(...known.slice(last + 1).filter((prompt) => prompt && !this.#prompts.includes(prompt)));
  }

  /** @param {string} shown */
  #follow(shown) {
    if (this.#at >= 0 && shown === this.#prompts[this.#at]) return;
    this.#at = -1;
    this.#draft = shown;
  }
}
