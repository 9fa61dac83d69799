// @ts-check
import { insertXmp, xmpOf } from "./xmp.js";

/** A grid as it is drawn: `cells` has the addresses of images, null where there is none. @typedef {{caption: string, columns: string[], rows: {label: string, cells: (string | null)[]}[]}} Drawn */
/** @typedef {{image: ImageBitmap, xmp: string | null}} Loaded */

/** The most pixels that a cell is wide and high, and of the whole picture and its sides: no larger canvas is everywhere. */
const CELL = 512;
const MOST_PIXELS = 16_000_000;
const MOST_SIDE = 16_000;
const GAP = 8;
const LINE = 40;
const FONT = "20px system-ui, sans-serif";

/**
 * Draw grids below each other, with the labels of their rows and columns. Images that can't be loaded are left out.
 * What the images say of themselves, that a model made them, the picture says, too. Rejects if no picture comes of it.
 * @param {Drawn[]} grids
 * @param {{ink: string, ground: string}} colours
 * @returns {Promise<Blob>} a PNG
 */
export async function gridPicture(grids, colours) {
  const urls = new Set(grids.flatMap(({ rows }) => rows.flatMap(({ cells }) => cells.filter((url) => url !== null))));
  /** @type {Map<string, Loaded>} */
  const loaded = new Map();
  for (const url of urls) {
    const image = await load(url);
    if (image) loaded.set(url, image);
  }
  const canvas = draw(grids, loaded, colours);
  for (const { image } of loaded.values()) image.close();
  /** @type {Blob | null} */
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
  if (!blob) throw new Error("no picture");
  const xmp = [...loaded.values()].find((each) => each.xmp !== null)?.xmp;
  return xmp ? insertXmp(blob, xmp) : blob;
}

/** @param {string} url @returns {Promise<Loaded | null>} */
async function load(url) {
  try {
    const blob = await (await fetch(url)).blob();
    return { image: await createImageBitmap(blob), xmp: await xmpOf(blob) };
  } catch {
    return null;
  }
}

/**
 * @param {Drawn[]} grids
 * @param {Map<string, Loaded>} loaded
 * @param {{ink: string, ground: string}} colours
 */
function draw(grids, loaded, { ink, ground }) {
  const canvas = document.createElement("canvas");
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  context.font = FONT;
  const labels = grids.flatMap(({ rows }) => rows.map(({ label }) => context.measureText(label).width));
  const side = Math.ceil(Math.max(...labels)) + 2 * GAP;
  const across = Math.max(...grids.map(({ rows }) => rows[0]?.cells.length ?? 1));
  const down = grids.reduce((sum, { rows }) => sum + rows.length, 0);
  const room = Math.min(Math.sqrt(MOST_PIXELS / (across * down)), MOST_SIDE / across, MOST_SIDE / down);
  const cell = Math.min(CELL, Math.floor(room) - GAP);
  const width = side + across * (cell + GAP);
  canvas.width = width;
  canvas.height = down * (cell + GAP) + grids.reduce((sum, { columns }) => sum + LINE * (columns.length ? 2 : 1), 0);
  context.fillStyle = ground;
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.font = FONT;
  context.fillStyle = ink;
  context.textBaseline = "middle";
  let top = 0;
  for (const { caption, columns, rows } of grids) {
    context.textAlign = "start";
    context.fillText(fitting(context, caption, width - 2 * GAP), GAP, top + LINE / 2);
    top += LINE;
    context.textAlign = "center";
    columns.forEach((label, at) => context.fillText(label, side + at * (cell + GAP) + cell / 2, top + LINE / 2, cell));
    if (columns.length) top += LINE;
    for (const { label, cells } of rows) {
      context.textAlign = "start";
      context.fillText(label, GAP, top + cell / 2);
      cells.forEach((url, at) => put(context, loaded.get(url ?? "")?.image, side + at * (cell + GAP), top, cell));
      top += cell + GAP;
    }
  }
  return canvas;
}

/**
 * Return as much of a text as fits.
 * @param {CanvasRenderingContext2D} context
 * @param {string} text
 * @param {number} width in pixels
 */
function fitting(context, text, width) {
  const letters = [...text.replace(/\s+/g, " ")];
  if (context.measureText(letters.join("")).width <= width) return letters.join("");
  while (letters.length && context.measureText(`${letters.join("")}…`).width > width) letters.pop();
  return `${letters.join("")}…`;
}

/**
 * Draw an image as large as fits into a square.
 * @param {CanvasRenderingContext2D} context
 * @param {ImageBitmap | undefined} image
 * @param {number} left
 * @param {number} top
 * @param {number} side
 */
function put(context, image, left, top, side) {
  if (!image) return;
  const scale = side / Math.max(image.width, image.height);
  const [width, height] = [image.width * scale, image.height * scale];
  context.drawImage(image, left + (side - width) / 2, top + (side - height) / 2, width, height);
}
