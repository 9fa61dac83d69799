// @ts-check

/**
 * Close a sheet that opened over the page once it covers what the keyboard has come to (WCAG 2.4.11). What it has is kept.
 */
export function uncoverFocus() {
  document.addEventListener("focusin", ({ target }) => {
    // Only then has the browser scrolled to it.
    if (target instanceof HTMLElement) requestAnimationFrame(() => uncover(target));
  });
}

/** @param {HTMLElement} element */
function uncover(element) {
  const { left, top, width, height } = element.getBoundingClientRect();
  const sheet = document.elementFromPoint(left + width / 2, top + height / 2)?.closest("[popover]");
  if (sheet instanceof HTMLElement && !sheet.contains(element)) sheet.hidePopover();
}
