// @ts-check
import { keep, readKept } from "./storage.js";

/** @typedef {import("../client/xinflight.js").GenerateParams} GenerateParams */
/** @typedef {import("../client/xinflight.js").Xinflight} Xinflight */

/**
 * Keep over a reload what the server has not yet said that it has: asked for again under the same id, it is started
 * once. All else of a generation is kept by the server.
 * @param {Xinflight} client
 * @param {string} key what tells this server from others at the same origin
 */
export function remember(client, key) {
  const place = `xinflight.untaken ${key}`;
  const kept = /** @type {GenerateParams[]} */ (readKept(place) ?? []);
  const save = () => {
    const untaken = client.unfinished.filter(({ taken }) => !taken);
    keep(place, untaken.map(({ request }) => request));
  };
  client.on("task", (task) => {
    if (task.taken) return;
    save();
    task.on("taken", save);
    task.on("end", save);
  });
  kept.forEach((request) => client.generate(request));
}
