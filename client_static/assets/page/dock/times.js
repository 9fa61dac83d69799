// @ts-check
import { keepLocal, readLocal } from "../store/storage.js";
import { RunTimes } from "./run_times.js";

/** @typedef {import("../../client/xinflight.js").Xinflight} Xinflight */

/**
 * Learn from all tasks how long outputs take, and remember it in this browser.
 * @param {Xinflight} client
 * @param {string} key distinguishes this server from others at the same origin
 * @param {() => void} news called when something new is known
 */
export function learnTimes(client, key, news) {
  const place = `xinflight.times ${key}`;
  const times = new RunTimes(readLocal(place));
  client.on("task", (task) => {
    task.on("event", (event) => {
      if (!times.take(task, event, performance.now())) return;
      keepLocal(place, times.saved);
      news();
    });
  });
  return times;
}
