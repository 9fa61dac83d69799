// @ts-check

/**
 * Event listeners, typed by event name.
 * @template {Record<string, any>} Events
 */
export class Emitter {
  /** @type {Map<keyof Events, Set<(detail: any) => void>>} */
  #listeners = new Map();

  /**
   * Call `listener` for every event of that name, until the returned function is called.
   * @template {keyof Events} Name
   * @param {Name} name
   * @param {(detail: Events[Name]) => void} listener
   * @returns {() => void}
   */
  on(name, listener) {
    const listeners = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, listeners);
    listeners.add(listener);
    return () => listeners.delete(listener);
  }

  /**
   * Call every listener of an event. An exception in one does not stop the others: it is reported as one that nobody
   * caught.
   * @template {keyof Events} Name
   * @param {Name} name
   * @param {Events[Name]} detail
   */
  emit(name, detail) {
    for (const listener of [...(this.#listeners.get(name) ?? [])]) {
      try {
        listener(detail);
      } catch (error) {
        (globalThis.reportError ?? throwLater)(error);
      }
    }
  }
}

/** Do what `reportError` does in browsers, where there is none. @param {unknown} error */
function throwLater(error) {
  queueMicrotask(() => {
    throw error;
  });
}
