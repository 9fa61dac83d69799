// @ts-check
import { isKey, plural, t } from "../../words/words.js";

/** @typedef {import("../../client/xinflight.js").Status} Status */
/** @typedef {import("../../client/xinflight.js").Upstream} Upstream */

/** The close code for missing, invalid or revoked credentials. */
const UNAUTHORISED = 4401;

/**
 * What the chip of the top bar depends on: the connection, the model server behind it, and what a reconnect brought.
 * @typedef {object} Line
 * @property {Status} status
 * @property {Upstream["state"]} upstream `ready` until the server has told
 * @property {string} model what the dock asks for; empty if there is none
 * @property {boolean} restarting whether the server said that it restarts
 * @property {string} news told in place of `ready` for a while; empty if there is none
 */

/** Whether the server asks for other credentials, or this person has signed out. @param {Status} status */
export function isSignedOut({ state, code }) {
  return state === "given_up" && (code === undefined || code === UNAUTHORISED);
}

/**
 * How bad it is: `good` while images are made, `wait` while that is being mended by itself, `bad` if somebody has to act.
 * @param {Pick<Line, "status" | "upstream">} line
 * @returns {"good" | "wait" | "bad"}
 */
export function healthOf({ status: { state }, upstream }) {
  if (state !== "live") return state === "given_up" ? "bad" : "wait";
  if (upstream === "ready") return "good";
  return upstream === "loading" ? "wait" : "bad";
}

/**
 * Say in a few words how things stand: of the connection while there is none, then of the model server, then of the model.
 * @param {Line} line
 */
export function lineText({ status, upstream, model, restarting, news }) {
  const { state, seconds = 0 } = status;
  if (state !== "live") {
    const away = isSignedOut(status) ? "signed_out" : state === "reconnecting" && restarting ? "restarting" : state;
    const key = `connection.${away}`;
    return t(isKey(key) ? key : "connection.connecting", { n: seconds });
  }
  const key = `line.${upstream}`;
  if (upstream !== "ready" && isKey(key)) return t(key);
  return news || (model ? t("line.ready", { model }) : t("connection.live"));
}

/**
 * Say what a reconnect brought.
 * @param {number | null} events number of missed events; null if unknown because of a gap
 */
export function caughtUpText(events) {
  if (events === null) return t("connection.reloaded");
  return events === 0 ? t("connection.resumed_none") : plural("connection.resumed", events);
}

/** Say why the server closed the connection for good. @param {number} code */
export function closeWhy(code) {
  const key = `close.${code}`;
  return isKey(key) ? t(key) : t("close.other", { code });
}
