"""Every state of the page, each reached in a browser of its own: what tests of accessibility walk through.

A part of the page that no scene shows fails `test_page_access.py`: give it a scene here.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from playwright.async_api import Browser, BrowserContext, FilePayload, Page, Route, expect

from clients import Recorder, WireClient, painter
from conftest import Serve
from image_files import image_file
from page_kit import FROZEN, SOCKETS, has_state, is_shown, live, lose_the_line, open_settings, tiles, view
from xinflight.demo import EmulatedModel, Faults

QUICK: dict[str, Any] = {"step_seconds": 0.0, "decode_seconds": 0.0}
PAINTER = painter(abilities=("text2image", "image2image", "inpainting"), replicas=2, **QUICK)
PLAIN = painter(uid="plain", **QUICK)
ANIMATOR = EmulatedModel(uid="animator", type="video", abilities=("text2video",), **QUICK)
WRITER = EmulatedModel(uid="writer", type="LLM", abilities=("chat",), engine="transformers", step_seconds=0.0)
AWAY = "http://127.0.0.1:9"

Scene = Callable[["World"], Awaitable[Page]]
SCENES: dict[str, Scene] = {}


def scene(function: Scene) -> Scene:
    SCENES[function.__name__] = function
    return function


@dataclass
class World:
    """What scenes are set in: servers, and browsers that nobody has used."""

    browser: Browser
    emulate: Serve
    serve: Serve
    stack: AsyncExitStack
    lang: str = "en"
    scripts: list[Path] = field(default_factory=list)
    """What every page is to have beside its own scripts."""
    options: dict[str, Any] = field(default_factory=dict)
    """Of every browser."""
    engine: Recorder = field(default_factory=lambda: Recorder([PAINTER, PLAIN, ANIMATOR, WRITER]))

    async def server(self, **settings: Any) -> str:
        """Start a server that thaws, when it stops, whatever is frozen; return its URL."""
        url = await self.serve(
            **{"xinference_url": await self.emulate(self.engine), "default_size": "128x96", **settings}
        )
        self.stack.callback(self.engine.thaw)
        return url

    async def context(self) -> BrowserContext:
        options = {"viewport": {"width": 1440, "height": 900}, "service_workers": "block", **self.options}
        context = await self.browser.new_context(locale=self.lang, **options)
        self.stack.push_async_callback(context.close)
        for script in self.scripts:
            await context.add_init_script(path=script)
        await context.add_init_script(SOCKETS)
        return context

    async def open(self, url: str) -> Page:
        page = await (await self.context()).new_page()
        await page.goto(url)
        return page

    async def visit(self, **settings: Any) -> Page:
        """Open the page of a new server, live."""
        page = await self.open(await self.server(**settings))
        await live(page)
        return page

    async def make(self, page: Page, *prompts: str, end: bool = True, **fields: Any) -> None:
        """Have images made, as another device of the same owner would: the page hears of them."""
        client = await self.stack.enter_async_context(WireClient.connect(page.url.partition("#")[0]))
        ids = [str(uuid4()) for _ in prompts]
        for task_id, prompt in zip(ids, prompts, strict=True):
            given = {"steps": 10, "seed": 7, **fields}
            await client.ask(action="generate", task_id=task_id, prompt=prompt, **given)
        if end:
            await client.ends(*ids)


async def made(world: World) -> Page:
    """Open a page with images of three shapes."""
    page = await world.visit()
    for size in ("128x96", "96x128", "128x128"):
        await world.make(page, f"a lighthouse in a storm, {size}", size=size, negative_prompt="fog", guidance_scale=3)
    await expect(page.get_by_test_id("tile")).to_have_count(3)
    for number in range(3):
        await is_shown(page.get_by_test_id("tile").nth(number))
    return page


@scene
async def empty(world: World) -> Page:
    return await world.visit()


@scene
async def many_images(world: World) -> Page:
    page = await made(world)
    await tiles(page.get_by_test_id("generation").first).get_by_test_id("open").focus()
    return page


@scene
async def in_flight(world: World) -> Page:
    """Everything that a tile can be at once: landed, failed, running, being cancelled, waiting."""
    page = await world.visit()
    await world.make(page, "a landed one", "a failed one demo:error", "another failed one demo:error=odd")
    await world.make(page, f"a running one{FROZEN}4", f"one being cancelled{FROZEN}4", end=False)
    await world.make(page, "a waiting one", "a second one that waits", end=False, n=2)
    rows = page.get_by_test_id("board-row")
    await expect(rows).to_have_count(6)
    tile = page.get_by_test_id("tile").filter(has_text="one being cancelled")
    await has_state(tile, "running")
    await (
        page.get_by_test_id("board-row").filter(has_text="one being cancelled").get_by_test_id("board-cancel").click()
    )
    await has_state(tile, "cancelling")
    return page


@scene
async def cancelled(world: World) -> Page:
    """What was cancelled, with the toast that tells of it."""
    page = await world.visit()
    await world.make(page, f"a running one{FROZEN}4", f"another{FROZEN}4", "a waiting one", end=False)
    await expect(page.get_by_test_id("board-row")).to_have_count(3)
    await page.get_by_test_id("cancel-all").click()
    await expect(page.get_by_test_id("toast")).to_be_visible()
    await page.get_by_test_id("toast-act").focus()
    return page


@scene
async def paused(world: World) -> Page:
    page = await world.visit()
    await world.make(page, f"a running one{FROZEN}4", f"another{FROZEN}4", "a waiting one", end=False)
    await page.get_by_test_id("pause").click()
    await expect(page.get_by_test_id("board-all")).to_be_visible()
    return page


@scene
async def board_of_a_phone(world: World) -> Page:
    page = await world.visit()
    await page.set_viewport_size({"width": 360, "height": 740})
    await world.make(page, f"a running one{FROZEN}4", f"another{FROZEN}4", "a waiting one", "another", end=False)
    await page.get_by_test_id("ribbon").click()
    await expect(page.get_by_test_id("board")).to_be_visible()
    return page


WRONG = {"width": "65", "n": "99", "steps": "1.5", "guidance": "-1", "seed": "-1"}
"""Values that the settings refuse."""


@scene
async def settings(world: World) -> Page:
    page = await world.visit()
    await open_settings(page)
    await page.get_by_test_id("guidance").fill("0")
    await expect(page.get_by_test_id("negative-off")).to_be_visible()
    return page


@scene
async def wrong_settings(world: World) -> Page:
    page = await world.visit()
    await page.get_by_test_id("prompt").fill("a boat")
    await open_settings(page)
    await page.get_by_test_id("size").select_option("custom")
    await page.get_by_test_id("height").fill("64")
    for name, value in WRONG.items():
        await page.get_by_test_id(name).fill(value)
    await page.get_by_test_id("generate").click()
    await expect(page.locator(".problem:visible")).not_to_have_count(0)
    return page


@scene
async def settings_of_a_video(world: World) -> Page:
    page = await world.visit()
    await page.get_by_test_id("model").select_option("animator")
    await open_settings(page)
    await expect(page.get_by_test_id("frames")).to_be_visible()
    return page


@scene
async def several_lines(world: World) -> Page:
    page = await world.visit()
    await page.get_by_test_id("prompt").fill("a cat\na dog\na hen")
    await expect(page.get_by_test_id("lines")).to_be_visible()
    await page.get_by_test_id("seed-lock").click()
    return page


@scene
async def grid_settings(world: World) -> Page:
    page = await world.visit()
    await page.get_by_test_id("prompt").fill("a cat")
    await open_settings(page)
    await page.get_by_test_id("grid-rows").select_option("steps")
    await page.get_by_test_id("grid-rows-values").fill("2, odd")
    await page.get_by_test_id("grid-columns").select_option("guidance_scale")
    await page.get_by_test_id("generate").click()
    await expect(page.locator("#grid_rows_values-problem")).to_be_visible()
    return page


@scene
async def grid(world: World) -> Page:
    page = await world.visit()
    await page.get_by_test_id("prompt").fill("a cat")
    await open_settings(page)
    await page.get_by_test_id("grid-rows").select_option("steps")
    await page.get_by_test_id("grid-columns").select_option("guidance_scale")
    await page.get_by_test_id("generate").click()
    await page.get_by_test_id("toast-act").click()
    await expect(page.get_by_test_id("grid-image")).to_have_count(9)
    return page


async def start_image(world: World) -> Page:
    page = await world.visit()
    file: FilePayload = {"name": "boat.png", "mimeType": "image/png", "buffer": image_file(size=(96, 64))}
    await page.get_by_test_id("image-file").set_input_files(file)
    await expect(page.get_by_test_id("start-status")).to_contain_text("96 × 64")
    return page


@scene
async def start_from_an_image(world: World) -> Page:
    page = await start_image(world)
    await expect(page.get_by_test_id("strength")).to_be_visible()
    return page


@scene
async def start_from_no_image(world: World) -> Page:
    page = await world.visit()
    file: FilePayload = {"name": "boat.png", "mimeType": "image/png", "buffer": b"nothing of an image"}
    await page.get_by_test_id("image-file").set_input_files(file)
    await expect(page.get_by_test_id("image-problem")).to_be_visible()
    return page


@scene
async def mask_editor(world: World) -> Page:
    page = await start_image(world)
    await page.get_by_test_id("mask-open").click()
    await expect(page.get_by_test_id("mask-editor")).to_be_visible()
    return page


@scene
async def image(world: World) -> Page:
    page = await made(world)
    await view(page.get_by_test_id("generation").first)
    return page


@scene
async def compared_images(world: World) -> Page:
    page = await made(world)
    viewer = await view(page.get_by_test_id("generation").first)
    await viewer.get_by_test_id("viewer-compare").click()
    await viewer.get_by_test_id("viewer-next").click()
    await expect(page.get_by_test_id("viewer-divider")).to_be_visible()
    return page


@scene
async def shared_image(world: World) -> Page:
    page = await made(world)
    viewer = await view(page.get_by_test_id("generation").first)
    await viewer.get_by_test_id("viewer-share").click()
    await expect(page.get_by_test_id("viewer-share-note")).to_be_visible()
    return page


@scene
async def video(world: World) -> Page:
    page = await world.visit(video_size="96x64")
    await world.make(page, "a boat on a lake", model="animator", steps=2)
    await view(page.get_by_test_id("generation").first)
    await expect(page.get_by_test_id("viewer-video")).to_be_visible()
    return page


@scene
async def bell(world: World) -> Page:
    page = await world.visit()
    await page.get_by_test_id("bell").click()
    await page.get_by_test_id("bell-notify").click()
    await expect(page.get_by_test_id("bell-problem")).to_be_visible()
    return page


@scene
async def shortcuts(world: World) -> Page:
    page = await world.visit()
    await page.get_by_test_id("shortcuts-open").click()
    await expect(page.get_by_test_id("shortcuts")).to_be_visible()
    return page


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
            await expect(page.get_by_test_id("chat-note").last).to_be_visible()
    return page


@scene
async def new_chat(world: World) -> Page:
    page = await world.visit()
    await page.get_by_test_id("chat-tab").click()
    await expect(page.get_by_test_id("chat-text")).to_be_visible()
    return page


@scene
async def sign_in(world: World) -> Page:
    url = await world.server(auth="tokens")
    page = await world.open(url.partition("#")[0])
    await page.get_by_test_id("token").fill("wrong")
    await page.get_by_test_id("token").press("Enter")
    await expect(page.get_by_test_id("token-problem")).to_be_visible()
    return page


@scene
async def signed_in(world: World) -> Page:
    page = await world.open(await world.server(auth="tokens"))
    await live(page)
    await expect(page.get_by_test_id("sign-out")).to_be_visible()
    return page


@scene
async def signed_out(world: World) -> Page:
    page = await signed_in(world)
    await page.get_by_test_id("sign-out").click()
    await expect(page.get_by_test_id("sign-in-why")).to_be_visible()
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
    await expect(page.get_by_test_id("line-cure")).to_be_visible()
    return page


@scene
async def nothing_loads(world: World) -> Page:
    page = await (await world.context()).new_page()

    async def refuse(route: Route) -> None:
        await route.abort()

    await page.route("**/ui/dom.js", refuse)
    await page.goto(await world.server())
    await expect(page.get_by_test_id("loading")).to_be_visible()
    return page


@scene
async def specifications(world: World) -> Page:
    return await world.open(f"{await world.server()}docs/")


async def settle(page: Page) -> None:
    """Let what moves come to its end: a colour on its way from one to another is neither."""
    async with asyncio.timeout(60):
        await page.evaluate("""Promise.all(document.getAnimations().map((animation) => {
          if (animation.effect?.getComputedTiming().endTime !== Infinity) return animation.finished.catch(() => {});
        }))""")
