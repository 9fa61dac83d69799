// @ts-check

/** @typedef {import("../../client/xinflight.js").OutputRef} OutputRef */

/** The longer side of a poster, in pixels: as that of a thumbnail. */
const SIDE = 512;
/** Posters that are kept although nothing shows them: as many as one scrolls back over, with some 20 KB each. */
const SPARE = 24;

/** A poster that is shown: its address, null if it can't be drawn; `release` is called when it is shown no more. @typedef {{url: Promise<string | null>, release: () => void}} Held */

/**
 * First frames of videos as images, drawn by the browser and kept as long as they are shown, and a few beyond that: the sheet
 * loads each video once, and shows it without a player.
 */
export class Posters {
  /** @type {Map<string, {url: Promise<string | null>, users: number}>} by output id, the one used last at the end */
  #kept = new Map();
  /** Videos are loaded one after the other: a player for each of many tiles would be in the way of the images. */
  #last = Promise.resolve();
  #draw;

  /** @param {(url: string) => Promise<string | null>} [draw] returns the address of a video's first frame, null if it has none */
  constructor(draw = firstFrame) {
    this.#draw = draw;
  }

  /**
   * Return a video's poster. It is null if it can't be drawn: the video did not come, or is of another origin.
   * @param {OutputRef} output
   * @returns {Held}
   */
  hold({ output_id: id, url }) {
    // What was released before its turn came is not loaded.
    const draws = () => (held.users > 0 ? this.#draw(url) : Promise.resolve(null));
    /** @type {{url: Promise<string | null>, users: number}} */
    const held = this.#kept.get(id) ?? { url: this.#next(() => draws()), users: 0 };
    held.users += 1;
    this.#kept.delete(id);
    this.#kept.set(id, held);
    // One that did not come may come when it is asked for again.
    held.url.then((poster) => poster ?? (this.#kept.get(id) === held && this.#kept.delete(id)));
    let released = false;
    return {
      url: held.url,
      release: () => {
        if (released) return;
        released = true;
        held.users -= 1;
        this.#thin();
      },
    };
  }

  /** Forget all of them, because they belong to another person. */
  clear() {
    for (const id of [...this.#kept.keys()]) this.#drop(id);
  }

  #thin() {
    const spare = [...this.#kept].filter(([, { users }]) => users === 0);
    for (const [id] of spare.slice(0, -SPARE)) this.#drop(id);
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
    const held = this.#kept.get(id);
    this.#kept.delete(id);
    const url = await held?.url;
    if (url) URL.revokeObjectURL(url);
  }
}

/** @param {string} url @returns {Promise<string | null>} */
async function firstFrame(url) {
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
