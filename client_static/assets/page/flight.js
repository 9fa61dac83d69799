// @ts-check
import { plural, t } from "../words/words.js";
import { Board } from "./board/board.js";
import { Cancelling } from "./board/cancelling.js";
import { PauseButton } from "./board/pause.js";
import { Acts } from "./sheet/acts.js";
import { Keeping } from "./sheet/keeping.js";
import { showProgress } from "./status/favicon.js";
import { Title } from "./status/title.js";
import { shortened } from "./store/output_words.js";
import { byId } from "./ui/dom.js";

/** @typedef {import("./page.js").Page} Page */
/** @typedef {import("./store/generation_state.js").GenerationOutput} GenerationOutput */
/** @typedef {import("./store/generation_state.js").News} News */
/** @typedef {Pick<import("./sheet/acts.js").ActsHost, "reuse" | "start" | "asked">} Dock */

/**
 * Connect what is about images that were asked for: the board, what can be done with an image, and the progress in title
 * and icon.
 * @param {Page} page
 * @param {import("./store/store.js").Store} store
 * @param {Dock} dock
 */
export function openFlight(page, store, dock) {
  const { client, announcer, problem, toasts, lazy } = page;
  const cancelling = new Cancelling(client, store, toasts, problem);
  const title = new Title(store);
  new Board(store, {
    cancel: (output) => cancelling.one(output),
    cancelAll: () => cancelling.all(),
    cancelGeneration: (generation) => cancelling.generation(generation),
    cancelOthers: (generation) => cancelling.all(generation),
    lazy,
    move: (taskId, where) => void client.move(taskId, where).catch(problem),
    home: () => byId("gallery", HTMLElement),
  });
  new PauseButton(client, {
    problem,
    changed: (paused) => announcer.say(t(paused ? "say.paused" : "say.unpaused")),
  });
  showProgress(store);
  const keeping = new Keeping(client, toasts, page.key, {
    find: (taskId) => store.find(taskId),
    mayDelete: (prompt, n) => page.mayDelete(t("delete.title", { prompt: shortened(prompt) }), plural("delete.text", n)),
  });
  page.onLeave(() => keeping.clear());
  const acts = new Acts(client, store, cancelling, { ...dock, keeping, problem });
  /**
   * Tell title and toasts of a change of an output.
   * @param {GenerationOutput} output
   * @param {News} what
   */
  const tell = (output, what) => {
    if (what === "ready" || what === "failed") title.count(what);
    if (what !== "progress") cancelling.ended(output);
  };
  return { acts, tell };
}
