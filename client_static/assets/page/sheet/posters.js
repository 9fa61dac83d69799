// @ts-check

/** @typedef {import("../../client/xinflight.js").OutputRef} OutputRef */

/** The longer side of a poster, in pixels: as that of a thumbnail. */
const SIDE = 512;
/** The most posters that are kept: with some 20 KB each a few megabytes. */
const MOST = 200;

/**
 * First frames of videos as images, drawn by the browser and kept as long as the page is open: the sheet then loads each
 * video once, and shows it without a player.
 */
export class Posters {
  /** @type {Map<string, Promise<string | null>>} by output id, the one used last at the end */
  #kept = new Map();
  /** Videos are loaded one after the other: a player for each of many tiles would be in the way of the images. */
  #last = Promise.resolve();

  /**
   * Return the address of a video's poster; null if it can't be drawn: the video did not come, or is of another origin.
   * @param {OutputRef} output
   * @returns {Promise<string | null>}
   */
  of({ output_id: id, url }) {
    const known = this.#kept.get(id) ?? this.#next(() => draw(url));
    this.#kept.delete(id);
    this.#kept.set(id, known);
    for (const old of [...this.#kept.keys()].slice(0, -MOST)) this.#drop(old);
    // One that did not come may come when it is asked for again.
    known.then((poster) => poster ?? this.#kept.delete(id));
    return known;
  }

  /** Forget all of them, because they belong to another person. */
  clear() {
    for (const id of [...this.#kept.keys()]) this.#drop(id);
  }

  /**
   * @template T
   * @param {() => Promise<T>} work
   * @returns {Promise<T>}
   */
  #next(work) {
    const done = this.#last.then(work);
    this.#last = done.then(() => {});
    return done;
  }

  /** @param {string} id */
  async #drop(id) {
    const poster = this.#kept.get(id);
    this.#kept.delete(id);
    const url = await poster;
    if (url) URL.revokeObjectURL(url);
  }
}

/** @param {string} url @returns {Promise<string | null>} */
async function draw(url) {
  const video = document.createElement("video");
  video.muted = true;
  video.preload = "auto";
  try {
    const shown = new Promise((resolve, reject) => {
      video.addEventListener("loadeddata", resolve);
      video.addEventListener("error", reject);
    });
    video.src = url;
    await shown;
    const { videoWidth: width, videoHeight: height } = video;
    const scale = Math.min(1, SIDE / Math.max(width, height));
    const canvas = new OffscreenCanvas(Math.round(width * scale), Math.round(height * scale));
    canvas.getContext("2d")?.drawImage(video, 0, 0, canvas.width, canvas.height);
    return URL.createObjectURL(await canvas.convertToBlob({ type: "image/webp", quality: 0.8 }));
  } catch {
    return null;
  } finally {
    // Else the browser would go on loading it.
    video.removeAttribute("src");
    video.load();
  }
}
