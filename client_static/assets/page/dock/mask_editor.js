// @ts-check
import { byId, part, preventFling } from "../ui/dom.js";
import { isUndo } from "../ui/shortcuts.js";
import { WHOLE, moved, zoomed } from "../view/zoom.js";
import { Strokes } from "./strokes.js";

/** @typedef {import("./strokes.js").Point} Point */

/** What is painted on. @typedef {{picture: HTMLImageElement | null, width: number, height: number, strokes: Strokes | null}} Sheet */

/** How far an arrow key moves the brush, in parts of its diameter. */
const STEP = 0.25;

/** @type {Record<string, [number, number]>} */
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/**
 * The dialog in which somebody paints over what is to be repainted: with a pointer, or with the arrow keys and the space
 * bar. Two fingers and the wheel enlarge the image. Escape leaves everything as it was.
 */
export class MaskEditor {
  #dialog = byId("mask-editor", HTMLDialogElement);
  #image = part(this.#dialog, "image", HTMLImageElement);
  #easel = part(this.#dialog, "easel", HTMLElement);
  #sheet = part(this.#dialog, "sheet", HTMLElement);
  #canvas = part(this.#dialog, "canvas", HTMLCanvasElement);
  #ring = part(this.#dialog, "ring", HTMLElement);
  #size = byId("brush-size", HTMLInputElement);
  #erase = part(this.#dialog, "erase", HTMLButtonElement);
  #strokes = new Strokes();
  #width = 1;
  #height = 1;
  /** Where the brush is. @type {Point} */
  #at = { x: 0, y: 0 };
  #down = false;
  /** @type {Map<number, Point>} where the pointers are that are down, in pixels of the window */
  #pointers = new Map();
  /** Whether two fingers enlarge the image: until both are lifted, none of them paints. */
  #pinching = false;
  /** @type {import("../view/zoom.js").Lie} */
  #lie = WHOLE;
  /** @type {(strokes: Strokes | null) => void} */
  #answer = () => {};

  constructor() {
    const press = (/** @type {string} */ name, /** @type {() => void} */ act) =>
      part(this.#dialog, name, HTMLButtonElement).addEventListener("click", act);
    press("erase", () => this.#setErase(!this.#erasing));
    press("undo", () => this.#change(() => this.#strokes.undo()));
    press("clear", () => this.#change(() => this.#strokes.clear()));
    press("all", () => this.#change(() => this.#strokes.cover(this.#width, this.#height)));
    press("drop", () => this.#dialog.close(""));
    press("done", () => this.#dialog.close("done"));
    this.#dialog.addEventListener("keydown", (event) => {
      if (!isUndo(event)) return;
      event.preventDefault();
      this.#lift();
      this.#change(() => this.#strokes.undo());
    });
    this.#dialog.addEventListener("close", () => {
      this.#image.removeAttribute("src");
      this.#answer(this.#dialog.returnValue === "done" ? this.#strokes : null);
    });
    this.#size.addEventListener("input", () => this.#showRing());
    preventFling(this.#canvas);
    this.#canvas.addEventListener("pointerdown", (event) => this.#press(event));
    this.#canvas.addEventListener("pointermove", (event) => this.#move(event));
    for (const name of /** @type {const} */ (["pointerup", "pointercancel"])) {
      this.#canvas.addEventListener(name, (event) => this.#release(event));
    }
    this.#easel.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    this.#canvas.addEventListener("pointerleave", () => (this.#ring.hidden = !this.#canvas.matches(":focus-visible")));
    this.#canvas.addEventListener("keydown", (event) => this.#key(event));
    this.#canvas.addEventListener("blur", () => this.#lift());
    new ResizeObserver(() => this.#fit()).observe(this.#easel);
  }

  /**
   * Open the dialog. Returns what is painted when somebody is done, or null if everything stays as it was.
   * @param {Sheet} sheet
   * @returns {Promise<Strokes | null>}
   */
  open({ picture, width, height, strokes }) {
    this.#strokes = strokes?.copy() ?? new Strokes();
    this.#width = width;
    this.#height = height;
    this.#at = { x: width / 2, y: height / 2 };
    this.#down = this.#pinching = false;
    this.#pointers.clear();
    this.#image.src = picture?.src ?? "";
    this.#setErase(false);
    this.#ring.hidden = true;
    this.#dialog.returnValue = "";
    this.#dialog.showModal();
    this.#fit();
    this.#canvas.focus();
    return new Promise((resolve) => (this.#answer = resolve));
  }

  /** Leave everything as it was. */
  close() {
    this.#dialog.close("");
  }

  get #erasing() {
    return this.#erase.getAttribute("aria-pressed") === "true";
  }

  /** @param {boolean} erase */
  #setErase(erase) {
    this.#erase.setAttribute("aria-pressed", String(erase));
  }

  /** The diameter of the brush in pixels of the image. */
  get #diameter() {
    return Math.max(1, (this.#size.valueAsNumber / 100) * Math.min(this.#width, this.#height));
  }

  /** Pixels of the window per pixel of the image. */
  get #zoom() {
    return this.#canvas.clientWidth / this.#width || 1;
  }

  /** Make the sheet as large as the window allows, and draw it anew. */
  #fit() {
    if (!this.#dialog.open) return;
    const { clientWidth, clientHeight } = this.#easel;
    const zoom = Math.min(clientWidth / this.#width, clientHeight / this.#height);
    this.#sheet.style.setProperty("width", `${Math.max(1, Math.floor(this.#width * zoom))}px`);
    this.#sheet.style.setProperty("height", `${Math.max(1, Math.floor(this.#height * zoom))}px`);
    this.#lay(WHOLE);
    this.#canvas.width = this.#canvas.clientWidth * devicePixelRatio;
    this.#canvas.height = this.#canvas.clientHeight * devicePixelRatio;
    this.#redraw();
    this.#showRing();
  }

  get #context() {
    return /** @type {CanvasRenderingContext2D} */ (this.#canvas.getContext("2d"));
  }

  get #colour() {
    return getComputedStyle(this.#canvas).color;
  }

  #redraw() {
    this.#context.clearRect(0, 0, this.#canvas.width, this.#canvas.height);
    this.#strokes.draw(this.#context, this.#canvas.width / this.#width, this.#colour);
  }

  /** @param {() => void} act */
  #change(act) {
    act();
    this.#redraw();
  }

  /** @param {PointerEvent} event */
  #press(event) {
    if (event.button !== 0) return;
    // Keep the touch from scrolling and the mouse from dragging the image.
    event.preventDefault();
    this.#canvas.focus({ preventScroll: true });
    this.#canvas.setPointerCapture(event.pointerId);
    this.#pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    if (this.#pointers.size > 1) this.#pinch();
    if (this.#pinching) return;
    this.#at = this.#point(event);
    this.#put();
    this.#showRing();
  }

  /** Take back what the first finger has painted meanwhile: the second one says that it was not meant. */
  #pinch() {
    if (this.#down) this.#change(() => this.#strokes.undo());
    this.#down = false;
    this.#pinching = this.#ring.hidden = true;
  }

  /** @param {PointerEvent} event */
  #move(event) {
    if (this.#pinching) {
      this.#enlarge(event);
      return;
    }
    this.#at = this.#point(event);
    this.#ring.hidden = false;
    if (this.#down) for (const each of event.getCoalescedEvents()) this.#draw(this.#point(each));
    this.#showRing();
  }

  /** @param {PointerEvent} event of one of two fingers */
  #enlarge({ pointerId, clientX: x, clientY: y }) {
    const was = this.#pointers.get(pointerId);
    const [other] = [...this.#pointers].flatMap(([id, point]) => (id === pointerId ? [] : point));
    if (!was || !other) return;
    this.#pointers.set(pointerId, { x, y });
    const factor = Math.hypot(x - other.x, y - other.y) / Math.max(Math.hypot(was.x - other.x, was.y - other.y), 1);
    const { frame, image } = this.#sizes;
    const pulled = moved(this.#lie, (x - was.x) / 2, (y - was.y) / 2, frame, image);
    this.#lay(zoomed(pulled, factor, this.#middle((x + other.x) / 2, (y + other.y) / 2), frame, image));
  }

  /** @param {WheelEvent} event */
  #wheel(event) {
    event.preventDefault();
    const { frame, image } = this.#sizes;
    const at = this.#middle(event.clientX, event.clientY);
    this.#lay(zoomed(this.#lie, Math.exp(-event.deltaY / 300), at, frame, image));
  }

  /** @param {PointerEvent} event */
  #release({ pointerId }) {
    this.#pointers.delete(pointerId);
    if (this.#pointers.size === 0) this.#pinching = false;
    this.#lift();
  }

  get #sizes() {
    const [frame, image] = [this.#easel, this.#sheet].map(({ clientWidth, clientHeight }) => {
      return { width: clientWidth, height: clientHeight };
    });
    return /** @type {Record<"frame" | "image", import("../view/zoom.js").Size>} */ ({ frame, image });
  }

  /** Where a point of the window is, from the middle of the easel. @param {number} x @param {number} y @returns {Point} */
  #middle(x, y) {
    const { left, top, width, height } = this.#easel.getBoundingClientRect();
    return { x: x - left - width / 2, y: y - top - height / 2 };
  }

  /** @param {import("../view/zoom.js").Lie} lie */
  #lay(lie) {
    this.#lie = lie;
    this.#sheet.style.translate = `${lie.x}px ${lie.y}px`;
    this.#sheet.style.scale = String(lie.scale);
  }

  /** Put the brush down where it is. */
  #put() {
    this.#down = true;
    this.#strokes.begin(this.#at, this.#diameter, this.#erasing);
    this.#drawLast();
  }

  #lift() {
    this.#down = false;
    this.#showRing();
  }

  /** @param {Point} point */
  #draw(point) {
    this.#strokes.extend(point);
    this.#drawLast();
  }

  #drawLast() {
    this.#strokes.drawLast(this.#context, this.#canvas.width / this.#width, this.#colour);
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const arrow = ARROWS[event.key];
    if (event.key === " " && !event.repeat) {
      if (this.#down) this.#lift();
      else this.#put();
    } else if (arrow) {
      const step = Math.max(1, this.#diameter * STEP);
      const [x, y] = arrow;
      this.#at = { x: between(0, this.#at.x + x * step, this.#width), y: between(0, this.#at.y + y * step, this.#height) };
      if (this.#down) this.#draw(this.#at);
    } else if (event.key !== " ") return;
    event.preventDefault();
    this.#ring.hidden = false;
    this.#showRing();
  }

  /** @param {PointerEvent} event @returns {Point} */
  #point({ clientX, clientY }) {
    const { left, top } = this.#canvas.getBoundingClientRect();
    const zoom = this.#zoom * this.#lie.scale;
    return { x: (clientX - left) / zoom, y: (clientY - top) / zoom };
  }

  #showRing() {
    const { style } = this.#ring;
    const size = this.#diameter * this.#zoom;
    style.setProperty("width", `${size}px`);
    style.setProperty("height", `${size}px`);
    style.setProperty("left", `${this.#at.x * this.#zoom}px`);
    style.setProperty("top", `${this.#at.y * this.#zoom}px`);
    this.#ring.classList.toggle("down", this.#down);
  }
}

/** @param {number} least @param {number} value @param {number} most */
function between(least, value, most) {
  return Math.min(most, Math.max(least, value));
}
