/** Messages of the wire with everything that a test does not care about filled in. */

export const PARAMS = Object.freeze({ prompt: "a boat", model: "painter", n: 3, size: "64x64", seed: 7 });

/** A task as a list tells it. */
export function info(fields) {
  return { task_id: "t", state: "queued", created: 100, params: PARAMS, ...fields };
}

export function output(index) {
  const media_type = "image/jpeg";
  return { url: `http://localhost/outputs/${index}`, index, seed: 7 + index, width: 64, height: 64, bytes: 1, media_type };
}

export function progress(fields) {
  const { state = "running" } = fields;
  const step = state === "queued" ? "queued" : "generating";
  return { type: "progress", task_id: "t", index: 0, state, progress: 0, step, source: "upstream", ...fields };
}

export function accepted(fields) {
  return { type: "accepted", task_id: "t", params: PARAMS, timestamp: 100, ...fields };
}

export function result(fields) {
  return { type: "result", task_id: "t", data: { created: 1, data: [] }, ...fields };
}
