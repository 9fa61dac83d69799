// @ts-check

/** @typedef {import("./protocol.js").GenerateParams} GenerateParams */
/** @typedef {import("./xinflight.js").Xinflight} Xinflight */

/**
 * Keep the unfinished generations of this tab over a reload: their requests are sent again under the same ids, which
 * attaches to them. Only while the server's store is the same one: another knows nothing of them, and would start them
 * anew.
 * @param {Xinflight} client
 * @param {string} key what tells this server from others at the same origin
 */
export function remember(client, key) {
  const place = `xinflight.unfinished ${key}`;
  const kept = read(place);
  let restored = false;
  const save = () => {
    const { epoch } = client.welcome ?? {};
    if (restored && epoch) write(place, { epoch, requests: client.unfinished.map(({ request }) => request) });
  };
  client.on("task", (task) => {
    save();
    task.on("end", save);
  });
  client.on("welcome", ({ epoch }) => {
    if (!restored && kept.epoch === epoch) {
      const known = new Set(client.unfinished.map(({ id }) => id));
      kept.requests.filter(({ task_id }) => !known.has(task_id ?? "")).forEach((request) => client.generate(request));
    }
    restored = true;
    save();
  });
}

/** @param {string} place @returns {{epoch: string, requests: GenerateParams[]}} */
function read(place) {
  try {
    return JSON.parse(sessionStorage.getItem(place) ?? "") ?? { epoch: "", requests: [] };
  } catch {
    return { epoch: "", requests: [] };
  }
}

/** @param {string} place @param {{epoch: string, requests: GenerateParams[]}} kept */
function write(place, kept) {
  try {
    sessionStorage.setItem(place, JSON.stringify(kept));
  } catch {
    // Storage may be switched off or full; then a reload loses sight of what runs, the server still finishes it.
  }
}
