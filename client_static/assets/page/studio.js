// @ts-check
import { effect } from "../vendor/signals-core/signals-core.js";
import { errorText, lang, percent, plural, t } from "../words/words.js";
import { Form } from "./dock/form.js";
import { offerPresets } from "./dock/preset_chip.js";
import { learnTimes } from "./dock/times.js";
import { EmptySheet } from "./sheet/empty.js";
import { More } from "./sheet/more.js";
import { Sheet } from "./sheet/sheet.js";
import { openFind } from "./find/field.js";
import { isChat } from "./store/chats.js";
import { Draft } from "./store/draft.js";
import { EarlierPrompts } from "./store/earlier_prompts.js";
import { Store } from "./store/store.js";
import { byId } from "./ui/dom.js";
import { loadDialogs } from "./ui/dialogs.js";
import { listenForKeys } from "./ui/shortcuts.js";
import { loadStyle } from "./ui/style.js";
import { GRID, IMAGE } from "./view/address.js";

/** @typedef {import("./page.js").Page} Page */
/** @typedef {import("./store/generation_state.js").GenerationOutput} GenerationOutput */
/** @typedef {import("./store/generation_state.js").News} News */

/** Progress is announced only after this many milliseconds of silence. */
const QUIET = 10_000;
/** Milliseconds after which a setting of the dock is one that its owner wants elsewhere, too. */
const SETTLED = 1000;

/** Connect what makes images and videos: dock, sheet and board, and the views that are loaded at first use. @param {Page} page */
export function openStudio(page) {
  const { client, key, announcer, problem, toasts } = page;
  /** @type {import("./status/bell.js").Bell | null} */
  let bell = null;
  /** @type {ReturnType<typeof import("./flight.js").openFlight> | null} */
  let flight = null;

  /**
   * Announce a change of an output.
   * @param {GenerationOutput} output
   * @param {News} what
   */
  const tell = (output, what) => {
    const { name, state } = output;
    if (what === "ready" || what === "failed") bell?.count(what);
    flight?.tell(output, what);
    // A cancel is told by its toast.
    if (what === "cancelled") return;
    if (what === "progress") {
      if (state.shown) announcer.mention(t("say.progress", { name, percent: percent(state.shown) }), QUIET);
    } else announcer.say(t(`say.${what}`, { name, why: state.error ? errorText(state.error) : "" }));
  };

  const store = new Store(client, tell);
  const draft = new Draft(key);
  const times = learnTimes(client, key, () => form.renderCost());
  const form = new Form(draft, {
    upload: (image, options) => client.upload(image, options),
    generate: (requests) => {
      for (const request of requests) client.generate({ ...request, lang: lang() });
      const group = requests[0]?.group;
      if (group) {
        const act = () => void (location.hash = GRID + group);
        toasts.show(t("grid.asked", { n: requests.length }), { label: t("grid.show"), act });
      }
      showNewest();
    },
    earlier: new EarlierPrompts(client, store),
    lastSeed: () => store.newestSeed,
    seconds: (work) => times.seconds(work),
    chosen: (id) => {
      page.model.value = byId("model-shown", HTMLElement).textContent = id;
    },
    preferred: (dock) => page.choose({ dock }, SETTLED),
    lazy: page.lazy,
  });
  /** Ends the offer to show everything, once that was done. @type {((text: string) => void) | undefined} */
  let offered;
  effect(() => {
    if (!store.found.value) offered?.("");
  });
  /** Show what was just asked for; who looks at what was found stays there, and is led to it. */
  const showNewest = () => {
    if (!store.found.value) sheet.showNewest();
    else offered = toasts.show(t("find.asked"), { label: t("find.everything"), act: () => void (location.hash = "") });
  };
  const openFlight = page.lazy(async () => {
    const [flying] = await Promise.all([import("./flight.js"), loadStyle("board.css")]);
    flight = flying.openFlight(page, store, {
      reuse: (params, image) => form.fill(params, image),
      start: (image) => form.startFrom(image),
      asked: showNewest,
    });
    return flight;
  });
  page.later(openFlight);
  const posters = page.lazy(async () => {
    const { Posters } = await import("./sheet/posters.js");
    const kept = new Posters();
    page.onLeave(() => kept.clear());
    return kept;
  });
  const holdPoster = (/** @type {import("../client/xinflight.js").OutputRef} */ video) => {
    const held = posters().then((kept) => kept?.hold(video) ?? null);
    return { url: held.then((poster) => poster?.url ?? null), release: () => void held.then((poster) => poster?.release()) };
  };
  /** @type {(action: import("./sheet/tile.js").TileAction, output: GenerationOutput) => Promise<void>} */
  const act = async (action, output) => (await openFlight())?.acts.do(action, output);
  const sheet = new Sheet(store, act, holdPoster);
  page.later(page.lazy(async () => {
    const { walkByKeys } = await import("./sheet/walk.js");
    walkByKeys(sheet, byId("gallery", HTMLElement));
  }));
  new EmptySheet(sheet.empty, page.status.trouble, page.lazy(async () => {
    const { showExamples } = await import("./sheet/examples.js");
    showExamples();
  }));
  new More(client, { grown: (n) => announcer.say(plural("say.more", n)), problem }, "more", { ahead: "1200px" });

  openFind(page, store);
  offerPresets(page, form);
  const when = () => sheet.focused !== null;
  const onFocused = (/** @type {"star" | "remove"} */ action) => () => sheet.focused && act(action, sheet.focused);
  const presets = byId("presets-open", HTMLButtonElement);
  listenForKeys([
    { key: "s", when, act: onFocused("star") },
    { key: "Delete", when, act: onFocused("remove") },
    { key: "e", when: () => presets.checkVisibility(), act: () => presets.click() },
  ]);
  page.at(IMAGE, page.lazy(async () => {
    const [{ Viewer }, there] = await Promise.all([import("./view/viewer.js"), openFlight(), loadDialogs()]);
    if (!there) throw new Error("what can be done with an image is not there");
    const viewer = new Viewer(store, sheet, there.acts, { problem, entered: () => page.entered, holdPoster });
    page.onLeave(() => viewer.close());
  }));
  page.at(GRID, page.lazy(async () => {
    const [{ GridView }] = await Promise.all([import("./view/grid_view.js"), loadDialogs()]);
    const view = new GridView(client, store, { problem, entered: () => page.entered });
    page.onLeave(() => view.close());
  }));
  const openBell = page.lazy(async () => {
    const { Bell } = await import("./status/bell.js");
    page.onLeave(() => bell?.clear());
    return (bell = new Bell(store, page.choose));
  });
  page.later(openBell);
  page.onPreferences(async ({ notifications, sound, dock }, first) => {
    if (first && dock) form.follow(dock);
    (await openBell())?.follow({ notifications, sound });
  });

  client.on("welcome", ({ limits, owner }) => {
    if (!draft.claim(owner)) form.clear();
    form.setLimits(limits);
  });
  client.on("models", (models) => form.setModels(models.filter(({ kinds }) => kinds.some((kind) => kind !== "chat"))));
  client.on("task", (task) => {
    if (task.info || isChat(task)) return;
    announcer.say(task.request.kind === "video" ? t("say.accepted_video") : plural("say.accepted", task.count));
    task.on("end", (end) => {
      const refused = !task.acknowledged && end.type === "error" && end.field !== undefined;
      if (refused && form.complain(end.field ?? "", errorText(end))) client.delete(task.id);
    });
  });
  page.onLeave(() => {
    draft.clear();
    form.clear();
  });
}
