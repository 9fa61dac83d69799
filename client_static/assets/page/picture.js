// @ts-check

/** The longer side of a thumbnail in pixels: enough to paint a mask over it, and small enough for the tab's storage. */
const THUMBNAIL = 640;

/**
 * Load an image. Rejects if the browser can't show it.
 * @param {string} url
 */
export async function loadPicture(url) {
  const picture = new Image();
  picture.src = url;
  await picture.decode();
  return picture;
}

/** Return a small copy of an image of this tab as a data URL. @param {HTMLImageElement} picture */
export function thumbnail(picture) {
  const { naturalWidth: width, naturalHeight: height } = picture;
  const scale = Math.min(1, THUMBNAIL / Math.max(width, height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(width * scale));
  canvas.height = Math.max(1, Math.round(height * scale));
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  // JPEG has no transparency; without a ground it becomes black.
  context.fillStyle = "#fff";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(picture, 0, 0, canvas.width, canvas.height);
  return canvas.toDataURL("image/jpeg", 0.8);
}

/**
 * Return an address from which a saved thumbnail can be loaded: the policy of the page allows no data URLs.
 * @param {string} saved a data URL, or the address of an output
 */
export function addressOf(saved) {
  const [head = "", data] = saved.split(";base64,");
  if (!head.startsWith("data:") || data === undefined) return saved;
  const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
  return URL.createObjectURL(new Blob([bytes], { type: head.slice("data:".length) }));
}
