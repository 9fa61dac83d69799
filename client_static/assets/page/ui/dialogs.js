// @ts-check
import { fillWords } from "../../words/words.js";
import { loadStyle } from "./style.js";

/** @type {Promise<void> | null} */
let loading = null;

/** Load the dialogs, which the page comes without, and their style, once. Rejects if they can't be loaded. */
export function loadDialogs() {
  loading ??= append().catch((error) => {
    loading = null;
    throw error;
  });
  return loading;
}

async function append() {
  const [{ body }] = await Promise.all([fetchHtml("../../dialogs.html"), loadStyle("view.css")]);
  fillWords(body);
  document.body.append(...body.children);
}

/**
 * Load a document. The policy of the page refuses to make one of a text.
 * @param {string} path
 * @returns {Promise<Document>}
 */
function fetchHtml(path) {
  const request = new XMLHttpRequest();
  request.open("GET", new URL(path, import.meta.url));
  request.responseType = "document";
  return new Promise((resolve, reject) => {
    request.addEventListener("loadend", () =>
      request.status === 200 && request.response ? resolve(request.response) : reject(new Error(`${path} could not be loaded`)),
    );
    request.send();
  });
}
