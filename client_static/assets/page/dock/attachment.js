// @ts-check

/** @typedef {import("../../client/xinflight.js").Upload} Upload */
/** @typedef {import("../../client/xinflight.js").UploadOptions} UploadOptions */
/** @typedef {import("../../client/xinflight.js").XinflightError} XinflightError */
/** @typedef {(image: Blob, options: UploadOptions) => Promise<Upload>} Uploader */

/** Seconds before the server forgets an upload from which on it is uploaded again. */
const MARGIN = 600;

/** An image of this tab on its way to the server, or there already. */
export class Attachment {
  /** How much of it was sent, 0 to 1. */
  part = 0;
  /** Why it could not be sent. @type {XinflightError | null} */
  error = null;
  #image;
  #upload;
  #changed;
  #abort = new AbortController();
  /** @type {Upload | null} */
  #stored = null;
  /** @type {Promise<string> | null} */
  #sending = null;

  /**
   * Begin to upload an image.
   * @param {Blob} image
   * @param {Uploader} upload
   * @param {() => void} changed called after each change of `part`, `stored` and `error`
   */
  constructor(image, upload, changed) {
    this.#image = image;
    this.#upload = upload;
    this.#changed = changed;
    // Whoever calls `id` is told of a failure; until then it is in `error`.
    this.id().catch(() => {});
  }

  /** The id under which the server has it; null until then. */
  get stored() {
    return this.#stored?.upload_id ?? null;
  }

  get sending() {
    return this.#sending !== null;
  }

  /** Return the id once the server has the image; uploads it again if that failed, or was too long ago. */
  async id() {
    if (this.#stored && this.#stored.expires > Date.now() / 1000 + MARGIN) return this.#stored.upload_id;
    this.#sending ??= this.#send();
    return this.#sending;
  }

  /** Upload it again before its next use, since the server does not have it any more. */
  forget() {
    this.#stored = null;
  }

  /** Stop uploading; it is of no use any more. */
  drop() {
    this.#changed = () => {};
    this.#abort.abort();
  }

  async #send() {
    this.part = 0;
    this.error = null;
    try {
      this.#stored = await this.#upload(this.#image, { onProgress: (part) => this.#show(part), signal: this.#abort.signal });
      return this.#stored.upload_id;
    } catch (error) {
      this.error = /** @type {XinflightError} */ (error);
      throw error;
    } finally {
      this.#sending = null;
      this.#changed();
    }
  }

  /** @param {number} part */
  #show(part) {
    this.part = part;
    this.#changed();
  }
}

/** An image that the server has already: an output, or an upload of an earlier visit. */
export class StoredImage {
  part = 1;
  error = null;
  sending = false;
  stored;

  /** @param {string} id */
  constructor(id) {
    this.stored = id;
  }

  async id() {
    return this.stored;
  }

  forget() {}

  drop() {}
}
