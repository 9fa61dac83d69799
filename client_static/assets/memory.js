// @ts-check

/** @typedef {import("./protocol.js").GenerateParams} GenerateParams */
/** @typedef {import("./xinflight.js").Xinflight} Xinflight */

/**
 * Keep over a reload what the server has not yet said that it has: asked for again under the same id, it is started
 * once. All else of a generation is kept by the server.
 * @param {Xinflight} client
 * @param {string} key what tells this server from others at the same origin
 */
export function remember(client, key) {
  const place = `xinflight.untaken ${key}`;
  const kept = read(place);
  const save = () => {
    const untaken = client.unfinished.filter(({ taken }) => !taken);
    write(place, untaken.map(({ request }) => request));
  };
  client.on("task", (task) => {
    if (task.taken) return;
    save();
    task.on("taken", save);
    task.on("end", save);
  });
  kept.forEach((request) => client.generate(request));
}

/** @param {string} place @returns {GenerateParams[]} */
function read(place) {
  try {
    return JSON.parse(sessionStorage.getItem(place) ?? "[]");
  } catch {
    return [];
  }
}

/** @param {string} place @param {GenerateParams[]} kept */
function write(place, kept) {
  try {
    sessionStorage.setItem(place, JSON.stringify(kept));
  } catch {
    // Storage may be switched off or full; then a reload loses what was not sent yet.
  }
}
