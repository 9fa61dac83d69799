// @ts-check

/** A point in pixels of the image. @typedef {{x: number, y: number}} Point */
/** `size`: diameter of the brush, in pixels of the image. @typedef {{size: number, erase: boolean, points: Point[]}} Stroke */

/** Of a stroke's points, those nearer to the last one than this part of the brush's size are left out. */
const NEAR = 0.05;

/** What was painted with the brush, in the order of painting. It does not depend on how large it is shown. */
export class Strokes {
  /** @type {Stroke[]} */
  #all;

  /** @param {Stroke[]} all */
  constructor(all = []) {
    this.#all = all;
  }

  get empty() {
    return this.#all.length === 0;
  }

  copy() {
    return new Strokes(this.#all.map((stroke) => ({ ...stroke, points: [...stroke.points] })));
  }

  /**
   * Put the brush down.
   * @param {Point} point
   * @param {number} size
   * @param {boolean} erase
   */
  begin(point, size, erase) {
    this.#all.push({ size, erase, points: [point] });
  }

  /** Move the brush while it is down. @param {Point} point */
  extend(point) {
    const stroke = this.#all.at(-1);
    const last = stroke?.points.at(-1);
    if (!stroke || !last) return;
    if (Math.hypot(point.x - last.x, point.y - last.y) >= stroke.size * NEAR) stroke.points.push(point);
  }

  /** Paint the whole image. @param {number} width @param {number} height */
  cover(width, height) {
    this.begin({ x: width / 2, y: height / 2 }, 2 * Math.hypot(width, height), false);
  }

  /** Remove the last stroke. */
  undo() {
    this.#all.pop();
  }

  clear() {
    this.#all = [];
  }

  /**
   * Draw all strokes.
   * @param {CanvasRenderingContext2D} context its canvas has the image's proportions and nothing else on it
   * @param {number} scale pixels of the canvas per pixel of the image
   * @param {string} colour
   */
  draw(context, scale, colour) {
    for (const stroke of this.#all) drawStroke(context, stroke, stroke.points, scale, colour);
  }

  /**
   * Draw what the last `begin` or `extend` added.
   * @param {CanvasRenderingContext2D} context
   * @param {number} scale
   * @param {string} colour
   */
  drawLast(context, scale, colour) {
    const stroke = this.#all.at(-1);
    if (stroke) drawStroke(context, stroke, stroke.points.slice(-2), scale, colour);
  }
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {Stroke} stroke
 * @param {Point[]} points
 * @param {number} scale
 * @param {string} colour
 */
function drawStroke(context, { size, erase }, points, scale, colour) {
  const [first] = points;
  if (!first) return;
  context.globalCompositeOperation = erase ? "destination-out" : "source-over";
  context.fillStyle = context.strokeStyle = colour;
  context.lineCap = context.lineJoin = "round";
  context.lineWidth = size * scale;
  context.beginPath();
  // Not every browser draws the ends of a line without a length.
  if (points.length === 1) context.arc(first.x * scale, first.y * scale, (size * scale) / 2, 0, 2 * Math.PI);
  else for (const { x, y } of points) context.lineTo(x * scale, y * scale);
  if (points.length === 1) context.fill();
  else context.stroke();
  context.globalCompositeOperation = "source-over";
}
