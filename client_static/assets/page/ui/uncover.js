// @ts-check

/**
 * Show what the keyboard comes to (WCAG 2.4.11): scroll to it where only a part of it is seen, and close a sheet that covers
 * it. What the sheet has is kept.
 */
export function uncoverFocus() {
  document.addEventListener("focusin", ({ target }) => {
    // Only then has the browser scrolled to it.
    if (target instanceof HTMLElement) requestAnimationFrame(() => uncover(target));
  });
}

/** @param {HTMLElement} element */
function uncover(element) {
  // The keyboard may have gone on, and opened the sheet.
  if (!element.matches(":focus")) return;
  const small = element.offsetHeight < innerHeight / 2;
  if (small && element.matches(":focus-visible")) element.scrollIntoView({ block: "nearest", inline: "nearest" });
  // A sheet above the dock follows it in the next frame, where what has the focus has just grown.
  if (coverOf(element)) requestAnimationFrame(() => element.matches(":focus") && coverOf(element)?.hidePopover());
}

/** The sheet that covers an element, if one does. @param {HTMLElement} element */
function coverOf(element) {
  const { left, top, width, height } = element.getBoundingClientRect();
  const sheet = document.elementFromPoint(left + width / 2, top + height / 2)?.closest("[popover]");
  return sheet instanceof HTMLElement && !sheet.contains(element) ? sheet : null;
}
