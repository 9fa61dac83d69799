// @ts-check
import { computed, signal } from "../vendor/signals-core/signals-core.js";
import { loadLaterWords, t } from "../words/words.js";
import { Announcer } from "./status/announcer.js";
import { StatusBar } from "./status/status.js";
import { byId } from "./ui/dom.js";
import { loadDialogs } from "./ui/dialogs.js";
import { Toasts } from "./ui/toasts.js";

/** @typedef {import("../client/xinflight.js").Preferences} Preferences */
/** @typedef {import("../client/xinflight.js").Xinflight} Xinflight */

/**
 * A part of the page that is not loaded with it: the function loads it at its first call, and returns the same part at
 * later ones. It resolves to null, which is told, if the part can't be loaded; the next call tries again.
 * @template T
 * @typedef {() => Promise<T | null>} Lazy
 */

/** What all parts of the page share: the client, the ways to tell something, and how parts are loaded that come later. */
export class Page {
  client;
  /** Distinguishes this server from others at the same origin. */
  key;
  announcer = new Announcer();
  toasts = new Toasts(() => byId("prompt", HTMLTextAreaElement));
  status;
  /** The id of the model that the dock asks for; empty while there is none. */
  model = signal("");
  /** The id of the model that the chat asks; empty while the chat is not shown. */
  chatModel = signal("");
  /** Whether the address was changed since the page was opened, so that going back stays on the page. */
  entered = false;
  /** What the button does that asks for a token. */
  signIn = () => {};
  /** @type {(() => void)[]} */
  #leaving = [];
  /** @type {Lazy<unknown>[]} */
  #later = [];
  /** @type {((preferences: Preferences, first: boolean) => void)[]} */
  #following = [];

  /**
   * @param {Xinflight} client
   * @param {string} key
   */
  constructor(client, key) {
    this.client = client;
    this.key = key;
    const say = (/** @type {string} */ text) => this.announcer.say(text);
    const model = computed(() => this.chatModel.value || this.model.value);
    this.status = new StatusBar(client, model, { signIn: () => this.signIn(), say });
    this.onLeave(() => this.announcer.clear());
    this.onLeave(() => this.status.clear());
    this.onLeave(() => this.toasts.clear());
    addEventListener("hashchange", () => (this.entered = true));
    this.later(this.#preferences);
    const stop = client.on("status", ({ state }) => {
      if (state === "connecting") return;
      stop();
      // Not before what this connection brought is shown.
      setTimeout(() => this.#loadRest());
    });
  }

  /** Tell of a request that failed. @param {{code: string, message?: string, limit?: string}} error */
  problem = (error) => this.status.complain(error);

  /**
   * Call a function when somebody else is here: it removes what belongs to the former owner, who must not be seen.
   * @param {() => void} clear
   */
  onLeave(clear) {
    this.#leaving.push(clear);
  }

  /** Remove what belongs to a person who is not here any more. */
  leave() {
    for (const clear of this.#leaving) clear();
  }

  /**
   * Ask before something is deleted. Resolves to true if the person confirmed it.
   * @param {string} title
   * @param {string} text
   */
  async mayDelete(title, text) {
    const confirm = await this.#confirm();
    return confirm !== null && confirm.ask(title, text);
  }

  /**
   * Return a function that loads a part at its first use, after the texts that the page came without.
   * @template T
   * @param {() => Promise<T>} load imports the module of the part, and makes it
   * @returns {Lazy<T>}
   */
  lazy = (load) => {
    /** @type {Promise<T | null> | null} */
    let loading = null;
    const failed = (/** @type {unknown} */ error) => {
      loading = null;
      reportError(error);
      this.toasts.show(t("page.part_failed"), { label: t("page.load_again"), act: () => location.reload() });
      return null;
    };
    return () => (loading ??= loadLaterWords().then(load).catch(failed));
  };

  #preferences = this.lazy(async () => {
    const { OwnPreferences } = await import("./store/preferences.js");
    const own = new OwnPreferences(this.client, this.key, {
      follow: (preferences, first) => this.#following.forEach((follow) => follow(preferences, first)),
      problem: this.problem,
    });
    this.onLeave(() => own.clear());
    return own;
  });

  /**
   * Store a choice for all devices of the owner.
   * @param {Preferences} change
   * @param {number} [after] milliseconds, within which another choice takes its place
   */
  choose = async (change, after) => (await this.#preferences())?.choose(change, after);

  /**
   * Call a function with what the owner has chosen, here or on another device, and whether that is known for the first
   * time.
   * @param {(preferences: Preferences, first: boolean) => void} follow
   */
  onPreferences(follow) {
    this.#following.push(follow);
  }

  #confirm = this.lazy(async () => {
    const [{ Confirm }] = await Promise.all([import("./ui/confirm.js"), loadDialogs()]);
    const confirm = new Confirm();
    this.onLeave(() => confirm.close());
    return confirm;
  });

  /**
   * Load a part when the address names it, now or later. From then on the part follows the address by itself.
   * @param {string} prefix of what follows the page's address, like `#image=`
   * @param {Lazy<unknown>} part
   */
  at(prefix, part) {
    const look = () => void (location.hash.startsWith(prefix) && part());
    for (const name of ["hashchange", "popstate"]) addEventListener(name, look);
    look();
  }

  /**
   * Load a part that is not needed to ask for an image: once there is a connection, or none can be had yet.
   * @param {Lazy<unknown>} part
   */
  later(part) {
    this.#later.push(part);
  }

  async #loadRest() {
    await Promise.all(this.#later.map((part) => part()));
    document.documentElement.dataset.complete = "true";
  }
}
