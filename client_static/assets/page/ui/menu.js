// @ts-check

/**
 * What a menu offers. With `checked` it is one of several choices, of which one is made.
 * @typedef {{label: string, act: () => void, checked?: boolean, lang?: string}} MenuItem
 */

/** Pixels between the menu and what opened it, and between the menu and the edge of the window. */
const GAP = 4;

/**
 * Open a menu beside a button, with the focus on its first item or on the one that is chosen. Arrow keys, Home and End go
 * from item to item; an act, Escape or a click elsewhere closes it, and the focus goes back to the button.
 * @param {HTMLElement} button
 * @param {MenuItem[]} items
 * @param {string} label the accessible name
 */
export function openMenu(button, items, label) {
  const menu = document.createElement("div");
  menu.className = "menu";
  menu.popover = "auto";
  menu.dataset.testid = "menu";
  menu.role = "menu";
  menu.ariaLabel = label;
  const placed = () => place(menu, button.getBoundingClientRect());
  for (const item of items) menu.append(itemOf(item, () => menu.hidePopover()));
  menu.addEventListener("keydown", (event) => step(menu, event));
  // Browsers give the focus back by themselves, but not where the button is in a popover.
  menu.addEventListener("beforetoggle", ({ newState }) => {
    if (newState === "closed" && menu.contains(document.activeElement)) button.focus();
  });
  menu.addEventListener("toggle", ({ newState }) => {
    if (newState !== "closed") return;
    button.ariaExpanded = "false";
    removeEventListener("resize", placed);
    menu.remove();
  });
  // Beside the button, so that it belongs to the same part of the page; not within a list that is rendered anew.
  (button.closest("aside, header, section, main") ?? document.body).append(menu);
  menu.showPopover();
  button.ariaExpanded = "true";
  placed();
  addEventListener("resize", placed);
  const chosen = menu.querySelector("[aria-checked=true]") ?? menu.firstElementChild;
  if (chosen instanceof HTMLElement) chosen.focus();
}

/**
 * @param {MenuItem} item
 * @param {() => void} close
 */
function itemOf({ label, act, checked, lang }, close) {
  const item = document.createElement("button");
  item.type = "button";
  item.className = "plain";
  item.role = checked === undefined ? "menuitem" : "menuitemradio";
  if (checked !== undefined) item.ariaChecked = String(checked);
  if (lang !== undefined) item.lang = lang;
  item.dataset.testid = "menu-item";
  item.tabIndex = -1;
  item.textContent = label;
  item.addEventListener("click", () => {
    close();
    act();
  });
  return item;
}

/**
 * @param {HTMLElement} menu
 * @param {KeyboardEvent} event
 */
function step(menu, event) {
  const items = [...menu.children];
  const at = items.findIndex((item) => item === document.activeElement);
  const to = { ArrowDown: at + 1, ArrowUp: at - 1 + items.length, Home: 0, End: items.length - 1 }[event.key];
  if (event.key === "Tab") menu.hidePopover();
  const item = to === undefined ? undefined : items[to % items.length];
  if (!(item instanceof HTMLElement)) return;
  event.preventDefault();
  item.focus();
}

/**
 * Place a menu below a button, or above where there is more room, within the window.
 * @param {HTMLElement} menu
 * @param {DOMRect} button
 */
function place(menu, { left, top, bottom }) {
  const { offsetWidth: width, offsetHeight: height, style } = menu;
  const below = bottom + GAP + height <= innerHeight || bottom < innerHeight - top;
  const at = below ? bottom + GAP : top - GAP - height;
  style.left = `${Math.max(GAP, Math.min(left, innerWidth - width - GAP))}px`;
  style.top = `${Math.max(GAP, Math.min(at, innerHeight - height - GAP))}px`;
}
