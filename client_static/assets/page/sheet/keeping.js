// @ts-check
import { errorText, t } from "../../words/words.js";

/** @typedef {import("../../client/xinflight.js").Xinflight} Xinflight */
/** @typedef {import("../../client/xinflight.js").XinflightError} XinflightError */
/** @typedef {import("../store/generation_state.js").GenerationOutput} GenerationOutput */
/** @typedef {import("../store/generation_state.js").GenerationState} GenerationState */
/** @typedef {import("../ui/toasts.js").Toasts} Toasts */

/** Stars and tags images, and deletes them with undo: the server keeps a deleted image for a while. */
export class Keeping {
  #client;
  #toasts;
  #mayDelete;
  /** @type {Set<GenerationState>} those that are hidden and about to be deleted */
  #going = new Set();

  /**
   * @param {Xinflight} client
   * @param {Toasts} toasts
   * @param {(prompt: string, outputs: number) => Promise<boolean>} mayDelete ask before what can't be brought back
   */
  constructor(client, toasts, mayDelete) {
    this.#client = client;
    this.#toasts = toasts;
    this.#mayDelete = mayDelete;
    addEventListener("pagehide", () => {
      for (const generation of [...this.#going]) this.#delete(generation);
    });
  }

  /** Star an image, or no longer. @param {GenerationOutput} output */
  async star({ generation, index, starred }) {
    await this.#try(this.#client.library.mark(generation.task.id, { index, starred: !starred }));
  }

  /**
   * Give an image these tags and no others.
   * @param {GenerationOutput} output
   * @param {string[]} tags
   */
  async tag({ generation, index }, tags) {
    await this.#try(this.#client.library.mark(generation.task.id, { index, tags }));
  }

  /**
   * Delete an image, or a generation that has none; both can be undone. Returns whether it is gone.
   * @param {GenerationOutput} output
   */
  async remove(output) {
    const { generation, index, name } = output;
    if (output.state.output === null) return generation.ended && this.#dismiss(generation);
    const { library } = this.#client;
    const { id } = generation.task;
    const deleted = await this.#try(library.deleteOutput(id, index));
    if (deleted) this.#offer(name, () => this.#try(library.restore(id, index)));
    return deleted;
  }

  /**
   * Delete a generation with what failed of it. The server can't bring back one that has no image, so it is only hidden
   * until nobody can undo it.
   * @param {GenerationState} generation
   */
  async #dismiss(generation) {
    const made = generation.outputs.filter((each) => each.state.output !== null && !each.deleted).length;
    if (made) return (await this.#mayDelete(generation.prompt, made)) && this.#try(this.#client.delete(generation.task.id));
    this.#going.add(generation);
    generation.dismiss(true);
    const back = () => {
      this.#going.delete(generation);
      generation.dismiss(false);
    };
    this.#offer(generation.outputs[0]?.name ?? generation.prompt, back, () => this.#delete(generation));
    return true;
  }

  /** @param {GenerationState} generation */
  async #delete(generation) {
    if (!this.#going.delete(generation)) return;
    if (!(await this.#try(this.#client.delete(generation.task.id)))) generation.dismiss(false);
  }

  /**
   * @param {string} name of what was deleted
   * @param {() => void} undo
   * @param {() => void} [gone] called when it can't be undone any more
   */
  #offer(name, undo, gone) {
    this.#toasts.show(t("toast.deleted", { name }), { label: t("act.undo"), undoes: true, act: undo, gone });
  }

  /**
   * Wait for a request, and tell why it failed; return whether it did not.
   * @param {Promise<void>} request
   */
  async #try(request) {
    try {
      await request;
      return true;
    } catch (error) {
      const why = errorText(/** @type {XinflightError} */ (error));
      this.#toasts.show(why, { label: t("act.close"), act: () => {} });
      return false;
    }
  }
}
