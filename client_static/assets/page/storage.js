// @ts-check

// What this tab keeps over a reload. It is the tab's own, and gone when the tab is closed. Storage may be switched off
// or full: then a reload loses what would have been kept, and nothing else happens.

/**
 * What was kept there; null where there is nothing, or nothing that can be read.
 * @param {string} place
 * @returns {unknown}
 */
export function readKept(place) {
  try {
    return JSON.parse(sessionStorage.getItem(place) ?? "null");
  } catch {
    return null;
  }
}

/**
 * @param {string} place
 * @param {unknown} value null keeps nothing there
 */
export function keep(place, value) {
  try {
    if (value === null) sessionStorage.removeItem(place);
    else sessionStorage.setItem(place, JSON.stringify(value));
  } catch {
    // See above.
  }
}
