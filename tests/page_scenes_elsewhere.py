"""The states of the page beside images: chat, log-in, what is away; see `page_scenes.py`."""

from tempfile import TemporaryDirectory

from playwright.async_api import Page, Route, expect

from clients import eventually
from page_kit import FROZEN, has_state, live, lose_the_line
from page_world import AWAY, World, scene, shows
from xinflight.cli import serving
from xinflight.demo import Faults
from xinflight.settings import Settings


@scene
async def chat(world: World) -> Page:
    """An answer that was stopped, and one that is being written."""
    page = await world.visit()
    await page.get_by_test_id("chat-tab").click()
    world.engine.faults = Faults(freeze=12, requests=2)
    for text in ("120 words about boats", "And about lakes?"):
        await page.get_by_test_id("chat-text").fill(text)
        await page.get_by_test_id("chat-text").press("Enter")
        await expect(page.get_by_test_id("said").last).not_to_be_empty()
        if text.startswith("120"):
            await page.get_by_test_id("chat-stop").click()
            # A stopped answer is frozen, too, and would end by the timeout of its abort.
            await eventually(lambda: world.engine.aborts != [])
            world.engine.thaw()
            await expect(page.get_by_test_id("chat-note").last).to_be_visible()
    return page


@scene
async def new_chat(world: World) -> Page:
    page = await world.visit()
    await page.get_by_test_id("chat-tab").click()
    await shows(page, "chat", "chat-text")
    return page


@scene
async def sign_in(world: World) -> Page:
    url = await world.server(auth="tokens")
    page = await world.open(url.partition("#")[0])
    await page.get_by_test_id("token").fill("wrong")
    await page.get_by_test_id("token").press("Enter")
    await shows(page, "sign-in", "token-problem")
    return page


@scene
async def signed_in(world: World) -> Page:
    page = await world.open(await world.server(auth="tokens"))
    await live(page)
    await shows(page, "who", "sign-out")
    return page


@scene
async def signed_out(world: World) -> Page:
    page = await signed_in(world)
    await page.get_by_test_id("sign-out").click()
    await shows(page, "sign-in-why", "connect")
    return page


@scene
async def demo(world: World) -> Page:
    """The empty sheet of the demo, which says what it is."""
    folder = world.stack.enter_context(TemporaryDirectory())
    settings = Settings(port=0, drain=0.0, data_dir=folder)
    url, _ = await world.stack.enter_async_context(serving(settings, demo=True))
    page = await world.open(url)
    await live(page)
    await page.get_by_test_id("connection").click()
    await shows(page, "line-sheet", "line-models", "line-demo")
    return page


@scene
async def menu_of_a_phone(world: World) -> Page:
    page = await signed_in(world)
    await page.set_viewport_size({"width": 360, "height": 740})
    await page.get_by_test_id("tools-open").click()
    await shows(page, "tools", "theme")
    return page


@scene
async def notice(world: World) -> Page:
    page = await world.visit()
    await page.route("**/words/*.json", lambda route: route.fulfill(body="later"))
    await page.get_by_test_id("lang").click()
    await expect(page.get_by_test_id("notice")).to_be_visible()
    return page


@scene
async def line_lost(world: World) -> Page:
    page = await world.visit()
    await world.make(page, f"a running one{FROZEN}4", "a landed one", end=False)
    await has_state(page.get_by_test_id("tile").filter(has_text="a running one"), "running")
    await lose_the_line(page)
    await page.get_by_test_id("prompt").fill("asked for while away")
    await page.get_by_test_id("generate").click()
    return page


@scene
async def server_away(world: World) -> Page:
    """The page that is opened while its server is away."""
    page = await world.visit()
    await world.make(page, f"a running one{FROZEN}4", end=False)
    await page.context.add_init_script("window.away = true")
    await page.reload()
    await expect(page.get_by_test_id("away")).to_be_visible()
    return page


@scene
async def models_away(world: World) -> Page:
    """With what the chip says of it."""
    page = await world.visit(xinference_url=AWAY)
    await page.get_by_test_id("connection").click()
    await shows(page, "trouble", "line-cure")
    return page


@scene
async def nothing_loads(world: World) -> Page:
    page = await (await world.context()).new_page()

    async def refuse(route: Route) -> None:
        await route.abort()

    await page.route("**/first.js", refuse)
    await page.goto(await world.server())
    await expect(page.get_by_test_id("loading")).to_be_visible()
    return page


@scene
async def specifications(world: World) -> Page:
    return await world.open(f"{await world.server()}docs/")
