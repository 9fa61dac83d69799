// @ts-check

// Values that survive a reload: of this tab, in the session storage, or of this browser. Storage may be disabled or full;
// then the values are lost on reload and nothing else changes.

/**
 * Return a stored value, or null if there is none or it can't be parsed.
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
 * Store a value as JSON. Null removes it.
 * @param {string} place
 * @param {unknown} value
 */
export function keep(place, value) {
  try {
    if (value === null) sessionStorage.removeItem(place);
    else sessionStorage.setItem(place, JSON.stringify(value));
  } catch {
    // Storage is disabled or full, see above.
  }
}

/**
 * Return a value that this browser keeps, or null if there is none or it can't be parsed. It is whoever's uses the
 * browser, so it must have nothing of a person.
 * @param {string} place
 * @returns {unknown}
 */
export function readLocal(place) {
  try {
    return JSON.parse(localStorage.getItem(place) ?? "null");
  } catch {
    return null;
  }
}

/**
 * Store a value as JSON in this browser. Null removes it.
 * @param {string} place
 * @param {unknown} value
 */
export function keepLocal(place, value) {
  try {
    if (value === null) localStorage.removeItem(place);
    else localStorage.setItem(place, JSON.stringify(value));
  } catch {
    // Storage is disabled or full, see above.
  }
}
