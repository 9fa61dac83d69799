// @ts-check

/** Which way each key goes. @type {Record<string, (at: number, rows: number) => number>} */
const WAYS = {
  ArrowUp: (at) => at - 1,
  ArrowDown: (at) => at + 1,
  Home: () => 0,
  End: (_, rows) => rows - 1,
};

/**
 * Lets Tab stop at one row of each list only, and arrow keys, Home and End go from row to row, or one would press Tab
 * twice for each row to leave the list. A row that goes leaves the focus to the one that takes its place.
 */
export class RowWalk {
  #root;
  #list;
  #row;
  /** @type {WeakMap<Element, Element>} by list, the row at which Tab stops */
  #stops = new WeakMap();

  /**
   * @param {HTMLElement} root
   * @param {{list: string, row: string}} selectors of the lists within `root`, and of their rows
   */
  constructor(root, { list, row }) {
    this.#root = root;
    this.#list = list;
    this.#row = row;
    root.addEventListener("keydown", (event) => this.#press(event));
    root.addEventListener("focusin", ({ target }) => {
      const { row: at, list: of } = this.#at(target);
      if (!at || !of) return;
      this.#stops.set(of, at);
      this.#update(of);
    });
  }

  /** Call what renders the lists. @param {() => void} change */
  keep(change) {
    const focused = document.activeElement;
    const { row, list } = this.#at(focused);
    const before = list ? this.#rows(list) : [];
    const at = before.findIndex((each) => each === row);
    change();
    for (const each of this.#root.querySelectorAll(this.#list)) this.#update(each);
    if (!list || !row || document.activeElement === focused) return;
    const now = this.#rows(list);
    const order = [...(now.includes(row) ? [row] : []), ...now.slice(at), ...now.slice(0, at).reverse()];
    this.#focus(order, focused?.getAttribute("data-act") ?? "");
  }

  /** @param {EventTarget | null} target */
  #at(target) {
    const row = target instanceof Element && this.#root.contains(target) ? target.closest(this.#row) : null;
    return { row, list: row?.closest(this.#list) ?? null };
  }

  /** @param {Element} list */
  #rows(list) {
    return [...list.querySelectorAll(this.#row)].filter((row) => row.closest(this.#list) === list);
  }

  /** @param {KeyboardEvent} event */
  #press(event) {
    const way = WAYS[event.key];
    const { row, list } = this.#at(event.target);
    if (!way || !row || !list || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
    const rows = this.#rows(list);
    const to = rows[way(rows.indexOf(row), rows.length)];
    if (!to) return;
    event.preventDefault();
    this.#focus([to], document.activeElement?.getAttribute("data-act") ?? "");
  }

  /**
   * Focus the first row that has a button, at the same act as before if it has that.
   * @param {Element[]} rows
   * @param {string} act
   */
  #focus(rows, act) {
    const found = rows.map((row) => row.querySelector(`button[data-act="${act}"]`) ?? row.querySelector("button"));
    const button = found.find((each) => each !== null);
    if (button instanceof HTMLElement) button.focus();
  }

  /** Let Tab stop at one row of a list. @param {Element} list */
  #update(list) {
    const rows = this.#rows(list);
    const known = this.#stops.get(list);
    const stop = known && rows.includes(known) && known.querySelector("button") ? known : rows.find((row) => row.querySelector("button"));
    for (const row of rows) {
      const index = row === stop ? 0 : -1;
      for (const button of row.querySelectorAll("button")) if (button.tabIndex !== index) button.tabIndex = index;
    }
  }
}
