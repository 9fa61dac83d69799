// @ts-check
import { Xinflight } from "../client/xinflight.js";
import { changeLang, errorText, lang, nextLanguage, onLang, percent, plural, readWords, t } from "../words/words.js";
import { Account } from "./account/account.js";
import { Announcer } from "./status/announcer.js";
import { Confirm } from "./ui/confirm.js";
import { Chat } from "./chat/chat.js";
import { isChat } from "./chat/conversation.js";
import { Board } from "./board/board.js";
import { Cancelling } from "./board/cancelling.js";
import { byId } from "./ui/dom.js";
import { Draft } from "./store/draft.js";
import { Form } from "./dock/form.js";
import { learnTimes } from "./dock/times.js";
import { Acts } from "./sheet/acts.js";
import { Sheet } from "./sheet/sheet.js";
import { remember } from "./store/memory.js";
import { More } from "./sheet/more.js";
import { PauseButton } from "./board/pause.js";
import { takeToken } from "./account/session.js";
import { LastHeardBanner } from "./status/last_heard.js";
import { keepShell } from "./status/shell.js";
import { Bell } from "./status/bell.js";
import { showProgress } from "./status/favicon.js";
import { StatusBar } from "./status/status.js";
import { keep, readKept } from "./store/storage.js";
import { Shortcuts } from "./ui/shortcuts.js";
import { Tabs } from "./ui/tabs.js";
import { ThemeButton } from "./ui/theme.js";
import { Toasts } from "./ui/toasts.js";
import { shortened } from "./store/output_words.js";
import { rememberChoice } from "./store/choices.js";
import { Store } from "./store/store.js";
import { Title } from "./status/title.js";
import { GridView } from "./view/grid_view.js";
import { Viewer } from "./view/viewer.js";

/** Progress is announced only after this many milliseconds of silence. */
const QUIET = 10_000;

const { auth = "none", trusted } = document.documentElement.dataset;
// Relative to the page, like all of its addresses: a proxy may have put it below a prefix.
const wsPath = new URL("ws/generate", location.href).pathname;
const token = takeToken();
readWords();

byId("loading", HTMLElement).hidden = true;

const client = new Xinflight(wsPath, { lang: lang() });
new ThemeButton();
const announcer = new Announcer();
const store = new Store(client, tell);
const title = new Title(store);
const draft = new Draft(wsPath);
const times = learnTimes(client, wsPath, () => form.renderCost());
const form = new Form(draft, {
  upload: (image, options) => client.upload(image, options),
  generate: (requests) => {
    for (const request of requests) client.generate({ ...request, lang: lang() });
    const group = requests[0]?.group;
    if (group) {
      const act = () => gridView.open(group);
      toasts.show(t("grid.asked", { n: requests.length }), { label: t("grid.show"), act });
    }
    sheet.showNewest();
  },
  earlier: () => store.generations.value.flatMap(({ params }) => params.prompt ?? []),
  lastSeed: () => store.newestSeed,
  seconds: (work) => times.seconds(work),
});
const confirm = new Confirm();
const status = new StatusBar(client, () => account.focus());
const lastHeard = new LastHeardBanner(client, wsPath);
const account = new Account(client, /** @type {import("./account/sign_in.js").Mode} */ (auth), wsPath, {
  forget,
  failed: (refusal) => status.complain(refusal),
});

/** Remove what belongs to a person who is not here any more: the next one must not see it. */
function forget() {
  draft.clear();
  form.clear();
  chatDraft.clear();
  chat.clear();
  viewer.close();
  confirm.close();
  announcer.clear();
  status.clear();
  lastHeard.clear();
  toasts.clear();
  gridView.close();
}

/**
 * Announce a change of an output, and count it in the title.
 * @param {import("./store/generation_state.js").GenerationOutput} output
 * @param {import("./store/generation_state.js").News} what
 */
function tell({ name, state }, what) {
  if (what === "ready" || what === "failed") {
    title.count(what);
    bell.count(what);
  }
  if (what === "progress") {
    if (state.shown) announcer.mention(t("say.progress", { name, percent: percent(state.shown) }), QUIET);
  } else announcer.say(t(`say.${what}`, { name, why: state.error ? errorText(state.error) : "" }));
}

/** Tell of a request that failed. @param {import("../client/xinflight.js").XinflightError} error */
const problem = (error) => status.complain(error);
const toasts = new Toasts(() => byId("prompt", HTMLTextAreaElement));
const cancelling = new Cancelling(client, store, toasts, problem);
const acts = new Acts(client, store, cancelling, {
  reuse: (params, image) => form.fill(params, image),
  start: (image) => form.startFrom(image),
  mayDelete: (prompt, n) => confirm.ask(t("delete.title", { prompt: shortened(prompt) }), plural("delete.text", n)),
  problem,
  asked: () => sheet.showNewest(),
});
new Board(store, {
  cancel: (output) => cancelling.one(output),
  cancelAll: () => cancelling.all(),
  move: (taskId, where) => void client.move(taskId, where).catch(problem),
  home: () => byId("gallery", HTMLElement),
});
const bell = new Bell(store);
const gridView = new GridView(store);
new Shortcuts([{ key: "p", act: () => byId("prompt", HTMLTextAreaElement).focus() }]);
showProgress(store);
const sheet = new Sheet(store, (action, output) => acts.do(action, output));
const viewer = new Viewer(store, sheet, acts);
new More(client, { grown: (n) => announcer.say(plural("say.more", n)), problem }, "more", { ahead: "1200px" });

const tabs = new Tabs((name) => keep(tabPlace, name));
const tabPlace = `xinflight.tab ${wsPath}`;
const chatDraft = new Draft(`${wsPath} chat`);
const chat = new Chat(client, chatDraft, {
  say: (text) => announcer.say(text),
  mayDelete: (title) => confirm.ask(t("delete.title", { prompt: title }), t("chat.delete_text")),
  problem: (error) => status.complain(error),
});
new More(client, { grown: () => {}, problem }, "chat-more");

/** Show the tabs where there is something to chat with, and again the one that was shown before a reload. */
function offerTabs() {
  tabs.offer(chat.offered);
  if (chat.offered && readKept(tabPlace) === "chat") tabs.show("chat");
}

new PauseButton(client, {
  problem: (error) => status.complain(error),
  changed: (paused) => announcer.say(t(paused ? "say.paused" : "say.unpaused")),
});

client.on("welcome", ({ limits, owner }) => {
  if (!draft.claim(owner)) form.clear();
  if (!chatDraft.claim(owner)) chat.clear();
  form.setLimits(limits);
});
client.on("models", (models) => {
  form.setModels(models.filter(({ kinds }) => kinds.some((kind) => kind !== "chat")));
  chat.setModels(models);
  offerTabs();
});
client.on("task", (task) => {
  if (isChat(task)) offerTabs();
  if (task.info || isChat(task)) return;
  announcer.say(task.request.kind === "video" ? t("say.accepted_video") : plural("say.accepted", task.count));
  task.on("end", (end) => {
    const refused = !task.acknowledged && end.type === "error" && end.field !== undefined;
    if (refused && form.complain(end.field ?? "", errorText(end))) client.delete(task.id);
  });
});

let wasLive = false;
client.on("status", ({ state }) => {
  if (state === "live") announcer.say(t("say.connection_live"));
  else if (wasLive) announcer.say(t("say.connection_lost"));
  // Only now: what it loads would be in the way of what is loaded first.
  if (state === "live" && !wasLive) keepShell();
  wasLive = state === "live";
});

const language = byId("lang", HTMLButtonElement);
language.addEventListener("click", () => {
  changeLang(nextLanguage().tag).catch(() => status.complain({ code: "unreachable" }));
});
onLang(() => {
  rememberChoice("lang", lang());
  const { name, show } = nextLanguage();
  language.textContent = name;
  language.title = show;
  language.ariaLabel = show;
  client.setLang(lang());
  title.render();
});

addEventListener("online", () => client.connect());
document.addEventListener("visibilitychange", () => {
  if (!document.hidden && client.status.state === "reconnecting") client.connect();
});

addEventListener("hashchange", () => {
  const linked = takeToken();
  if (linked) account.confirm(linked);
});

remember(client, wsPath);
await account.begin(token, trusted === "true");
