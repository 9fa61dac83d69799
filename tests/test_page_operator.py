"""The operator's view in Chromium: who may see it, what it tells and not, and what an admin does there for others."""

import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
from aiohttp import web
from playwright.async_api import Browser, ConsoleMessage, Page, Request, expect

from clients import Recorder, WireClient, eventually, hosted, painter
from conftest import Serve
from page_kit import SOON, fits, live
from xinflight.app import setup
from xinflight.auth import Identity
from xinflight.demo import Faults
from xinflight.gateway import Gateway
from xinflight.protocol import UpstreamState
from xinflight.settings import Settings

pytest_plugins = ["page_fixtures"]

SECRET = "a secret prompt"


async def who(request: web.Request, token: str | None) -> Identity | None:
    """Believe a cookie, which browsers send with a handshake, too; `boss` is an admin."""
    name = request.cookies.get("user")
    return None if name is None else Identity(id=name, admin=name == "boss")


class Office:
    """A server with several owners, on an engine whose images stand still."""

    def __init__(self, url: str, gateway: Gateway, engine: Recorder, browser: Browser, stack: AsyncExitStack) -> None:
        self.url, self.gateway, self.engine = url, gateway, engine
        self.complaints: list[str] = []
        self._browser, self._stack = browser, stack

    async def client(self, owner: str) -> WireClient:
        headers = {"Cookie": f"user={owner}"}
        return await self._stack.enter_async_context(WireClient.connect(self.url, headers=headers))

    async def submit(self, owner: str, *task_ids: str, n: int = 1) -> WireClient:
        """Ask for images of an owner."""
        client = await self.client(owner)
        for task_id in task_ids:
            await client.ask(action="generate", prompt=SECRET, task_id=task_id, n=n)
        return client

    async def visit(self, owner: str = "boss", *, address: str = "", width: int = 1280, lang: str = "en") -> Page:
        """Open the page as somebody; whatever its console complains of is noted down."""

        def hear(line: ConsoleMessage) -> None:
            if line.type == "error":
                self.complaints.append(line.text)

        context = await self._browser.new_context(
            locale=lang, viewport={"width": width, "height": 800}, service_workers="block"
        )
        self._stack.push_async_callback(context.close)
        await context.add_cookies([{"name": "user", "value": owner, "url": self.url}])
        page = await context.new_page()
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", hear)
        await page.goto(f"{self.url}{address}")
        await live(page)
        return page


@pytest.fixture
async def office(browser: Browser, emulate: Serve, stack: AsyncExitStack) -> AsyncIterator[Office]:
    engine = Recorder([painter()])
    engine.faults = Faults(freeze=1)
    app = web.Application()
    settings = Settings(xinference_url=await emulate(engine), default_size="64x64", drain=0.0)
    gateway = setup(app, settings, authenticate=who, page=True)
    async with hosted(app) as url, AsyncExitStack() as pages:
        office = Office(url, gateway, engine, browser, pages)
        yield office
        engine.faults = Faults()
        engine.thaw()
    assert office.complaints == []


async def open_view(page: Page) -> None:
    if await page.get_by_test_id("tools-open").is_visible():
        await page.get_by_test_id("tools-open").click()
    await page.get_by_test_id("operator-open").click()
    await expect(page.get_by_test_id("operator-pool")).to_be_visible()


async def answer(page: Page, yes: bool = True) -> None:
    """Answer the question that is asked."""
    await expect(page.get_by_test_id("operator-ask")).to_be_visible()
    await page.get_by_test_id("operator-yes" if yes else "operator-no").click()
    await expect(page.get_by_test_id("operator-ask")).to_be_hidden()


def requests(page: Page, *parts: str) -> list[str]:
    """Return the addresses that a page asks for from now on, if they have one of the parts."""
    seen: list[str] = []

    def note(request: Request) -> None:
        if any(part in request.url for part in parts):
            seen.append(request.url)

    page.on("request", note)
    return seen


async def test_it_is_for_admins_only(office: Office) -> None:
    """Nobody else has the button, loads the part, or gets there by its address."""
    page = await office.visit("ann")
    loaded = requests(page, "/operator/", "/admin/", "operator.css")
    await expect(page.get_by_test_id("operator-open")).to_be_hidden()
    await page.evaluate("location.hash = 'operator'")
    await page.reload()
    await live(page)
    await expect(page.get_by_test_id("form")).to_be_visible()
    assert loaded == []
    assert "Drain the server" not in await page.content()


async def test_who_waits_what_runs_and_how_the_server_is(office: Office) -> None:
    """Live, by itself, and without what anything is about."""
    await office.submit("ann", "a", "b", n=2)
    await office.submit("bob", "a")
    page = await office.visit()
    loaded = "performance.getEntriesByType('resource').filter(({ name }) => /operator[./]/.test(name)).length"
    assert await page.evaluate(loaded) == 0
    await open_view(page)
    view = page.get_by_test_id("operator")
    await expect(page.get_by_test_id("form")).to_be_hidden()
    await expect(page.get_by_test_id("operator-upstream")).to_contain_text("The model server is ready")
    await expect(page.get_by_test_id("operator-model")).to_contain_text("1 of 1 slots taken")
    running, waiting = page.get_by_test_id("operator-running"), page.get_by_test_id("operator-next")
    await expect(running.get_by_test_id("operator-entry")).to_have_count(1)
    await expect(running).to_contain_text("painter")
    await expect(waiting.get_by_test_id("operator-entry")).to_have_count(4)
    await expect(waiting.locator("b").first).to_have_text("bob")
    anns = page.locator('[data-owner="ann"]')
    await expect(anns.get_by_test_id("operator-counts")).to_have_text("1 running · 3 queued · 50% of painter")
    assert SECRET not in await view.inner_text()
    await office.submit("carol", "new")
    await expect(page.locator('[data-owner="carol"]')).to_be_visible()
    upstream = office.gateway.upstream
    upstream._update(UpstreamState.UNREACHABLE, upstream.models, upstream.unsuitable, "no route to host")
    await expect(page.get_by_test_id("operator-cause")).to_have_text("no route to host")


async def test_an_owner_is_looked_into(office: Office) -> None:
    await office.submit("ann", "a", "b", "c")
    await office.submit("bob", "x")
    page = await office.visit()
    await open_view(page)
    anns = page.locator('[data-owner="ann"]')
    await anns.get_by_test_id("operator-show").click()
    detail = page.get_by_test_id("operator-detail")
    await expect(detail.get_by_test_id("operator-entry")).to_have_count(3)
    await detail.get_by_test_id("operator-entry").last.get_by_test_id("operator-first").click()
    await expect(page.get_by_test_id("operator-said")).to_have_text("Moved before all others of ann.")
    await expect(detail.locator(".op-id")).to_have_text(["a/0", "c/0", "b/0"])
    await page.get_by_test_id("operator-find").fill("bo")
    await expect(page.get_by_test_id("operator-owner")).to_have_count(1)
    await page.get_by_test_id("operator-find").fill("nobody")
    await expect(page.get_by_test_id("operator-nobody")).to_have_text("Nobody whose name begins with “nobody”.")


async def test_an_admin_cancels_and_pauses_for_others(office: Office) -> None:
    """A cancel is asked about, since it can't be taken back from here; the owner is told of everything."""
    ann, bob = await office.submit("ann", "a", "b"), await office.submit("bob", "x")
    page = await office.visit()
    await open_view(page)
    of_bob = page.get_by_test_id("operator-next").get_by_test_id("operator-entry").filter(has_text="bob")
    await of_bob.get_by_test_id("operator-cancel").click()
    await answer(page, yes=False)
    await of_bob.get_by_test_id("operator-cancel").click()
    await answer(page)
    assert (await bob.ends("x"))["x"]["type"] == "cancelled"
    await expect(of_bob).to_have_count(0)
    anns = page.locator('[data-owner="ann"]')
    await anns.get_by_test_id("operator-pause").click()
    await ann.has(lambda message: message["type"] == "progress" and message["step"] == "paused")
    await expect(anns).to_contain_text("everything paused")
    await anns.get_by_test_id("operator-pause").click()
    await expect(anns).not_to_contain_text("everything paused")
    await anns.get_by_test_id("operator-cancel-all").click()
    await answer(page)
    assert (await ann.ends("b"))["b"]["type"] == "cancelled"
    await expect(page.get_by_test_id("operator-said")).to_have_text("Cancelled 2 generations of ann.")


async def test_notices_reach_one_or_all(office: Office) -> None:
    await office.submit("ann", "a")
    anns, bobs, page = [await office.visit(owner) for owner in ("ann", "bob", "boss")]
    await open_view(page)
    await page.locator('[data-owner="ann"]').get_by_test_id("operator-notify").click()
    await page.get_by_test_id("operator-yes").click()
    await expect(page.get_by_test_id("operator-ask")).to_be_visible()
    await page.get_by_test_id("operator-text").fill("Please wait until noon")
    await answer(page)
    await expect(anns.get_by_test_id("notice")).to_have_text("Please wait until noon")
    await page.get_by_test_id("operator-notify-all").click()
    await page.get_by_test_id("operator-text").fill("<b>Lunch</b>")
    await answer(page)
    for other in (anns, bobs):
        await expect(other.get_by_test_id("notice")).to_have_text("<b>Lunch</b>")


async def test_an_admin_holds_the_server_and_releases_it(office: Office) -> None:
    await office.submit("ann", "a", "b", n=4)
    page, waiting = await office.visit(), await office.visit("ann")
    await open_view(page)
    await page.get_by_test_id("operator-hold").click()
    await expect(page.get_by_test_id("operator-problem")).to_contain_text("Nothing more is started")
    assert office.gateway.queue.held
    # Whoever waits sees why nothing moves.
    await expect(waiting.get_by_test_id("board-all")).to_have_text("held by the operator")
    await page.get_by_test_id("operator-hold").click()
    await expect(page.get_by_test_id("operator-problem")).to_have_count(0)
    await expect(waiting.get_by_test_id("board-all")).not_to_contain_text("held")
    assert not office.gateway.queue.held


async def test_a_drain_says_what_it_does_before(office: Office) -> None:
    await office.submit("ann", "a", "b")
    page = await office.visit()
    await open_view(page)
    await page.get_by_test_id("operator-drain").click()
    asked = page.get_by_test_id("operator-ask")
    await expect(asked).to_contain_text("nothing new is accepted")
    await expect(asked).to_contain_text("the image that waits, fail")
    await answer(page, yes=False)
    assert not office.gateway.draining
    await page.get_by_test_id("operator-drain").click()
    await answer(page)
    await expect(page.get_by_test_id("operator-said")).to_contain_text("is draining")
    assert office.gateway.draining


async def test_it_has_an_address(office: Office) -> None:
    """A reload stays there, going back leaves it; then nothing of others is left."""
    await office.submit("ann", "a")
    page = await office.visit(address="#operator")
    await expect(page.get_by_test_id("operator-owner")).to_have_count(1)
    await page.get_by_test_id("operator-leave").click()
    await expect(page.get_by_test_id("form")).to_be_visible()
    await expect(page.get_by_test_id("operator-open")).to_be_focused()
    await open_view(page)
    await expect(page.locator("#operator-title")).to_be_focused()
    await page.reload()
    await expect(page.get_by_test_id("operator-owner")).to_have_count(1)
    await page.go_back()
    await expect(page.get_by_test_id("form")).to_be_visible()
    assert "".join(await page.locator("#operator").all_text_contents()).strip() == ""


async def test_it_asks_only_while_it_is_seen(office: Office) -> None:
    page = await office.visit()
    await page.clock.install()
    asked = requests(page, "/admin/")
    await open_view(page)
    hide = "Object.defineProperty(document, 'hidden', { value: %s, configurable: true });"
    tell = "document.dispatchEvent(new Event('visibilitychange'))"

    async def goes_on() -> None:
        asked.clear()
        await eventually(lambda: asked, timeout=SOON / 1000)

    async def has_stopped() -> None:
        """Let ten seconds pass; whatever is asked meanwhile comes before the answer to a later request."""
        asked.clear()
        await page.clock.run_for(10_000)
        await page.evaluate("fetch('healthz').then((response) => response.text())")
        assert asked == []

    await goes_on()
    await page.evaluate(hide % "true" + tell)
    await has_stopped()
    await page.evaluate(hide % "false" + tell)
    await goes_on()
    await page.get_by_test_id("operator-leave").click()
    await expect(page.get_by_test_id("form")).to_be_visible()
    await has_stopped()


async def test_what_can_not_be_asked_is_told(office: Office) -> None:
    page = await office.visit()
    await open_view(page)
    await page.route(re.compile("api/v1/admin"), lambda route: route.fulfill(status=500, json={"code": "internal"}))
    await expect(page.get_by_test_id("operator-lost")).to_contain_text("Not up to date")
    await page.unroute_all()
    await expect(page.get_by_test_id("operator-lost")).to_be_hidden()
    office.complaints.clear()
    # Somebody who is no admin any more sees nothing of it.
    await page.route(re.compile("api/v1/admin"), lambda route: route.fulfill(status=403, json={"code": "forbidden"}))
    await expect(page.get_by_test_id("form")).to_be_visible()
    office.complaints.clear()


async def test_on_a_phone_and_in_chinese(office: Office) -> None:
    await office.submit("ann", "a", "b")
    page = await office.visit(width=360, lang="zh-CN")
    await open_view(page)
    await expect(page.locator("#operator-title")).to_have_text("运维")
    await page.locator('[data-owner="ann"]').get_by_test_id("operator-show").click()
    await expect(page.get_by_test_id("operator-detail")).to_be_visible()
    await fits(page)
    await page.get_by_test_id("operator-drain").click()
    await fits(page)
    await answer(page, yes=False)


async def test_rows_by_keyboard(office: Office) -> None:
    bob = await office.submit("bob", "x", "y", "z")
    page = await office.visit()
    await open_view(page)
    entries = page.get_by_test_id("operator-next").get_by_test_id("operator-entry")
    await expect(entries).to_have_count(2)
    stops = "list => [...list.querySelectorAll('button')].filter((each) => each.tabIndex === 0).length"
    assert await page.locator("ul[data-testid=operator-next]").evaluate(stops) == 2
    await entries.first.get_by_test_id("operator-cancel").focus()
    await page.keyboard.press("ArrowDown")
    await expect(entries.last.get_by_test_id("operator-cancel")).to_be_focused()
    await page.keyboard.press("Home")
    await page.keyboard.press("Enter")
    await page.keyboard.press("Tab")
    await expect(page.get_by_test_id("operator-yes")).to_be_focused()
    await page.keyboard.press("Enter")
    assert (await bob.ends("y"))["y"]["type"] == "cancelled"
    # The next one has taken its place, and the focus.
    await expect(entries).to_have_count(1)
    await expect(entries.get_by_test_id("operator-cancel")).to_be_focused()
    await page.get_by_test_id("operator-show").focus()
    await page.keyboard.press("Enter")
    detail = page.get_by_test_id("operator-detail")
    await expect(detail.get_by_test_id("operator-entry")).to_have_count(2)
    await page.keyboard.press("Tab")
    await expect(detail.get_by_test_id("operator-cancel").first).to_be_focused()
    await page.keyboard.press("ArrowDown")
    await expect(detail.get_by_test_id("operator-cancel").last).to_be_focused()
