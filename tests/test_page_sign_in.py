"""The page of a server with tokens: the form, a link with the token, expiry, revocation, and signing out."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from playwright.async_api import Browser, BrowserContext, Page, expect

from clients import Json, Recorder, ShiftedClock, hosted
from conftest import Serve
from page_kit import QUICK, SOCKETS, fits, generate, is_shown, live, open_settings, tiles
from xinflight.auth import TokenFile

pytest_plugins = ["page_fixtures"]


class House:
    """A server with tokens, and browsers in front of it."""

    def __init__(self, url: str, folder: Path, browser: Browser, clock: ShiftedClock) -> None:
        self.bare, _, self.first = url.partition("#token=")
        self.clock = clock
        self.file = TokenFile(folder)
        self._browser = browser

    async def token(self, owner: str, *, lifetime: float | None = None) -> str:
        """Make a token of an owner, of that name."""
        now = self.clock.time()
        expires = None if lifetime is None else now + lifetime
        token, _ = await asyncio.to_thread(self.file.add, owner, now=now, expires=expires)
        return token

    async def context(self, *, lang: str = "en", width: int = 1280) -> BrowserContext:
        """Give a browser that nobody has signed in with."""
        return await self._browser.new_context(locale=lang, viewport={"width": width, "height": 700})

    async def visit(self, context: BrowserContext, fragment: str = "") -> Page:
        """Open the page."""
        page = await context.new_page()
        await page.add_init_script(SOCKETS)
        await page.goto(f"{self.bare}{fragment}")
        return page


@pytest.fixture
async def house(
    browser: Browser, clock: ShiftedClock, emulate: Serve, serve: Serve, tmp_path: Path
) -> AsyncIterator[House]:
    """Give a server with tokens, on a clock that can be moved."""
    url = await serve(xinference_url=await emulate(Recorder([QUICK])), default_size="64x64", auth="tokens")
    yield House(url, tmp_path / "data", browser, clock)
    for context in browser.contexts[1:]:
        await context.close()


async def sign_in(page: Page, token: str) -> None:
    """Send a token by the form."""
    await page.get_by_test_id("token").fill(token)
    await page.get_by_test_id("token").press("Enter")


async def signed_in(page: Page, owner: str) -> None:
    await live(page)
    await expect(page.get_by_test_id("who")).to_have_text(owner)
    await expect(page.get_by_test_id("sign-in")).to_be_hidden()


async def leaves_nothing(page: Page, *texts: str) -> None:
    """Neither the page nor a storage of the browser has one of these texts."""
    left = await page.evaluate(
        """() => document.documentElement.outerHTML + JSON.stringify(sessionStorage) + JSON.stringify(localStorage)
            + [...document.querySelectorAll("input, textarea")].map((field) => field.value).join()"""
    )
    for text in texts:
        assert text not in left


async def preferences(page: Page) -> Json:
    """Return what the server has of the page's owner."""
    told: Json = await page.evaluate("fetch('api/v1/account/preferences').then((answer) => answer.json())")
    found: Json = told["preferences"]
    return found


async def test_the_form(house: House) -> None:
    """A wrong token is told at the field, a right one opens the page, and the token is stored nowhere."""
    token = await house.token("ann")
    context = await house.context()
    page = await house.visit(context)
    await expect(page.get_by_test_id("token")).to_be_focused()
    await expect(page.get_by_test_id("form")).to_be_hidden()
    # Nobody is there whose images could be looked for.
    for way in ("find-text", "find-starred"):
        await expect(page.get_by_test_id(way)).to_be_hidden()
    field = page.get_by_test_id("token")
    assert (await field.get_attribute("type"), await field.get_attribute("autocomplete")) == (
        "password",
        "current-password",
    )
    await sign_in(page, " ")
    await expect(page.get_by_test_id("token-problem")).to_have_text("Please enter the token.")
    await sign_in(page, "wrong")
    problem = page.get_by_test_id("token-problem")
    await expect(problem).to_have_text("This token is not valid.")
    assert await problem.get_attribute("role") == "alert"
    await expect(field).to_have_attribute("aria-invalid", "true")
    await sign_in(page, token)
    await signed_in(page, "ann")
    await expect(page.get_by_test_id("find-text")).to_be_visible()
    await expect(page.get_by_test_id("prompt")).to_be_focused()
    await is_shown(tiles(await generate(page, "a boat")).first)
    (cookie,) = await context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (True, "Strict", "/")
    assert token not in cookie["value"]
    await leaves_nothing(page, token)
    again = await house.visit(context)
    await signed_in(again, "ann")
    await is_shown(tiles(again.get_by_test_id("generation")).first)


@pytest.mark.parametrize("way", ["paste", "password manager"])
async def test_nobody_has_to_type_or_remember_the_token(house: House, way: str) -> None:
    """WCAG 3.3.8: it can be pasted, and what a browser has saved it fills in, without an event."""
    token = await house.token("ann")
    context = await house.context()
    page = await house.visit(context)
    field = page.get_by_test_id("token")
    await expect(field).to_be_focused()
    if way == "paste":
        await context.grant_permissions(["clipboard-read", "clipboard-write"])
        await page.evaluate("token => navigator.clipboard.writeText(` ${token}\\n`)", token)
        await page.keyboard.press("ControlOrMeta+v")
        await expect(field).not_to_have_value("")
    else:
        # Those look for a name before the password, in a form; the name is that of the server.
        assert await field.evaluate("field => field.form.username.autocomplete") == "username"
        await field.evaluate("(field, token) => { field.value = token; }", token)
    await page.get_by_test_id("sign-in-submit").click()
    await signed_in(page, "ann")


async def test_the_form_in_chinese_on_a_phone(house: House) -> None:
    context = await house.context(lang="zh-CN", width=360)
    page = await house.visit(context)
    await expect(page.get_by_test_id("sign-in-submit")).to_have_text("登录")
    # The form asks for it; the chip of the top bar would lie over it.
    await expect(page.get_by_test_id("connect")).to_be_hidden()
    await fits(page)
    await sign_in(page, "wrong")
    await expect(page.get_by_test_id("token-problem")).to_have_text("令牌无效。")
    await sign_in(page, await house.token("ann"))
    await signed_in(page, "ann")
    await fits(page)


async def test_guesses_are_slowed_down_and_the_page_says_how_long(house: House) -> None:
    page = await house.visit(await house.context())
    # Otherwise the tenth might come when the first is forgiven.
    house.clock.stand()
    for _ in range(10):
        await sign_in(page, "wrong")
        await expect(page.get_by_test_id("sign-in-submit")).to_have_attribute("aria-disabled", "false")
    await sign_in(page, await house.token("ann"))
    await expect(page.get_by_test_id("token-problem")).to_contain_text("Too many wrong tokens. You can try again in")
    await expect(page.get_by_test_id("sign-in-submit")).to_contain_text("Try again in")
    house.clock.advance(60)
    # The page counts by its own clock; six real seconds at most.
    await expect(page.get_by_test_id("sign-in-submit")).to_have_text("Sign in")
    await page.get_by_test_id("sign-in-submit").click()
    await signed_in(page, "ann")


async def test_the_address_with_the_token(house: House) -> None:
    """Opened by a person, it signs in, and neither the address nor the history has the token afterwards."""
    context = await house.context()
    page = await house.visit(context, f"#token={house.first}")
    await signed_in(page, "local")
    assert page.url == house.bare
    await page.goto("about:blank")
    await page.go_back(wait_until="commit")
    assert page.url == house.bare
    await signed_in(page, "local")


async def test_a_link_of_another_website_asks_first(house: House) -> None:
    """It would sign somebody in as somebody else, who then sees what they make."""
    mallory = await house.token("mallory")
    context = await house.context()
    mine = await house.visit(context)
    await sign_in(mine, await house.token("ann"))
    await signed_in(mine, "ann")

    async def link(request: web.Request) -> web.Response:
        text = f'<a id="link" rel="noreferrer" href="{house.bare}#token={mallory}">Free images</a>'
        return web.Response(text=text, content_type="text/html")

    app = web.Application()
    app.router.add_get("/", link)
    async with hosted(app) as url:
        page = await context.new_page()
        await page.goto(url.replace("127.0.0.1", "localhost"))
        await page.locator("#link").click()
        await expect(page.get_by_test_id("sign-in-why")).to_contain_text("The link that you opened has a token")
        assert page.url == house.bare
        await expect(page.get_by_test_id("who")).to_have_text("ann")
        await page.get_by_test_id("sign-in-dismiss").click()
        await signed_in(page, "ann")
        # Also in a page that is open, where nothing is loaded.
        await page.evaluate(f"location.hash = 'token={mallory}'")
        await expect(page.get_by_test_id("sign-in-dismiss")).to_be_visible()
        await page.get_by_test_id("sign-in-submit").click()
        await signed_in(page, "mallory")
        await page.close()


async def test_an_expiry_in_the_middle_loses_nothing(house: House) -> None:
    """What is shown and what was typed stays, what is requested meanwhile is sent, by the same person."""
    page = await house.visit(await house.context())
    await sign_in(page, await house.token("ann", lifetime=300))
    await signed_in(page, "ann")
    await is_shown(tiles(await generate(page, "a boat before")).first)
    await page.get_by_test_id("prompt").fill("what ann types")
    house.clock.advance(301)
    await expect(page.get_by_test_id("sign-in-why")).to_contain_text("Your sign-in has ended")
    await expect(page.get_by_test_id("connection")).to_have_text("signed out")
    await expect(page.get_by_test_id("prompt")).to_have_value("what ann types")
    await expect(page.get_by_test_id("prompt")).to_be_focused()
    await page.get_by_test_id("generate").click()
    await expect(page.get_by_test_id("generation")).to_have_count(2)
    longer, _ = await asyncio.to_thread(house.file.add, "ann-2", owner="ann", now=house.clock.time())
    await page.get_by_test_id("connect").click()
    await expect(page.get_by_test_id("token")).to_be_focused()
    await sign_in(page, longer)
    await signed_in(page, "ann")
    for tile in await tiles(page.get_by_test_id("gallery")).all():
        await is_shown(tile)
    assert await tiles(page.get_by_test_id("gallery")).count() == 2


async def test_the_next_person_sees_nothing_of_the_former_one(house: House) -> None:
    page = await house.visit(await house.context())
    await sign_in(page, await house.token("ann", lifetime=300))
    await signed_in(page, "ann")
    await is_shown(tiles(await generate(page, "a secret boat")).first)
    await page.get_by_test_id("prompt").fill("what ann types")
    await open_settings(page)
    await page.get_by_test_id("guidance").fill("2")
    await page.get_by_test_id("negative").fill("thunder")
    await page.keyboard.press("Escape")
    await page.get_by_test_id("presets-open").click()
    await page.get_by_test_id("preset-name").fill("Stormy")
    await page.get_by_test_id("preset-prompt").fill("in a dark style")
    await page.get_by_test_id("preset-save").click()
    await expect(page.get_by_test_id("presets-done")).to_contain_text("Stormy")
    house.clock.advance(301)
    await expect(page.get_by_test_id("sign-in")).to_be_visible()
    await page.get_by_test_id("generate").click()
    await sign_in(page, await house.token("bob"))
    await signed_in(page, "bob")
    await expect(page.get_by_test_id("empty")).to_be_visible()
    await leaves_nothing(page, "a secret boat", "what ann types", "thunder", "Stormy", "in a dark style")
    await expect(page.get_by_test_id("steps")).to_have_value("")
    assert await preferences(page) == {}
    await page.reload()
    await signed_in(page, "bob")
    await expect(page.get_by_test_id("empty")).to_be_visible()
    assert await page.evaluate("sockets.length") == 1


async def test_signing_in_tells_the_other_tabs(house: House) -> None:
    """Of the same browser, with the same cookie: they show what the new owner has, and nothing of the former one."""
    context = await house.context()
    page, other = await house.visit(context), await house.visit(context)
    await sign_in(page, await house.token("ann"))
    for tab in (page, other):
        await signed_in(tab, "ann")
    await is_shown(tiles(await generate(other, "a secret boat")).first)
    third = await house.visit(context, f"#token={await house.token('bob')}")
    for tab in (third, page, other):
        await signed_in(tab, "bob")
        await leaves_nothing(tab, "a secret boat", ">ann<")


async def test_a_revoked_token_ends_the_page(house: House) -> None:
    context = await house.context()
    page = await house.visit(context)
    await sign_in(page, await house.token("ann"))
    await signed_in(page, "ann")
    await asyncio.to_thread(house.file.remove, "ann")
    await expect(page.get_by_test_id("sign-in")).to_be_visible()
    # It does not try again by itself.
    assert await page.evaluate("sockets.length") <= 3
    other = await house.visit(context)
    await expect(other.get_by_test_id("sign-in-why")).to_contain_text("This server asks for a token")


async def test_signing_out(house: House) -> None:
    """In all tabs of the browser; afterwards nothing is left of who was here, in the page or its storage."""
    context = await house.context()
    page = await house.visit(context)
    await sign_in(page, await house.token("ann"))
    await signed_in(page, "ann")
    other = await house.visit(context)
    await signed_in(other, "ann")
    await is_shown(tiles(await generate(page, "a secret boat")).first)
    await expect(other.get_by_test_id("generation")).to_have_count(1)
    await page.get_by_test_id("prompt").fill("what ann types")
    await page.get_by_test_id("sign-out").click()
    for tab in (page, other):
        await expect(tab.get_by_test_id("sign-in-why")).to_have_text("You have signed out.")
        await expect(tab.get_by_test_id("generation")).to_have_count(0)
        await expect(tab.get_by_test_id("sign-out")).to_be_hidden()
        await leaves_nothing(tab, "a secret boat", "what ann types", ">ann<")
    assert await context.cookies() == []
    await page.reload()
    await expect(page.get_by_test_id("sign-in")).to_be_visible()
    await sign_in(page, await house.token("bob"))
    await signed_in(page, "bob")
    await expect(page.get_by_test_id("empty")).to_be_visible()
