// @ts-check
import { byId } from "./ui/dom.js";

/** @typedef {import("./page.js").Page} Page */

/** The address of the operator's view within the page. */
const ADDRESS = "#operator";

/** Offer the operator's view to admins, at an address of its own: going back closes it. @param {Page} page */
export function offerOperator(page) {
  const button = byId("operator-open", HTMLButtonElement);
  let admin = false;
  /** @type {import("./operator/operator.js").Operator | null} */
  let view = null;

  const leave = () => {
    if (page.entered) history.back();
    else {
      history.replaceState(null, "", location.pathname + location.search);
      follow();
    }
    // In a narrow window the button is in the menu, which is closed.
    (button.checkVisibility() ? button : byId("tools-open", HTMLButtonElement)).focus();
  };
  const load = page.lazy(async () => {
    const { loadOperator } = await import("./operator/operator.js");
    view = await loadOperator(/** @type {HTMLElement} */ (document.querySelector("main")), { leave });
    return view;
  });
  const wanted = () => admin && location.hash === ADDRESS;
  const follow = async () => {
    if (wanted()) await load();
    if (wanted()) view?.open();
    else view?.close();
  };

  const offer = () => {
    admin = page.client.welcome?.admin === true;
    button.hidden = !admin;
    follow();
  };
  page.client.on("welcome", offer);
  offer();
  button.addEventListener("click", () => (location.hash = ADDRESS));
  for (const name of ["hashchange", "popstate"]) addEventListener(name, follow);
  // They choose among what the view covers.
  byId("tabs", HTMLElement).addEventListener("click", () => wanted() && leave());
  page.onLeave(() => {
    admin = false;
    button.hidden = true;
    follow();
  });
}
