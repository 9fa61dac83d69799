// @ts-check
// Opens the page while its server is away. The page is asked for on the network first, always; what is kept is the
// page itself and the files of its version: never an answer of the API, and never anything that belongs to a person.

const worker = /** @type {ServiceWorkerGlobalScope} */ (/** @type {unknown} */ (self));

/** The files of this version, and the page: this script is at `<page>assets/<version>/worker.js`. */
const FILES = new URL("./", location.href).href;
const PAGE = new URL("../../", location.href).href;
/** Several gateways of one origin have pages of their own, and an origin has one store. */
const FAMILY = `xinflight ${PAGE} `;
const CACHE = FAMILY + FILES;
/** What a proxy says for a server that is not there. */
const AWAY = [502, 503, 504];

worker.addEventListener("install", (event) => {
  event.waitUntil(keep().then(() => worker.skipWaiting()));
});

worker.addEventListener("activate", (event) => {
  event.waitUntil(begin());
});

worker.addEventListener("message", (event) => {
  // The page has changed its language or its colours.
  event.waitUntil(keep());
});

worker.addEventListener("fetch", (event) => {
  const { mode, method, url } = event.request;
  const { href } = Object.assign(new URL(url), { search: "", hash: "" });
  if (mode === "navigate") {
    if (href === PAGE) event.respondWith(open(event));
  } else if (method === "GET" && url.startsWith(FILES)) event.respondWith(file(event.request));
});

/** Keep the page and all files of its version. Rejects if the server is away, or has another version by now. */
async function keep() {
  // The server renders another variant for a worker, and in the browser's cache it would take the place of the one that
  // the next visit only has to revalidate.
  const page = await fetch(PAGE, { cache: "no-store" });
  const files = await fetch(`${FILES}files.json`);
  const html = await page.clone().text();
  if (!page.ok || !files.ok || !html.includes(FILES.slice(PAGE.length))) throw new Error("another version is served");
  const cache = await caches.open(CACHE);
  await cache.addAll((await files.json()).map((/** @type {string} */ name) => FILES + name));
  await cache.put(PAGE, page);
}

async function begin() {
  for (const name of await caches.keys()) {
    if (name.startsWith(FAMILY) && name !== CACHE) await caches.delete(name);
  }
  // The browser's own request for the page says where it comes from, as the server has to know; ours would not.
  await worker.registration.navigationPreload?.enable();
}

/** @param {FetchEvent} event */
async function open(event) {
  const kept = () => caches.match(PAGE, { cacheName: CACHE, ignoreVary: true });
  try {
    const response = /** @type {Response | undefined} */ (await event.preloadResponse) ?? (await fetch(event.request.url));
    return AWAY.includes(response.status) ? (await kept()) ?? response : response;
  } catch {
    return (await kept()) ?? Response.error();
  }
}

/** @param {Request} request */
async function file(request) {
  return (await caches.match(request.url, { cacheName: CACHE, ignoreVary: true })) ?? fetch(request);
}
