// @ts-check
import { keep, readKept } from "./storage.js";

/** @typedef {import("../../client/xinflight.js").ChatParams} ChatParams */
/** @typedef {import("../../client/xinflight.js").GenerateParams} GenerateParams */
/** @typedef {import("../../client/xinflight.js").Xinflight} Xinflight */

/** A cancel of a task, or of one of its outputs. @typedef {{taskId: string, index: number | null}} Cancel */
/** @typedef {{owner: string | null, requests: (GenerateParams | ChatParams)[], cancels: Cancel[]}} Kept */

/**
 * Save requests that the server has not acknowledged yet, and cancels of what has not ended, and send them again after a
 * reload, once the server has named their owner again: another user of this tab never sees them. The same `task_id` makes
 * the server start each of them once, and a cancel may be repeated. Acknowledged tasks are stored by the server.
 * @param {Xinflight} client
 * @param {string} key distinguishes this server from others at the same origin
 */
export function remember(client, key) {
  const place = `xinflight.unacknowledged ${key}`;
  let { owner, requests, cancels } = kept(place);
  const save = () => {
    const unacknowledged = client.unfinished.filter(({ acknowledged }) => !acknowledged);
    const requested = [...requests, ...unacknowledged.map(({ request }) => request)];
    const cancelled = [...cancels, ...client.unfinished.flatMap(cancelsOf)];
    const any = requested.length > 0 || cancelled.length > 0;
    keep(place, any ? { owner, requests: requested, cancels: cancelled } : null);
  };
  let saving = false;
  // All of a queue may be cancelled at once: that is saved once.
  const saveSoon = () => {
    if (saving) return;
    saving = true;
    queueMicrotask(() => {
      saving = false;
      save();
    });
  };
  client.on("task", (task) => {
    if (task.end) return;
    task.on("cancelling", () => {
      saveSoon();
      task.on("end", saveSoon);
      task.on("cancelRefused", saveSoon);
    });
    if (task.acknowledged) return;
    save();
    task.on("acknowledged", save);
    task.on("end", save);
  });
  client.on("removed", saveSoon);
  client.on("welcome", (welcome) => {
    const own = owner === null || owner === welcome.owner;
    const again = own ? requests : [];
    if (!own) cancels = [];
    owner = welcome.owner;
    requests = [];
    for (const request of again) {
      if ("messages" in request) client.chat(request);
      else client.generate(request);
    }
    save();
  });
  // By now all that has not ended is known.
  client.on("history", () => {
    for (const { taskId, index } of cancels.splice(0)) client.cancel(taskId, index === null ? {} : { index });
    saveSoon();
  });
}

/** @param {import("../../client/xinflight.js").Task} task @returns {Cancel[]} */
function cancelsOf({ id, wanted }) {
  return [...wanted].map((index) => ({ taskId: id, index }));
}

/**
 * Return what was saved before the reload. An owner of null stands for requests that were made before the server named
 * one.
 * @param {string} place
 * @returns {Kept}
 */
function kept(place) {
  const saved = /** @type {Partial<Record<keyof Kept, unknown>> | null} */ (readKept(place));
  return {
    owner: typeof saved?.owner === "string" ? saved.owner : null,
    requests: Array.isArray(saved?.requests) ? saved.requests : [],
    cancels: Array.isArray(saved?.cancels) ? saved.cancels : [],
  };
}
