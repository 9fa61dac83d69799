// @ts-check
import { preventFling } from "../ui/dom.js";
import { moved } from "./moving.js";

/** @typedef {import("./board_row.js").Row} Row */

/** Pixels that a swipe must go to cancel a row, or a ring. */
const SWIPE = 96;
const FLICK = 64;
/** Pixels before a touch counts as a drag or a swipe. */
const BEGIN = 8;

/**
 * @typedef {object} RowMovesHost
 * @property {() => Row[]} rows in the order that is shown
 * @property {(taskId: string, where: import("./moving.js").Where) => void} move
 * @property {(row: Row) => void} cancel
 */

/**
 * Moves rows of the board: by their grip, by Alt and an arrow key, and off the board by a swipe, as rings off the
 * ribbon. All outputs of a task that wait move together.
 */
export class RowMoves {
  #list;
  #host;
  /** Whether a row is being swiped. */
  #swiping = false;

  /**
   * @param {HTMLElement} list
   * @param {HTMLElement} rings
   * @param {RowMovesHost} host
   */
  constructor(list, rings, host) {
    this.#list = list;
    this.#host = host;
    list.addEventListener("keydown", (event) => this.#key(event));
    list.addEventListener("pointerdown", (event) => this.#press(event));
    rings.addEventListener("pointerdown", (event) => this.#flick(event));
    preventFling(rings);
    preventFling(list, () => this.#swiping);
  }

  /** Ids of the waiting tasks, each once, in the order that is shown. */
  get #queue() {
    return [...new Set(this.#host.rows().filter(({ waiting }) => waiting).map(({ taskId }) => taskId))];
  }

  /** @param {EventTarget | null} target */
  #rowAt(target) {
    const element = target instanceof Element ? target.closest("[data-key]") : null;
    return this.#host.rows().find((row) => row.key === element?.getAttribute("data-key"));
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const by = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    const row = this.#rowAt(event.target);
    if (row && event.key === "Delete") this.#host.cancel(row);
    if (!event.altKey || by === undefined || !row) return;
    event.preventDefault();
    this.by(row, by);
  }

  /**
   * Move the task of a row by some tasks.
   * @param {Row} row
   * @param {number} by negative to be made sooner
   */
  by({ taskId }, by) {
    const where = moved(this.#queue, taskId, by);
    if (where) this.#host.move(taskId, where);
  }

  /** @param {PointerEvent} event */
  #press(event) {
    const { target, pointerType, button } = event;
    const row = this.#rowAt(target);
    const element = target instanceof Element ? target.closest("li") : null;
    if (!row || !(element instanceof HTMLElement) || button !== 0 || !(target instanceof Element)) return;
    if (target.closest(".grip")) this.#drag(event, row, element);
    else if (pointerType === "touch" && !target.closest("button")) this.#swipe(event, row, element);
  }

  /**
   * Move a row with the pointer, and its task when the row is let go.
   * @param {PointerEvent} down
   * @param {Row} row
   * @param {HTMLElement} element
   */
  #drag(down, row, element) {
    if (!row.waiting || !this.#queue.includes(row.taskId)) return;
    const by = (/** @type {PointerEvent} */ { clientY }) => clientY - down.clientY;
    follow(down, {
      moves: (move) => {
        if (Math.abs(by(move)) < BEGIN) return;
        element.dataset.moving = "true";
        element.style.translate = `0 ${by(move)}px`;
      },
      ends: (up) => {
        const moving = element.dataset.moving === "true";
        delete element.dataset.moving;
        element.style.translate = "";
        if (!up || !moving) return;
        // The click on the grip that may follow at once would open its menu.
        const stop = (/** @type {Event} */ click) => click.stopPropagation();
        element.addEventListener("click", stop, { capture: true });
        setTimeout(() => element.removeEventListener("click", stop, { capture: true }));
        this.#drop(row, up.clientY);
      },
    });
  }

  /**
   * @param {Row} row
   * @param {number} y where the pointer was let go
   */
  #drop(row, y) {
    const others = [...this.#list.children].flatMap((child) => {
      const other = this.#rowAt(child);
      const box = child.getBoundingClientRect();
      return other?.waiting && other.taskId !== row.taskId ? [{ id: other.taskId, middle: box.top + box.height / 2 }] : [];
    });
    const before = others.find(({ middle }) => y < middle)?.id;
    const queue = this.#queue;
    if (before === undefined) {
      if (queue.at(-1) !== row.taskId) this.#host.move(row.taskId, { to: "last" });
    } else if (queue[queue.indexOf(row.taskId) + 1] !== before) this.#host.move(row.taskId, { before });
  }

  /** Cancel what a ring stands for if it is swiped off the ribbon, up or to a side. @param {PointerEvent} down */
  #flick(down) {
    const row = this.#rowAt(down.target);
    const ring = down.target instanceof Element ? down.target.closest(".orbit") : null;
    if (!row || !(ring instanceof HTMLElement) || down.pointerType !== "touch") return;
    const way = (/** @type {PointerEvent} */ { clientX, clientY }) => {
      return { x: clientX - down.clientX, y: Math.min(clientY - down.clientY, 0) };
    };
    follow(down, {
      moves: (move) => {
        const { x, y } = way(move);
        if (Math.hypot(x, y) < BEGIN) return;
        ring.dataset.moving = "true";
        ring.style.translate = `${x}px ${y}px`;
      },
      ends: (up) => {
        delete ring.dataset.moving;
        ring.style.translate = "";
        const { x, y } = way(up ?? down);
        if (Math.hypot(x, y) > FLICK) this.#host.cancel(row);
      },
    });
  }

  /**
   * Cancel a row that is swiped off the board.
   * @param {PointerEvent} down
   * @param {Row} row
   * @param {HTMLElement} element
   */
  #swipe(down, row, element) {
    const by = (/** @type {PointerEvent} */ { clientX }) => clientX - down.clientX;
    follow(down, {
      moves: (move) => {
        if (Math.abs(by(move)) < BEGIN) return;
        this.#swiping = true;
        element.style.translate = `${by(move)}px 0`;
      },
      ends: (up) => {
        this.#swiping = false;
        element.style.translate = "";
        if (up && Math.abs(by(up)) > SWIPE) this.#host.cancel(row);
      },
    });
  }
}

/**
 * Follow a pointer until it is let go, or until the browser takes it away, as to scroll. It is not captured: a click
 * would then not reach the button below it.
 * @param {PointerEvent} down
 * @param {{moves: (event: PointerEvent) => void, ends: (up: PointerEvent | null) => void}} host
 */
function follow(down, { moves, ends }) {
  const over = new AbortController();
  const { signal } = over;
  const mine = (/** @type {PointerEvent} */ { pointerId }) => pointerId === down.pointerId;
  document.addEventListener("pointermove", (event) => mine(event) && moves(event), { signal });
  for (const name of /** @type {const} */ (["pointerup", "pointercancel"])) {
    const end = (/** @type {PointerEvent} */ event) => {
      if (!mine(event)) return;
      over.abort();
      ends(name === "pointerup" ? event : null);
    };
    document.addEventListener(name, end, { signal });
  }
}
