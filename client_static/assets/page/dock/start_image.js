// @ts-check
import { errorText, onLang, percent, t } from "../../words/words.js";
import { Attachment, StoredImage } from "./attachment.js";
import { byId, keepFocus, showText } from "../ui/dom.js";
import { loadDialogs } from "../ui/dialogs.js";
import { takeImages } from "./image_intake.js";

/** @typedef {import("./attachment.js").Uploader} Uploader */
/** @typedef {import("../page.js").Page} Page */
/** @typedef {import("./kinds.js").Given} Given */
/** @typedef {import("./strokes.js").Strokes} Strokes */

/**
 * The image that is shown: what the server has or gets of it, and its mask. `picture` is null if it can't be loaded.
 * @typedef {object} Shown
 * @property {Attachment | StoredImage} image
 * @property {HTMLImageElement | null} picture
 * @property {string} [url] where the server has it, if it is not an upload
 * @property {number} width
 * @property {number} height
 * @property {Strokes | null} strokes
 * @property {Attachment | StoredImage | null} mask
 */

/** An image that the server has: an upload, if there is no `url`. @typedef {{id: string, url?: string, width?: number, height?: number}} Known */

/** The image that a generation starts from, and what of it is repainted. */
export class StartImage {
  #field = byId("start-field", HTMLElement);
  #choose = byId("image", HTMLButtonElement);
  #chooseText = byId("image-choose", HTMLElement);
  #preview = byId("start-preview", HTMLCanvasElement);
  #status = byId("start-status", HTMLElement);
  #problem = byId("image-problem", HTMLElement);
  #paint = byId("mask-open", HTMLButtonElement);
  /** @type {import("./mask_editor.js").MaskEditor | null} */
  #editor = null;
  #painting;
  #upload;
  #changed;
  #offered = { image: false, mask: false };
  /** Bytes; 0 where nothing can be uploaded. */
  #limit = 0;
  /** @type {Shown | null} */
  #shown = null;
  /** Counts what was brought: an image that loads slowly must not take the place of a later one. */
  #turn = 0;

  /**
   * @param {Uploader} upload
   * @param {Page["lazy"]} lazy
   * @param {() => void} changed called when there is another image or mask, and when the server has it
   */
  constructor(upload, lazy, changed) {
    this.#upload = upload;
    this.#painting = lazy(async () => {
      const [{ MaskEditor }, { maskImage }] = await Promise.all([
        import("./mask_editor.js"),
        import("./mask_image.js"),
        loadDialogs(),
      ]);
      return { editor: (this.#editor = new MaskEditor()), maskImage };
    });
    this.#changed = changed;
    takeImages(() => !this.#choose.hidden && this.#choose.checkVisibility(), (image) => this.#useFile(image));
    this.#paint.addEventListener("click", () => this.#paintMask());
    byId("start-remove", HTMLButtonElement).addEventListener("click", () => {
      keepFocus(this.#field, () => this.#put(null), () => this.#choose);
      changed();
    });
    onLang(() => this.#render());
  }

  /** @returns {Given} */
  get given() {
    return { image: this.#shown !== null, mask: Boolean(this.#shown?.mask) };
  }

  /**
   * Offer it as far as there are models for it.
   * @param {Given} offered
   * @param {number} limit maximum bytes of an upload; 0 where nothing can be uploaded
   */
  offer(offered, limit) {
    this.#offered = offered;
    this.#limit = limit;
    this.#render();
  }

  /** Return the ids for a request once the server has the images. Rejects if it can't get them, which is shown. */
  async ids() {
    const shown = this.#shown;
    if (!shown) return {};
    const [image, mask] = await Promise.all([shown.image.id(), shown.mask?.id()]);
    return { image, mask };
  }

  /**
   * Start from an image that the server has.
   * @param {Known} known
   * @param {string} [mask] id of its mask
   */
  async use({ id, url, width = 0, height = 0 }, mask) {
    const masked = mask ? new StoredImage(mask) : null;
    const image = new StoredImage(id);
    this.#put({ image, picture: null, url, width, height, strokes: null, mask: masked });
    this.#changed();
    const turn = this.#turn;
    const picture = await loadPicture(url ?? `api/v1/uploads/${id}`).catch(() => null);
    if (!picture || turn !== this.#turn || !this.#shown) return;
    this.#shown.picture = picture;
    this.#shown.width ||= picture.naturalWidth;
    this.#shown.height ||= picture.naturalHeight;
    this.#draw(this.#shown);
    this.#render();
    this.#changed();
  }

  /** Send the image and its mask again before their next use: the server has refused their ids. */
  sendAgain() {
    this.#shown?.image.forget();
    this.#shown?.mask?.forget();
  }

  /** Forget the image. This does not count as a change. */
  clear() {
    this.#editor?.close();
    this.#put(null);
  }

  /** What survives a reload, as text: nothing of an image that the server has not got yet. */
  get text() {
    const { image, url, width, height, mask } = this.#shown ?? {};
    return image?.stored ? JSON.stringify({ id: image.stored, url, width, height, mask: mask?.stored }) : "";
  }

  /** @param {string} text as `text` returned it */
  set text(text) {
    if (!text) return;
    const { mask, ...known } = JSON.parse(text);
    this.use(known, mask);
  }

  /** @param {File} file */
  async #useFile(file) {
    const turn = (this.#turn += 1);
    if (this.#limit && file.size > this.#limit) {
      showText(this.#problem, t("problem.image_large", { limit: Math.floor(this.#limit / 1e6) }));
      return;
    }
    const picture = await loadPicture(URL.createObjectURL(file)).catch(() => null);
    if (turn !== this.#turn) return;
    if (!picture) {
      showText(this.#problem, errorText({ code: "bad_image" }));
      return;
    }
    const size = { width: picture.naturalWidth, height: picture.naturalHeight };
    this.#put({ image: this.#attach(file), picture, ...size, strokes: null, mask: null });
    this.#changed();
  }

  /** @param {Blob} blob */
  #attach(blob) {
    return new Attachment(blob, this.#upload, () => {
      this.#render();
      this.#changed();
    });
  }

  /** Show another image, or none. @param {Shown | null} shown */
  #put(shown) {
    this.#turn += 1;
    const old = this.#shown;
    old?.image.drop();
    old?.mask?.drop();
    if (old?.picture?.src.startsWith("blob:")) URL.revokeObjectURL(old.picture.src);
    this.#shown = shown;
    if (shown) this.#draw(shown);
    this.#render();
  }

  async #paintMask() {
    const shown = this.#shown;
    const painting = await this.#painting();
    if (!painting || !shown || shown !== this.#shown) return;
    const strokes = await painting.editor.open(shown);
    if (!strokes || shown !== this.#shown) return;
    const blob = await painting.maskImage(strokes, shown.width, shown.height);
    if (shown !== this.#shown) return;
    shown.mask?.drop();
    shown.strokes = blob ? strokes : null;
    shown.mask = blob ? this.#attach(blob) : null;
    this.#draw(shown);
    this.#render();
    this.#changed();
  }

  #render() {
    const shown = this.#shown;
    this.#field.hidden = !shown;
    this.#choose.hidden = !this.#limit || !this.#offered.image;
    this.#chooseText.textContent = this.#choose.title = t(shown ? "start.other" : "start.choose");
    this.#paint.hidden = !shown?.picture || !shown.width || !(this.#offered.mask || shown.mask);
    this.#paint.textContent = t(shown?.mask ? "mask.change" : "mask.open");
    this.#preview.setAttribute("aria-label", t(shown?.mask ? "start.preview_masked" : "start.preview"));
    showText(this.#status, shown ? statusText(shown) : "");
    const error = shown?.image.error ?? shown?.mask?.error;
    showText(this.#problem, error ? errorText(error) : "");
  }

  /** Draw the image with its mask. A photo takes long to scale, so not at each render. @param {Shown} shown */
  #draw({ picture, strokes, width, height }) {
    this.#preview.hidden = picture === null;
    if (!picture || !width) return;
    const scale = Math.min(1, 320 / Math.max(width, height));
    const context = /** @type {CanvasRenderingContext2D} */ (this.#preview.getContext("2d"));
    this.#preview.width = Math.max(1, Math.round(width * scale));
    this.#preview.height = Math.max(1, Math.round(height * scale));
    strokes?.draw(context, scale, getComputedStyle(this.#preview).color);
    // Half of the paint stays visible: the image is put behind it, and over it once more.
    context.globalCompositeOperation = "destination-over";
    context.drawImage(picture, 0, 0, this.#preview.width, this.#preview.height);
    context.globalCompositeOperation = "source-over";
    context.globalAlpha = 0.45;
    context.drawImage(picture, 0, 0, this.#preview.width, this.#preview.height);
    context.globalAlpha = 1;
  }
}

/** @param {Shown} shown */
function statusText({ image, mask, width, height }) {
  const sending = [image, mask].find((each) => each?.sending);
  const parts = [width ? `${width} × ${height}` : t("start.earlier")];
  if (mask) parts.push(t("start.masked"));
  if (sending) parts.push(t("start.sending", { percent: percent(Math.round(sending.part * 100)) }));
  return parts.join(" · ");
}

/**
 * Load an image. Rejects if the browser can't show it.
 * @param {string} url
 */
async function loadPicture(url) {
  const picture = new Image();
  picture.src = url;
  await picture.decode();
  return picture;
}
