"""What the scenes of `page_scenes.py` are set in: servers, and browsers that nobody has used."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any
from uuid import uuid4

from playwright.async_api import Browser, BrowserContext, Page, expect

from clients import Recorder, WireClient, painter
from conftest import Serve
from page_kit import SOCKETS, live
from xinflight.demo import EmulatedModel

QUICK: dict[str, Any] = {"step_seconds": 0.0, "decode_seconds": 0.0}
PAINTER = painter(abilities=("text2image", "image2image", "inpainting"), replicas=2, **QUICK)
PLAIN = painter(uid="plain", **QUICK)
ANIMATOR = EmulatedModel(uid="animator", type="video", abilities=("text2video",), **QUICK)
WRITER = EmulatedModel(uid="writer", type="LLM", abilities=("chat",), engine="transformers", step_seconds=0.0)
MODELS = [PAINTER, PLAIN, ANIMATOR, WRITER]
SETTLED = """async () => {
  const drawn = () => new Promise((drawn) => requestAnimationFrame(drawn));
  const moves = ({ effect, playState }) => playState === "running"
    && effect?.getComputedTiming().endTime !== Infinity;
  // The sheet hears of a new width after the first frame; before it, its rows are as wide as the window was.
  await drawn();
  await drawn();
  // What ends lets others begin: the colour of a button is that of its parent.
  for (let moving; (moving = document.getAnimations().filter(moves)).length > 0; await drawn()) {
    for (const animation of moving) animation.finish();
  }
}"""
SCENE_MODULES = ("page_scenes", "page_scenes_elsewhere", "page_scenes_at_times", "page_scenes_operator")
AWAY = "http://127.0.0.1:9"

Scene = Callable[["World"], Awaitable[Page]]
_SCENES: dict[str, Scene] = {}


def scene(function: Scene) -> Scene:
    """Make a function one of the states that are walked through."""
    _SCENES[function.__name__] = function
    return function


def all_scenes() -> dict[str, Scene]:
    """Return every state by its name."""
    for module in SCENE_MODULES:
        import_module(module)
    return _SCENES


async def shows(page: Page, *names: str) -> None:
    """Expect what has one of these test ids to be in sight; what no scene expects, `test_page_states.py` reports."""
    for name in names:
        await expect(page.get_by_test_id(name).locator("visible=true").first).to_be_visible()


@dataclass
class World:
    """What scenes are set in: servers, and browsers that nobody has used."""

    browser: Browser
    emulate: Serve
    serve: Serve
    stack: AsyncExitStack
    lang: str = "en"
    scripts: list[str] = field(default_factory=list)
    """Sources of what every page is to have beside its own scripts."""
    options: dict[str, Any] = field(default_factory=dict)
    """Of every browser."""
    engine: Recorder = field(default_factory=lambda: Recorder(MODELS))

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
            await context.add_init_script(script)
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


async def settle(page: Page) -> None:
    """Let the page be laid out for its size, and take what moves to its end."""
    async with asyncio.timeout(60):
        await page.evaluate(SETTLED)
