// @ts-check
import { effect } from "../../vendor/signals-core/signals-core.js";
import { onLang, plural, sentences, t } from "../../words/words.js";
import { keepLocal, readLocal } from "../store/storage.js";
import { byId, showText } from "../ui/dom.js";

/** @typedef {import("../store/store.js").Store} Store */

/** The two notes of the sound, in hertz, and how long each of them is, in seconds. */
const NOTES = [660, 880];
const NOTE = 0.16;
/** Where the choices are remembered until the server tells the owner's; the permission to notify is this browser's. */
const NOTIFY = "xinflight.bell_notify";
const SOUND = "xinflight.bell_sound";

/** What a person chose, also on another device. @typedef {Pick<import("../../client/xinflight.js").Preferences, "notifications" | "sound">} Wanted */

/** What tells people who look elsewhere that everything is done: a notification of the browser, and a sound. */
export class Bell {
  #notify = byId("bell-notify", HTMLInputElement);
  #sound = byId("bell-sound", HTMLInputElement);
  #problem = byId("bell-problem", HTMLElement);
  #button = byId("bell", HTMLButtonElement);
  /** @type {AudioContext | null} made by a click: browsers let a page sound only after one */
  #audio = null;
  /** What ended since the last time that nothing was in flight. */
  #ready = 0;
  #failed = 0;
  #was = 0;
  #chosen;

  /**
   * @param {Store} store
   * @param {(wanted: Wanted) => void} chosen called after each choice
   */
  constructor(store, chosen) {
    this.#chosen = chosen;
    this.#notify.checked = readLocal(NOTIFY) === true && globalThis.Notification?.permission === "granted";
    this.#sound.checked = readLocal(SOUND) === true;
    this.#notify.addEventListener("change", () => this.#allow());
    this.#sound.addEventListener("change", () => {
      if (this.#sound.checked) this.#play();
      this.#keep();
      chosen({ sound: this.#sound.checked });
    });
    effect(() => {
      const { left } = store.overall.value;
      const done = left === 0 && this.#was > 0;
      this.#was = left;
      if (done) this.#ring();
    });
    onLang(() => this.#render());
    this.#render();
  }

  /** Count an output that ended. @param {"ready" | "failed"} what */
  count(what) {
    if (what === "ready") this.#ready += 1;
    else this.#failed += 1;
  }

  async #allow() {
    const wanted = this.#notify.checked;
    const answer = wanted ? await globalThis.Notification?.requestPermission() : "granted";
    this.#notify.checked = wanted && answer === "granted";
    showText(this.#problem, wanted && answer !== "granted" ? t("bell.refused") : "");
    this.#keep();
    if (this.#notify.checked === wanted) this.#chosen({ notifications: wanted });
  }

  #keep() {
    keepLocal(NOTIFY, this.#notify.checked || null);
    keepLocal(SOUND, this.#sound.checked || null);
    this.#render();
  }

  /**
   * Do what the owner has chosen on another device; without this browser's permission, nothing is notified here.
   * @param {Wanted} wanted
   */
  follow({ notifications = this.#notify.checked, sound = this.#sound.checked }) {
    this.#notify.checked = notifications && globalThis.Notification?.permission === "granted";
    this.#sound.checked = sound;
    this.#keep();
  }

  /** Turn both off: they were another person's. */
  clear() {
    this.follow({ notifications: false, sound: false });
  }

  #ring() {
    const [ready, failed] = [this.#ready, this.#failed];
    this.#ready = this.#failed = 0;
    // Of what was only cancelled, its owner knows.
    if (ready + failed === 0) return;
    if (this.#sound.checked) this.#play();
    if (!this.#notify.checked || !document.hidden) return;
    const parts = [ready && plural("bell.ready", ready), failed && plural("bell.failed", failed)];
    notify(sentences(parts));
  }

  #play() {
    this.#audio ??= new AudioContext();
    const { currentTime, destination } = this.#audio;
    for (const [at, frequency] of NOTES.entries()) {
      const begin = currentTime + at * NOTE;
      const tone = new OscillatorNode(this.#audio, { type: "sine", frequency });
      const volume = new GainNode(this.#audio, { gain: 0.12 });
      volume.gain.setTargetAtTime(0, begin + NOTE / 2, NOTE / 4);
      tone.connect(volume).connect(destination);
      tone.start(begin);
      tone.stop(begin + 2 * NOTE);
    }
  }

  #render() {
    const on = this.#notify.checked || this.#sound.checked;
    this.#button.dataset.on = String(on);
    this.#button.title = this.#button.ariaLabel = t(on ? "bell.on" : "bell.off");
  }
}

/**
 * Show a notification of the browser. On Android only a service worker can; without one there is none.
 * @param {string} body
 */
async function notify(body) {
  const options = { body, tag: "xinflight" };
  const worker = await navigator.serviceWorker?.getRegistration();
  if (worker?.active) {
    await worker.showNotification("xinflight", options);
    return;
  }
  try {
    const note = new Notification("xinflight", options);
    note.addEventListener("click", () => {
      globalThis.focus();
      note.close();
    });
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
  }
}
