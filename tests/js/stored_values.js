import { Emitter } from "../../client_static/assets/client/emitter.js";
import { settled } from "./fake_socket.js";

/** A client whose server keeps something of a person by that name, and answers each request when it is let. */
export class StoredValues extends Emitter {
  status = { state: "connecting" };
  welcome = null;
  asked = [];
  #answers = [];

  #name;

  /**
   * @param {string} name
   * @param {string} method of the client's library
   */
  constructor(name, method) {
    super();
    this.#name = name;
    this.library = {
      [method]: (change) => {
        this.asked.push(change);
        return new Promise((resolve, reject) => this.#answers.push({ resolve, reject }));
      },
    };
  }

  async answer(version, value) {
    this.#answers.shift().resolve({ version, [this.#name]: value });
    await settled();
  }

  async refuse(code) {
    this.#answers.shift().reject({ code });
    await settled();
  }

  async greet(owner) {
    this.status = { state: "live" };
    this.welcome = { owner };
    this.emit("welcome", this.welcome);
    await settled();
  }

  async notify(version) {
    this.emit("notice", { kind: this.#name, version });
    await settled();
  }
}
