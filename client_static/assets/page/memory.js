// @ts-check
import { keep, readKept } from "./storage.js";

/** @typedef {import("../client/xinflight.js").GenerateParams} GenerateParams */
/** @typedef {import("../client/xinflight.js").Xinflight} Xinflight */

/**
 * Save requests that the server has not acknowledged yet, and send them again after a reload. The same `task_id` makes
 * the server start each of them once. Acknowledged tasks are stored by the server.
 * @param {Xinflight} client
 * @param {string} key distinguishes this server from others at the same origin
 */
export function remember(client, key) {
  const place = `xinflight.unacknowledged ${key}`;
  const kept = /** @type {GenerateParams[]} */ (readKept(place) ?? []);
  const save = () => {
    const unacknowledged = client.unfinished.filter(({ acknowledged }) => !acknowledged);
    keep(place, unacknowledged.map(({ request }) => request));
  };
  client.on("task", (task) => {
    if (task.acknowledged) return;
    save();
    task.on("acknowledged", save);
    task.on("end", save);
  });
  kept.forEach((request) => client.generate(request));
}
