// @ts-check
import { errorText, t } from "../../words/words.js";
import { KeptMarks } from "../store/kept_marks.js";
import { changesOf } from "../store/tag_changes.js";

/** @typedef {import("../../client/xinflight.js").Xinflight} Xinflight */
/** @typedef {import("../../client/xinflight.js").XinflightError} XinflightError */
/** @typedef {import("../store/generation_state.js").GenerationOutput} GenerationOutput */
/** @typedef {import("../store/generation_state.js").GenerationState} GenerationState */
/** @typedef {import("../ui/toasts.js").Toasts} Toasts */

/**
 * `find`: the generation of a task, if it is known; `mayDelete`: asks before what can't be brought back.
 * @typedef {object} KeepingHost
 * @property {(taskId: string) => GenerationState | null} find
 * @property {(prompt: string, outputs: number) => Promise<boolean>} mayDelete
 */

/**
 * Stars and tags images, and deletes them with undo: the server keeps a deleted image for a while. What is done without a
 * connection is shown at once, and sent as soon as there is one.
 */
export class Keeping {
  #client;
  #toasts;
  #host;
  #later;
  /** @type {Set<GenerationState>} those that are hidden and about to be deleted */
  #going = new Set();

  /**
   * @param {Xinflight} client
   * @param {Toasts} toasts
   * @param {string} key distinguishes this server from others at the same origin
   * @param {KeepingHost} host
   */
  constructor(client, toasts, key, host) {
    this.#client = client;
    this.#toasts = toasts;
    this.#host = host;
    this.#later = new KeptMarks(client, key, {
      find: ({ taskId, index }) => (index === null ? undefined : host.find(taskId)?.outputs[index]),
      refused: (error, { taskId, index }) => {
        if (index === null) host.find(taskId)?.dismiss(false);
        this.#say(t("keep.refused", { why: errorText(error) }));
      },
    });
    addEventListener("pagehide", () => {
      for (const generation of [...this.#going]) this.#delete(generation);
    });
  }

  /** Star an image, or no longer. @param {GenerationOutput} output */
  async star({ generation, index, starred }) {
    const taskId = generation.task.id;
    const change = { starred: !starred };
    await this.#try(this.#client.library.mark(taskId, { index, ...change }), () => this.#keep({ taskId, index }, change));
  }

  /**
   * Give an image these tags and no others.
   * @param {GenerationOutput} output
   * @param {string[]} tags
   */
  async tag({ generation, index }, tags) {
    const taskId = generation.task.id;
    const change = changesOf(generation.task.marks.get(index)?.tags ?? [], tags);
    await this.#try(this.#client.library.mark(taskId, { index, tags }), () => this.#keep({ taskId, index }, change));
  }

  /** Forget what is not sent yet, because another person is here. */
  clear() {
    this.#later.clear();
  }

  /**
   * Delete an image, or a generation that has none; both can be undone. Returns whether it is gone.
   * @param {GenerationOutput} output
   */
  async remove(output) {
    const { generation, index, name } = output;
    if (output.state.output === null) return generation.ended && this.#dismiss(generation);
    const { library } = this.#client;
    const taskId = generation.task.id;
    let later = false;
    const deleted = await this.#try(library.deleteOutput(taskId, index), () => {
      later = this.#later.add({ taskId, index }, { deleted: true });
      return later;
    });
    const undo = () => {
      if (!this.#later.restore({ taskId, index })) this.#try(library.restore(taskId, index));
    };
    if (deleted) this.#offer(t(later ? "toast.deleted_later" : "toast.deleted", { name }), undo);
    return deleted;
  }

  /**
   * Delete a generation with what failed of it. The server can't bring back one that has no image, so it is only hidden
   * until nobody can undo it.
   * @param {GenerationState} generation
   */
  async #dismiss(generation) {
    const made = generation.outputs.filter((each) => each.state.output !== null && !each.deleted).length;
    if (made && !(await this.#host.mayDelete(generation.prompt, made))) return false;
    this.#going.add(generation);
    generation.dismiss(true);
    if (made) {
      await this.#delete(generation);
      return generation.dismissed;
    }
    const back = () => {
      this.#going.delete(generation);
      generation.dismiss(false);
    };
    const name = generation.outputs[0]?.name ?? generation.prompt;
    this.#offer(t("toast.deleted", { name }), back, () => this.#delete(generation));
    return true;
  }

  /** @param {GenerationState} generation */
  async #delete(generation) {
    if (!this.#going.delete(generation)) return;
    const taskId = generation.task.id;
    const later = () => this.#later.add({ taskId, index: null }, { deleted: true });
    // Who leaves the page without a connection waits for no answer.
    if (this.#client.status.state !== "live" && later()) return;
    if (!(await this.#try(this.#client.delete(taskId), later))) generation.dismiss(false);
  }

  /**
   * Keep a change that can't be sent now, and say so; return false if there is no room for it.
   * @param {{taskId: string, index: number}} of
   * @param {import("../store/kept_marks.js").Change} change
   */
  #keep(of, change) {
    const kept = this.#later.add(of, change);
    if (kept) this.#say(t("keep.later"));
    return kept;
  }

  /**
   * @param {string} text that says what was deleted
   * @param {() => void} undo
   * @param {() => void} [gone] called when it can't be undone any more
   */
  #offer(text, undo, gone) {
    this.#toasts.show(text, { label: t("act.undo"), undoes: true, act: undo, gone });
  }

  /**
   * Wait for a request, and tell why it failed; return whether it did not, or is kept for later.
   * @param {Promise<void>} request
   * @param {() => boolean} [later] keeps it where there is no connection; returns whether it did
   */
  async #try(request, later = () => false) {
    try {
      await request;
      return true;
    } catch (error) {
      const failure = /** @type {XinflightError} */ (error);
      if (failure.code === "disconnected" && later()) return true;
      this.#say(errorText(failure));
      return false;
    }
  }

  /** @param {string} text */
  #say(text) {
    this.#toasts.show(text, { label: t("act.close"), act: () => {} });
  }
}
