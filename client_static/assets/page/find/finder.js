// @ts-check
import { effect, signal } from "../../vendor/signals-core/signals-core.js";
import { html, nothing, render } from "../../vendor/lit-html/lit-html.js";
import { dayName, errorText, onLang, plural, t } from "../../words/words.js";
import { isChat } from "../store/chats.js";
import { byId } from "../ui/dom.js";
import { readBehind } from "../view/address.js";
import { Choices } from "./choices.js";
import { Results } from "./results.js";
import { addressOf, filters, isEmpty, meaningOf, readAddress } from "./search.js";

/** @typedef {import("../../client/xinflight.js").Task} Task */
/** @typedef {import("../../client/xinflight.js").XinflightError} XinflightError */
/** @typedef {import("../page.js").Page} Page */
/** @typedef {import("../store/generation_state.js").GenerationOutput} GenerationOutput */
/** @typedef {import("../store/store.js").Store} Store */
/** @typedef {import("./search.js").Only} Only */
/** @typedef {import("./search.js").Search} Search */

/** Milliseconds without a key press after which what is typed is looked for. */
const TYPED = 250;
/** How near the end of what was found comes before more is fetched. */
const AHEAD = "1200px";
/** @type {Search} */
const EVERYTHING = { text: "", only: "all" };

/**
 * Shows on the sheet what is looked for, and nothing else. The address says what that is, so that going back, a reload
 * and a link lead to it; other addresses, like that of an image, lie over it.
 */
export class Finder {
  #page;
  #store;
  #text = byId("find-text", HTMLInputElement);
  #work = byId("work", HTMLElement);
  #told = byId("found", HTMLElement);
  #more = byId("find-more", HTMLButtonElement);
  #choices;
  #results;
  #search = EVERYTHING;
  /** What is found so far; null before the first answer. `more`: whether there is more to fetch. */
  #state = signal(/** @type {{more: boolean} | null} */ (null));
  /** Why nothing can be found. */
  #problem = signal("");
  /** @type {number | null} the day that is looked for */
  #day = null;
  #announced = true;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /**
   * @param {Page} page
   * @param {Store} store
   */
  constructor(page, store) {
    this.#page = page;
    this.#store = store;
    const { client } = page;
    this.#results = new Results(client.library, (task) => !isChat(task) && task.request.store !== false, {
      show: (tasks, more) => this.#show(tasks, more),
      failed: (error) => this.#failed(error),
    });
    this.#choices = new Choices(page, store, {
      choose: (text) => this.#look({ ...this.#search, text }),
      filter: (only) => this.filter(only),
    });
    this.#text.addEventListener("input", () => this.#type());
    this.#text.addEventListener("keydown", (event) => this.#press(event));
    this.#more.addEventListener("click", () => this.#results.more());
    const near = new IntersectionObserver((entries) => {
      if (entries.at(-1)?.isIntersecting) this.#results.more();
    }, { rootMargin: AHEAD });
    effect(() => {
      this.#more.hidden = !this.#state.value?.more;
      // It tells once of what it sees, so what is still near after a page came is looked at anew.
      near.unobserve(this.#more);
      near.observe(this.#more);
    });
    effect(() => this.#tell());
    onLang(() => this.#tell());
    client.on("task", (task) => void task.on("end", () => this.#results.touched(task)));
    for (const task of client.unfinished) task.on("end", () => this.#results.touched(task));
    client.library.on("marked", ({ task }) => this.#results.touched(task));
    client.on("removed", (task) => this.#results.removed(task));
    client.on("status", ({ state }) => state === "live" && this.#results.again());
    client.on("resumed", () => this.#results.again());
    for (const name of ["hashchange", "popstate"]) addEventListener(name, () => this.#follow());
    this.#follow();
  }

  /** Show what can be chosen, because the field is used; look for what was typed before this was loaded. */
  begin() {
    if (this.#text.value !== this.#search.text) this.#type();
    else this.#choices.open(this.#text.value, this.#search.only);
  }

  /** Look at all images, whatever was looked for, or at those of them that are starred or failed. @param {Only} only */
  filter(only) {
    this.#look(only === "all" ? EVERYTHING : { text: this.#text.value, only });
  }

  /** Forget what was looked for, and found: it is another person's. */
  clear() {
    if (readAddress(location.hash)) history.replaceState(null, "", location.pathname + location.search);
    this.#text.value = "";
    this.#use(EVERYTHING);
  }

  /** @param {Search} search */
  #look(search) {
    clearTimeout(this.#timer);
    this.#text.value = search.text;
    const address = isEmpty(search) ? location.pathname + location.search : addressOf(search);
    if (!isEmpty(search) && isEmpty(this.#search)) location.hash = address;
    else if (address !== location.hash) history.replaceState(null, "", address);
    this.#use(search);
  }

  /** Look for what the address says. */
  #follow() {
    // After a reload an image may lie over what was found.
    const search = readAddress(location.hash) ?? readAddress(readBehind());
    if (search === null && location.hash.length > 1) return;
    const wanted = search ?? EVERYTHING;
    if (wanted.text === this.#search.text && wanted.only === this.#search.only) return;
    this.#text.value = wanted.text;
    this.#use(wanted);
  }

  /** @param {Search} search */
  #use(search) {
    const known = !isEmpty(this.#search);
    if (search.text === this.#search.text && search.only === this.#search.only) return;
    this.#search = search;
    for (const only of /** @type {const} */ (["all", "starred", "failed"])) {
      byId(`find-${only}`, HTMLButtonElement).setAttribute("aria-pressed", String(filters(search, only)));
    }
    this.#choices.update(search.text, search.only);
    this.#problem.value = "";
    const finds = !isEmpty(search);
    this.#work.classList.toggle("finding", finds);
    this.#work.setAttribute("aria-busy", String(finds));
    if (finds) {
      const { query, day } = meaningOf(search, { today: t("day.today"), yesterday: t("day.yesterday") }, Date.now());
      this.#day = day;
      this.#announced = false;
      // What was found before stays until the answer comes; what is not looked for at all does not come in between.
      if (!known) this.#show([], false);
      this.#state.value = null;
      this.#results.open(query);
    } else {
      this.#results.close();
      this.#state.value = null;
      this.#store.found.value = null;
    }
  }

  /**
   * @param {readonly Task[]} tasks
   * @param {boolean} more
   */
  #show(tasks, more) {
    this.#store.found.value = { generations: tasks.map((task) => this.#store.stateOf(task)), shows: this.#shows() };
    this.#state.value = { more };
    this.#problem.value = "";
    this.#work.setAttribute("aria-busy", "false");
  }

  /** Return what tells which outputs of the generations that were found are looked for. @returns {(output: GenerationOutput) => boolean} */
  #shows() {
    const { query } = meaningOf(this.#search, { today: "", yesterday: "" }, 0);
    const { starred, tag, state } = query;
    return (output) =>
      (!starred || output.starred) &&
      (tag === undefined || output.tags.includes(tag)) &&
      (state === undefined || output.state.failed);
  }

  /** @param {XinflightError} error */
  #failed(error) {
    // It is looked for again as soon as there is a connection.
    if (error.code !== "disconnected") this.#problem.value = errorText(error);
    this.#work.setAttribute("aria-busy", "false");
  }

  /** Say how much was found. */
  #tell() {
    const { found, marks, unfinished } = this.#store;
    marks.value;
    unfinished.value;
    const problem = this.#problem.value;
    const state = this.#state.value;
    const { generations, shows } = found.value ?? { generations: [], shows: () => false };
    const outputs = generations.flatMap(({ ended, outputs: all }) => (ended ? all.filter((each) => each.shown && shows(each)) : []));
    if (found.value === null) {
      render(nothing, this.#told);
      return;
    }
    const n = outputs.length;
    const count = n === 1 && !state?.more ? plural("find.count", 1) : t("find.count_other", { n: state?.more ? `${n}+` : n });
    const words = [problem || count, this.#day === null ? "" : dayName(this.#day)].filter(Boolean).join(" · ");
    const nothingFound = state !== null && !state.more && n === 0 && !problem;
    const all = html`<button type="button" class="quiet" data-testid="find-everything"
      @click=${() => this.#look(EVERYTHING)}>${t("find.everything")}</button>`;
    render(
      nothingFound
        ? html`<div class="empty" data-testid="find-nothing"><p>${t("find.nothing")}</p>
            <p class="hint">${t("find.nothing_hint")}</p><p>${all}</p></div>`
        : html`<p class="counts" data-testid="find-count">${state === null && !problem ? t("find.looking") : words}</p>`,
      this.#told,
    );
    if (state === null || this.#announced) return;
    this.#announced = true;
    this.#page.announcer.say(nothingFound ? t("find.nothing") : words);
  }

  #type() {
    clearTimeout(this.#timer);
    this.#choices.type(this.#text.value, this.#search.only);
    this.#timer = setTimeout(() => this.#look({ ...this.#search, text: this.#text.value }), TYPED);
  }

  /** @param {KeyboardEvent} event */
  #press(event) {
    if (event.isComposing) return;
    if (event.key === "Enter") {
      this.#look({ ...this.#search, text: this.#text.value });
      this.#choices.close();
    }
  }
}
