// @ts-check
/** @typedef {{ createScriptURL(url: string): string }} Policy */
/** @typedef {{ createPolicy(name: string, rules: { createScriptURL(url: string): string }): Policy }} PolicyFactory */

const WORKER = new URL("../../worker.js", import.meta.url).href;
let asked = false;

/**
 * Let the page open while its server is away: register the service worker, which keeps the page and its files.
 * Nothing happens where browsers have none: without TLS on another machine, and in some private windows.
 */
export function keepShell() {
  if (asked) return;
  asked = true;
  const { trustedTypes } = /** @type {{ trustedTypes?: PolicyFactory }} */ (/** @type {unknown} */ (window));
  const url = trustedTypes?.createPolicy("xinflight-worker", { createScriptURL: () => WORKER }).createScriptURL("");
  const scope = new URL(".", location.href).pathname;
  navigator.serviceWorker?.register(url ?? WORKER, { scope }).catch(() => {});
}

/** Let the service worker keep the page as it is rendered now. */
export function renewShell() {
  navigator.serviceWorker?.getRegistration().then((registration) => registration?.active?.postMessage("renew"));
}
