// @ts-check
import { effect } from "../../vendor/signals-core/signals-core.js";
import { byId } from "../ui/dom.js";
import { GRID, IMAGE, keepBehind, readBehind } from "../view/address.js";

/** @typedef {import("./search.js").Only} Only */
/** @typedef {import("../page.js").Page} Page */
/** @typedef {import("../store/store.js").Store} Store */

/** What precedes a search in the address. */
export const FIND = "#find=";
/** @type {Only[]} */
const FILTERS = ["all", "starred", "failed"];

/**
 * Connect the search field and the filters of the top bar. What looks for anything is loaded at the first use.
 * @param {Page} page
 * @param {Store} store
 */
export function openFind(page, store) {
  const finder = page.lazy(async () => {
    const { Finder } = await import("./finder.js");
    const made = new Finder(page, store);
    page.onLeave(() => made.clear());
    return made;
  });
  page.at(FIND, finder);
  if (readBehind()) finder();
  addEventListener("hashchange", ({ oldURL, newURL }) => {
    const [from, to] = [oldURL, newURL].map((url) => new URL(url).hash);
    if (from?.startsWith(FIND) && (to?.startsWith(IMAGE) || to?.startsWith(GRID))) keepBehind(from);
  });
  const text = byId("find-text", HTMLInputElement);
  text.addEventListener("focus", async () => {
    const loaded = await finder();
    // Whoever has gone on meanwhile must not find it open over what has the focus.
    if (document.activeElement === text) loaded?.begin();
  });
  for (const only of FILTERS) {
    const button = byId(`find-${only}`, HTMLButtonElement);
    button.addEventListener("click", async () => (await finder())?.filter(only));
  }
  const count = byId("failed-count", HTMLElement);
  effect(() => {
    // A generation that ends leaves the unfinished ones.
    store.unfinished.value;
    store.marks.value;
    const outputs = store.generations.value.flatMap((generation) => generation.outputs);
    const failed = outputs.filter(({ state, shown }) => shown && state.failed).length;
    count.textContent = failed ? `${failed}${store.more.value ? "+" : ""}` : "";
  });
}
