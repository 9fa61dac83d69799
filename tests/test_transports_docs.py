"""What transports.md shows works as it stands, but for the address; what its tables name is there."""

import asyncio
import re
import sys
from pathlib import Path

import pytest
from aiohttp import web
from playwright.async_api import Browser

from clients import Recorder
from page_kit import SOON
from test_docs import fences, table
from xinflight.app import setup
from xinflight.demo import Faults
from xinflight.protocol import CODECS

pytest_plugins = ["page_fixtures"]

TRANSPORTS = (Path(__file__).parent.parent / "docs" / "transports.md").read_text("utf-8")
ADDRESS = "http://127.0.0.1:8000"
SHELL = fences(TRANSPORTS, "sh")
PYTHON = fences(TRANSPORTS, "python")
SCRIPT = fences(TRANSPORTS, "js")


def test_there_is_an_example_of_each() -> None:
    assert (len(SHELL), len(PYTHON), len(SCRIPT)) == (1, 3, 3)
    assert ["import aiohttp" in PYTHON[0], "import OpenAI" in PYTHON[1], "chat.completions" in PYTHON[2]] == [
        True
    ] * 3


async def run(folder: Path, *command: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *command, cwd=folder, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said = (await process.communicate())[0].decode()
    assert process.returncode == 0, said
    return said


@pytest.mark.process
async def test_the_shell_lines(server: str, engine: Recorder, tmp_path: Path) -> None:
    (text,) = SHELL
    said = await run(tmp_path, "bash", "-ec", text.replace(ADDRESS, server.rstrip("/")))
    assert said.count('"progress":') >= 2
    assert '"type":"result"' in said
    assert (tmp_path / "boat.jpg").read_bytes().startswith(b"\xff\xd8\xff")
    assert "HTTP/1.1 202 Accepted" in said
    assert '"index":3' in said
    assert '"type":"cancelled"' in said
    assert '"code"' not in said, "nothing is refused"
    assert set(engine.prompts) <= {"a red boat", "a heron", "a gull"}


@pytest.mark.process
async def test_aiohttp(server: str, tmp_path: Path) -> None:
    said = await run(tmp_path, sys.executable, "-W", "error", "-c", PYTHON[0].replace(ADDRESS, server.rstrip("/")))
    kinds = [line.partition(" ")[0] for line in said.splitlines()]
    assert [kind for kind in kinds if kind not in ("progress", "queue")] == ["accepted", "output", "output", "result"]
    assert len(re.findall(r"^output  http://\S+/outputs/\S+$", said, re.MULTILINE)) == 2


@pytest.mark.process
async def test_openai(server: str, tmp_path: Path) -> None:
    said = await run(tmp_path, sys.executable, "-W", "error", "-c", PYTHON[1].replace(ADDRESS, server.rstrip("/")))
    models, *urls, streamed = said.splitlines()
    assert models == "['painter']"
    assert [url.startswith(f"{server}outputs/") for url in urls] == [True, True]
    assert re.fullmatch(r"image_generation\.completed \d+", streamed)


@pytest.mark.process
async def test_openai_chats(demo_url: str, tmp_path: Path) -> None:
    said = await run(tmp_path, sys.executable, "-W", "error", "-c", PYTHON[2].replace(ADDRESS, demo_url.rstrip("/")))
    first, again = said.splitlines()
    assert re.fullmatch(r"This text is written by the demo.* \d+", first)
    assert again.startswith("This text is written by the demo")


async def test_the_javascript_client(server: str, browser: Browser) -> None:
    page = await browser.new_page(bypass_csp=True)
    await page.goto(f"{server}healthz")
    await page.evaluate(f"(async () => {{ {SCRIPT[0]} }})()")
    images = page.locator("body > img")
    assert await images.count() == 2
    for image in await images.all():
        assert await image.evaluate("async (image) => { await image.decode(); return image.naturalWidth }") == 64
    assert re.fullmatch(r"Image [12]: \d+ %", await page.title())


async def test_the_javascript_client_chats(demo_url: str, browser: Browser) -> None:
    page = await browser.new_page(bypass_csp=True)
    await page.goto(f"{demo_url}healthz")
    await page.evaluate(f"(async () => {{ {SCRIPT[1]} }})()")
    assert (await page.locator("p").inner_text()).startswith("This text is written by the demo")


async def test_event_source(server: str, browser: Browser, engine: Recorder) -> None:
    engine.faults = Faults(freeze=4)
    page = await browser.new_page(bypass_csp=True)
    await page.goto(f"{server}healthz")
    await page.evaluate(f"(async () => {{ {SCRIPT[2]} }})()")
    await page.wait_for_function("/^\\d+ %$/.test(document.title)", timeout=SOON)
    engine.thaw()
    image = page.locator("body > img")
    await image.wait_for(timeout=SOON)
    assert await image.evaluate("async (image) => { await image.decode(); return image.naturalWidth }") == 64


@pytest.mark.parametrize("protocol", CODECS)
def test_sub_protocols_are_named(protocol: str) -> None:
    assert protocol in TRANSPORTS or protocol.endswith("json")


def test_every_route_is_in_the_table() -> None:
    app = web.Application()
    setup(app)
    there = {
        f"{route.method} {re.sub('(task|share|upload)_id', 'id', route.resource.canonical)}"
        for route in app.router.routes()
        if route.resource is not None and route.method not in ("HEAD", "OPTIONS")
    }
    assert set(table(TRANSPORTS, "| request | answer |")) == {route for route in there if " /api/" in route}
