// @ts-check
import { keep, readKept } from "./storage.js";

/** @typedef {import("../../client/xinflight.js").ChatParams} ChatParams */
/** @typedef {import("../../client/xinflight.js").GenerateParams} GenerateParams */
/** @typedef {import("../../client/xinflight.js").Xinflight} Xinflight */

/**
 * Save requests that the server has not acknowledged yet, and send them again after a reload, once the server has named
 * their owner again: another user of this tab never sees them. The same `task_id` makes the server start each of them
 * once. Acknowledged tasks are stored by the server.
 * @param {Xinflight} client
 * @param {string} key distinguishes this server from others at the same origin
 */
export function remember(client, key) {
  const place = `xinflight.unacknowledged ${key}`;
  let { owner, requests } = kept(place);
  const save = () => {
    const unacknowledged = client.unfinished.filter(({ acknowledged }) => !acknowledged);
    const all = [...requests, ...unacknowledged.map(({ request }) => request)];
    keep(place, all.length ? { owner, requests: all } : null);
  };
  client.on("task", (task) => {
    if (task.acknowledged) return;
    save();
    task.on("acknowledged", save);
    task.on("end", save);
  });
  client.on("removed", save);
  client.on("welcome", (welcome) => {
    const own = owner === null || owner === welcome.owner ? requests : [];
    owner = welcome.owner;
    requests = [];
    for (const request of own) {
      if ("messages" in request) client.chat(request);
      else client.generate(request);
    }
    save();
  });
}

/**
 * Return what was saved before the reload. An owner of null stands for requests that were made before the server named
 * one.
 * @param {string} place
 * @returns {{owner: string | null, requests: (GenerateParams | ChatParams)[]}}
 */
function kept(place) {
  const saved = /** @type {{owner?: unknown, requests?: unknown} | null} */ (readKept(place));
  return {
    owner: typeof saved?.owner === "string" ? saved.owner : null,
    requests: Array.isArray(saved?.requests) ? saved.requests : [],
  };
}
