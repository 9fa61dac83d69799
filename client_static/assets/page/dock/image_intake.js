// @ts-check
import { byId } from "../ui/dom.js";

/**
 * The three ways in which somebody brings an image: a file dialog, a drop anywhere on the page, and a paste.
 * @param {() => boolean} wanted whether an image can be used now; where not, a dropped file still must not replace the page
 * @param {(image: File) => void} take
 */
export function takeImages(wanted, take) {
  const input = byId("image-file", HTMLInputElement);
  const area = byId("form", HTMLFormElement);
  byId("image", HTMLButtonElement).addEventListener("click", () => input.click());
  input.addEventListener("change", () => {
    const [file] = input.files ?? [];
    // Otherwise the same file could not be chosen again.
    input.value = "";
    if (file) take(file);
  });
  addEventListener("dragover", (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = wanted() ? "copy" : "none";
    area.classList.toggle("dropping", wanted());
  });
  addEventListener("dragleave", (event) => {
    if (event.relatedTarget === null) area.classList.remove("dropping");
  });
  addEventListener("drop", (event) => {
    area.classList.remove("dropping");
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    const file = imageIn(event.dataTransfer.files);
    if (file && wanted()) take(file);
  });
  document.addEventListener("paste", (event) => {
    const file = imageIn(event.clipboardData?.files ?? []);
    // Copied from a document, text comes with a picture of itself.
    if (!file || event.clipboardData?.types.includes("text/plain") || !wanted()) return;
    event.preventDefault();
    take(file);
  });
}

/** @param {Iterable<File>} files */
function imageIn(files) {
  const all = [...files];
  return all.find(({ type }) => type.startsWith("image/")) ?? all[0];
}
