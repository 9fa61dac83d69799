import { URL } from "node:url";

/** A WebSocket without a network: a test opens it, speaks for the server, and reads what the client sent. */
export class FakeSocket {
  static OPEN = 1;
  /** Every socket made since `FakeSocket.install`, the newest last. @type {FakeSocket[]} */
  static made = [];
  readyState = 0;
  sent = [];

  constructor(url) {
    this.url = new URL(url);
    FakeSocket.made.push(this);
  }

  static install() {
    FakeSocket.made = [];
    globalThis.WebSocket = FakeSocket;
  }

  static get last() {
    return FakeSocket.made.at(-1);
  }

  send(text) {
    this.sent.push(JSON.parse(text));
  }

  /** The client closes it. */
  close() {
    this.readyState = 3;
  }

  open() {
    this.readyState = 1;
    this.onopen?.();
  }

  /** The server says something. */
  say(message) {
    this.onmessage?.({ data: JSON.stringify(message) });
  }

  /** The server closes it. */
  end(code, reason = "") {
    this.readyState = 3;
    this.onclose?.({ code, reason });
  }

  welcome(owner, fields) {
    const upstream = { state: "ready", message: "", cure: "" };
    const limits = { frame_bytes: 65536 };
    const rest = { epoch: "e", cursor: "e:0", heartbeat: 25, limits, models: [], upstream };
    this.say({ type: "welcome", connection_id: "c", owner, ...rest, ...fields });
  }
}

/** Let everything that is only waiting for promises go on. */
export async function settled() {
  for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
}
