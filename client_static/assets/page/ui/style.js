// @ts-check

/** @type {Map<string, Promise<void>>} */
const loaded = new Map();

/**
 * Load the stylesheet of a part that is not there from the beginning, once. Rejects if it can't be loaded.
 * @param {string} name of a file in `styles`
 * @returns {Promise<void>}
 */
export function loadStyle(name) {
  const loading = loaded.get(name) ?? append(name);
  loaded.set(name, loading);
  return loading;
}

/** @param {string} name */
async function append(name) {
  const link = document.createElement("link");
  link.rel = "stylesheet";
  link.href = new URL(`../../styles/${name}`, import.meta.url).href;
  document.head.append(link);
  try {
    await new Promise((resolve, reject) => {
      link.addEventListener("load", resolve);
      link.addEventListener("error", reject);
    });
  } catch {
    link.remove();
    loaded.delete(name);
    throw new Error(`${name} could not be loaded`);
  }
}
