// @ts-check
import { WHOLE, actual, moved, zoomed } from "./zoom.js";

/** @typedef {import("./zoom.js").Lie} Lie */

/** How far a finger goes for a swipe, and a mouse for a drag that is no click, in CSS pixels. */
const SWIPE = 60;
const CLICK = 4;

/**
 * The frame of an image that is enlarged by wheel, pinch and double click, moved by dragging, and left by a swipe.
 */
export class Stage {
  #frame;
  #images;
  #host;
  /** @type {Lie} */
  #lie = WHOLE;
  /** @type {Map<number, {x: number, y: number}>} by pointer id */
  #down = new Map();
  /** How far the pointer came since it went down, in CSS pixels. */
  #way = { x: 0, y: 0 };

  /**
   * @param {HTMLElement} frame
   * @param {HTMLImageElement[]} images all that lie alike, the one in front first
   * @param {{swiped: (by: 1 | -1) => void, left: () => void}} host `left`: called after a click beside the image
   */
  constructor(frame, images, host) {
    this.#frame = frame;
    this.#images = images;
    this.#host = host;
    frame.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    frame.addEventListener("dblclick", (event) => this.#toggle(event));
    frame.addEventListener("pointerdown", (event) => this.#press(event));
    frame.addEventListener("pointermove", (event) => this.#move(event));
    for (const name of /** @type {const} */ (["pointerup", "pointercancel"])) {
      frame.addEventListener(name, (event) => this.#release(event));
    }
  }

  /** Show the whole image. */
  reset() {
    this.#lay(WHOLE);
  }

  /** Enlarge or shrink around the middle. @param {number} factor */
  zoom(factor) {
    this.#lay(zoomed(this.#lie, factor, { x: 0, y: 0 }, this.#size, this.#natural));
  }

  get #size() {
    const { clientWidth: width, clientHeight: height } = this.#frame;
    return { width, height };
  }

  get #natural() {
    const [{ naturalWidth: width, naturalHeight: height } = { naturalWidth: 1, naturalHeight: 1 }] = this.#images;
    return { width: width || 1, height: height || 1 };
  }

  /** @param {Lie} lie */
  #lay(lie) {
    this.#lie = lie;
    for (const { style } of this.#images) {
      style.translate = `${lie.x}px ${lie.y}px`;
      style.scale = String(lie.scale);
    }
    this.#frame.classList.toggle("enlarged", lie.scale > 1);
  }

  /** Where something is, from the middle of the frame. @param {{clientX: number, clientY: number}} event */
  #point({ clientX, clientY }) {
    const { left, top, width, height } = this.#frame.getBoundingClientRect();
    return { x: clientX - left - width / 2, y: clientY - top - height / 2 };
  }

  /** @param {WheelEvent} event */
  #wheel(event) {
    event.preventDefault();
    this.#lay(zoomed(this.#lie, Math.exp(-event.deltaY / 300), this.#point(event), this.#size, this.#natural));
  }

  /** @param {MouseEvent} event */
  #toggle(event) {
    const whole = this.#lie.scale > 1;
    const factor = Math.max(actual(this.#size, this.#natural), 2);
    if (whole) this.reset();
    else this.#lay(zoomed(this.#lie, factor, this.#point(event), this.#size, this.#natural));
  }

  /** @param {PointerEvent} event */
  #press(event) {
    // A video has controls of its own.
    if (event.button !== 0 || event.target instanceof HTMLVideoElement) return;
    if (this.#down.size === 0) this.#way = { x: 0, y: 0 };
    this.#down.set(event.pointerId, this.#point(event));
    this.#frame.setPointerCapture(event.pointerId);
  }

  /** @param {PointerEvent} event */
  #move(event) {
    const was = this.#down.get(event.pointerId);
    if (!was) return;
    const at = this.#point(event);
    this.#down.set(event.pointerId, at);
    const [other] = [...this.#down].filter(([id]) => id !== event.pointerId).map(([, point]) => point);
    if (other) {
      const factor = distance(at, other) / Math.max(distance(was, other), 1);
      const middle = { x: (at.x + other.x) / 2, y: (at.y + other.y) / 2 };
      this.#lay(zoomed(this.#lie, factor, middle, this.#size, this.#natural));
      this.#way = { x: 0, y: Infinity };
      return;
    }
    const [dx, dy] = [at.x - was.x, at.y - was.y];
    this.#way = { x: this.#way.x + dx, y: this.#way.y + Math.abs(dy) };
    if (this.#lie.scale > 1) this.#lay(moved(this.#lie, dx, dy, this.#size, this.#natural));
  }

  /** @param {PointerEvent} event */
  #release(event) {
    if (!this.#down.delete(event.pointerId) || this.#down.size || event.type === "pointercancel") return;
    const { x, y } = this.#way;
    if (this.#lie.scale === 1 && Math.abs(x) > SWIPE && y < Math.abs(x)) this.#host.swiped(x < 0 ? 1 : -1);
    else if (Math.abs(x) < CLICK && y < CLICK && this.#isBeside(event)) this.#host.left();
  }

  /** Whether a point is on the frame but on no image. @param {PointerEvent} event */
  #isBeside(event) {
    const { x, y } = this.#point(event);
    const { width, height } = this.#natural;
    const fit = Math.min(this.#size.width / width, this.#size.height / height, 1) * this.#lie.scale;
    return Math.abs(x - this.#lie.x) > (width * fit) / 2 || Math.abs(y - this.#lie.y) > (height * fit) / 2;
  }
}

/** @param {{x: number, y: number}} a @param {{x: number, y: number}} b */
function distance(a, b) {
  return Math.hypot(a.x - b.x, a.y - b.y);
}
