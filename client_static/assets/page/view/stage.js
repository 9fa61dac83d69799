// @ts-check
import { preventFling } from "../ui/dom.js";
import { WHOLE, actual, moved, zoomed } from "./zoom.js";

/** @typedef {import("./zoom.js").Lie} Lie */

/** How far a finger goes for a swipe, and a pointer for a drag that is no click, in CSS pixels. */
const SWIPE = 60;
const CLICK = 4;
/** Two taps are one double tap within so many milliseconds and CSS pixels. */
const AGAIN = 350;
const NEAR = 40;
/** How far an arrow key moves an enlarged image, in parts of the frame. */
const STEP = 0.2;

/**
 * The frame of an image that is enlarged by wheel, pinch, double click and double tap, moved by dragging, and left by a
 * swipe: to either side for another image, down for none.
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
  /** Whether two fingers were down, and whether the last pointer was a finger. */
  #pinched = false;
  #finger = false;
  /** When and where the last tap was. */
  #tapped = { time: -Infinity, x: 0, y: 0 };

  /**
   * @param {HTMLElement} frame
   * @param {HTMLImageElement[]} images all that lie alike, the one in front first
   * @param {{swiped: (by: 1 | -1) => void, left: () => void}} host `left`: called after a click beside the image,
   *   and after a swipe down
   */
  constructor(frame, images, host) {
    this.#frame = frame;
    this.#images = images;
    this.#host = host;
    preventFling(frame);
    frame.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    // Not of a finger: not every browser makes a double click of two taps.
    frame.addEventListener("dblclick", (event) => !this.#finger && this.#toggle(event));
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

  /** Whether the image is larger than when all of it is seen. */
  get enlarged() {
    return this.#lie.scale > 1;
  }

  /**
   * Show what of an enlarged image is further to the right, or further down.
   * @param {number} x steps to the right
   * @param {number} y steps down
   */
  pan(x, y) {
    const { width, height } = this.#size;
    this.#lay(moved(this.#lie, -x * width * STEP, -y * height * STEP, this.#size, this.#natural));
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
    if (this.#down.size === 0) {
      this.#way = { x: 0, y: 0 };
      this.#pinched = false;
    }
    this.#finger = event.pointerType === "touch";
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
      this.#pinched = true;
      return;
    }
    const [dx, dy] = [at.x - was.x, at.y - was.y];
    this.#way = { x: this.#way.x + dx, y: this.#way.y + dy };
    if (this.#lie.scale > 1) this.#lay(moved(this.#lie, dx, dy, this.#size, this.#natural));
    else if (this.#finger && !this.#pinched) this.#pull();
  }

  /** Let the whole image go with the finger, to a side or down. */
  #pull() {
    const { x, y } = this.#way;
    const pulled = Math.abs(x) > y ? `${x}px 0` : `0 ${y}px`;
    for (const { style } of this.#images) style.translate = pulled;
  }

  /** @param {PointerEvent} event */
  #release(event) {
    if (!this.#down.delete(event.pointerId) || this.#down.size) return;
    const { x, y } = this.#way;
    const whole = this.#lie.scale === 1;
    this.#lay(this.#lie);
    if (this.#pinched || event.type === "pointercancel") return;
    if (whole && Math.abs(x) > SWIPE && Math.abs(y) < Math.abs(x)) this.#host.swiped(x < 0 ? 1 : -1);
    else if (whole && this.#finger && y > SWIPE) this.#host.left();
    else if (Math.abs(x) < CLICK && Math.abs(y) < CLICK) this.#tap(event);
  }

  /** @param {PointerEvent} event */
  #tap(event) {
    if (this.#isBeside(event)) {
      this.#host.left();
      return;
    }
    if (!this.#finger) return;
    const at = this.#point(event);
    const again = event.timeStamp - this.#tapped.time < AGAIN && distance(at, this.#tapped) < NEAR;
    this.#tapped = { ...at, time: again ? -Infinity : event.timeStamp };
    if (again) this.#toggle(event);
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
