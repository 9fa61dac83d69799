// @ts-check
import { Xinflight } from "../client/xinflight.js";
import { lang, readWords, t } from "../words/words.js";
import { takeToken } from "./account/token.js";
import { openBar } from "./bar.js";
import { offerChat } from "./chat_tab.js";
import { Page } from "./page.js";
import { keepShell } from "./status/shell.js";
import { remember } from "./store/memory.js";
import { openStudio } from "./studio.js";
import { byId } from "./ui/dom.js";

const { auth = "none", trusted } = document.documentElement.dataset;
// Relative to the page, like all of its addresses: a proxy may have put it below a prefix.
const wsPath = new URL("ws/generate", location.href).pathname;
const token = takeToken();
readWords();

byId("loading", HTMLElement).hidden = true;

const client = new Xinflight(wsPath, { lang: lang() });
const page = new Page(client, wsPath);
openBar(page);
openStudio(page);
offerChat(page);

page.later(page.lazy(async () => (await import("./operator_button.js")).offerOperator(page)));
page.later(page.lazy(async () => {
  const { LastHeardBanner } = await import("./status/last_heard.js");
  const banner = new LastHeardBanner(client, wsPath);
  page.onLeave(() => banner.clear());
}));

let wasLive = false;
client.on("status", ({ state }) => {
  if (state === "live") page.announcer.say(t("say.connection_live"));
  else if (wasLive) page.announcer.say(t("say.connection_lost"));
  // Only now: what it loads would be in the way of what is loaded first.
  if (state === "live" && !wasLive) keepShell();
  wasLive = state === "live";
});

addEventListener("online", () => client.connect());
document.addEventListener("visibilitychange", () => {
  if (!document.hidden && client.status.state === "reconnecting") client.connect();
});

remember(client, wsPath);
if (auth === "none") client.connect();
else {
  const { Account } = await import("./account/account.js");
  const account = new Account(client, /** @type {import("./account/sign_in.js").Mode} */ (auth), wsPath, {
    forget: () => page.leave(),
    failed: page.problem,
  });
  page.signIn = () => account.focus();
  addEventListener("hashchange", () => {
    const linked = takeToken();
    if (linked) account.confirm(linked);
  });
  await account.begin(token, trusted === "true");
}
