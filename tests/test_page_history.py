"""What the page keeps: over a reload, a lost line, a restart, in two windows, and in its gallery."""

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from aiohttp.test_utils import unused_port
from playwright.async_api import Page, expect

from conftest import Serve
from kit import Recorder, WireClient, painter
from page_kit import SOON, Open, find_the_line, fits, generate, has_state, is_shown, live, lose_the_line, tiles
from xinflight.config import Settings
from xinflight.serve import serving

pytest_plugins = ["page_fixtures"]

QUICK = painter(step_seconds=0.0, decode_seconds=0.0)
SLOW = painter(step_seconds=0.15)


async def shown(page: Page) -> list[int]:
    """Return the percentages on the page, the newest generation first."""
    percentages: list[int] = await page.get_by_test_id("progress").evaluate_all(
        "bars => bars.map((bar) => Number(bar.getAttribute('aria-valuenow')))"
    )
    return percentages


async def make(url: str, *prompts: str) -> None:
    """Have pictures made by another client, until they are there."""
    async with WireClient.connect(url) as client:
        for at, prompt in enumerate(prompts):
            await client.send(action="generate", prompt=prompt, task_id=prompt, seed=1000 + at, size="64x64", steps=1)
            await client.ends(prompt)


async def test_a_reload_brings_the_tiles_back_with_their_progress(visit: Open) -> None:
    page = await visit()
    await expect(page.get_by_test_id("empty")).to_be_visible()
    done = await generate(page, "a short road", steps=2)
    await is_shown(tiles(done))
    running = await generate(page, "a long road", steps=40, n=2)
    bar = tiles(running).first.get_by_test_id("progress")
    await expect(bar).to_have_attribute("aria-valuenow", re.compile("[1-9]."), timeout=SOON)
    before = (await shown(page))[0]
    await page.reload()
    await has_state(tiles(running).first, "running")
    assert (await shown(page))[0] >= before
    await expect(page.get_by_test_id("connection")).to_have_text("live")
    await is_shown(tiles(done))
    await expect(page.get_by_test_id("generation")).to_have_count(2)
    await tiles(running).nth(1).get_by_test_id("cancel-picture").click()
    await is_shown(tiles(running).first)
    await has_state(tiles(running).nth(1), "cancelled")
    # Nobody is told of what was there before.
    await expect(page.get_by_test_id("announcer")).not_to_contain_text("a short road")


async def test_a_lost_line_is_found_again_and_nothing_is_missing(visit: Open, demo_url: str) -> None:
    page = await visit()
    generation = await generate(page, "two owls", steps=12, n=2)
    await has_state(tiles(generation).first, "running")
    await lose_the_line(page)
    while_away = await generate(page, "asked while away", steps=2)
    await expect(tiles(while_away).get_by_test_id("step")).to_have_text("goes out when connected")
    async with WireClient.connect(demo_url) as other:
        # Two pictures and the end of one task, the beginning, the picture and the end of another.
        await other.send(action="follow", scope="all")
        await make(demo_url, "made-while-away")
        await other.until(lambda message: message["type"] == "result" and len(message["data"]["data"]) == 2)
    await find_the_line(page)
    await expect(page.get_by_test_id("connection")).to_have_text("resumed, 6 events caught up")
    for tile_owner in (generation, while_away, page.locator('[data-task="made-while-away"]')):
        await is_shown(tiles(tile_owner).last)
    assert await page.evaluate("sockets.length") == 2
    await expect(page.get_by_test_id("generation")).to_have_count(3)


async def test_a_line_cut_again_and_again_shows_what_an_undisturbed_one_does(visit: Open) -> None:
    page, undisturbed = await visit(), await visit()
    generation = await generate(page, "a patient heron", steps=30, n=2)
    seen = [0]
    while await generation.get_attribute("data-state") != "ended":
        await page.evaluate("sockets.at(-1).close()")
        await expect(page.get_by_test_id("connection")).to_contain_text("resumed", timeout=SOON)
        seen.append((await shown(page))[0])
    assert seen == sorted(seen)
    assert len(seen) > 3
    for window in (page, undisturbed):
        pictures = window.get_by_test_id("tile")
        await expect(pictures).to_have_count(2)
        await is_shown(pictures.nth(0))
        await is_shown(pictures.nth(1))
    seeds = [await window.get_by_test_id("seed-value").all_text_contents() for window in (page, undisturbed)]
    assert seeds[0] == seeds[1]


async def test_what_was_not_sent_yet_survives_a_reload(visit: Open) -> None:
    page = await visit()
    await lose_the_line(page)
    generation = await generate(page, "a letter", steps=2)
    await page.reload()
    await live(page)
    await is_shown(tiles(generation))
    await page.reload()
    await is_shown(tiles(generation))
    await expect(page.get_by_test_id("generation")).to_have_count(1)


async def test_two_windows_agree(visit: Open) -> None:
    left, right = await visit(), await visit()
    started_left = await generate(left, "a mill", steps=100)
    in_right = tiles(right.get_by_test_id("generation"))
    await has_state(in_right, "running")
    await in_right.get_by_test_id("cancel-picture").click()
    await has_state(tiles(started_left), "cancelled")
    await has_state(in_right, "cancelled")
    await expect(in_right.get_by_test_id("verdict")).to_contain_text("Stopped after")

    await generate(right, "a barn", steps=2)
    for window in (left, right):
        await is_shown(tiles(window.get_by_test_id("generation").first))
        await expect(window.get_by_test_id("generation")).to_have_count(2)
    await left.get_by_test_id("delete").first.click()
    await left.get_by_test_id("confirm-delete").click()
    for window in (left, right):
        await expect(window.get_by_test_id("generation")).to_have_count(1)
        await expect(window.get_by_test_id("generation")).to_contain_text("a mill")


async def test_cancel_all_is_for_all_windows(visit: Open) -> None:
    left, right = await visit(), await visit()
    await generate(left, "a mill", steps=100)
    await generate(right, "a barn", steps=100)
    await expect(left.get_by_test_id("generation")).to_have_count(2)
    await left.get_by_test_id("cancel-all").click()
    for window in (left, right):
        for nth in range(2):
            await has_state(window.get_by_test_id("tile").nth(nth), "cancelled")


async def test_what_was_deleted_while_away_is_gone(visit: Open, demo_url: str) -> None:
    await make(demo_url, "kept", "deleted")
    page = await visit()
    await expect(page.get_by_test_id("generation")).to_have_count(2)
    await lose_the_line(page)
    async with WireClient.connect(demo_url) as other:
        await other.ask(action="delete", task_id="deleted")
    await find_the_line(page)
    await expect(page.get_by_test_id("generation")).to_have_count(1)
    await expect(page.get_by_test_id("generation")).to_contain_text("kept")


async def test_a_restarted_server_goes_on(open_page: Open, emulate: Serve, tmp_path: Path) -> None:
    engine_url = await emulate(Recorder([SLOW]))
    settings = Settings(xinference_url=engine_url, port=unused_port(), data_dir=str(tmp_path / "data"), drain=0.0)
    async with AsyncExitStack() as first:
        url, _ = await first.enter_async_context(serving(settings, demo=False))
        page = await open_page(url, restarts=True)
        running, queued = [await generate(page, prompt, steps=30) for prompt in ("a running fox", "a waiting fox")]
        await expect(tiles(running).get_by_test_id("progress")).to_have_attribute(
            "aria-valuenow", re.compile("[1-9]."), timeout=SOON
        )
    await expect(page.get_by_test_id("connection")).to_contain_text("server restarts")
    while_away = await generate(page, "asked while away", steps=2)
    async with serving(settings, demo=False):
        await live(page)
        await expect(page.get_by_test_id("connection")).to_contain_text("server restarted · resumed")
        for generation in (running, queued, while_away):
            await is_shown(tiles(generation))
        await expect(page.get_by_test_id("generation")).to_have_count(3)


async def test_a_killed_server_goes_on(open_page: Open, tmp_path: Path) -> None:
    port = unused_port()
    async with demo_process(port, tmp_path) as server:
        page = await open_page(f"http://127.0.0.1:{port}/", restarts=True)
        running = await generate(page, "a falcon", steps=40)
        await expect(tiles(running).get_by_test_id("progress")).to_have_attribute(
            "aria-valuenow", re.compile("[1-9]."), timeout=SOON
        )
        server.kill()
        await server.wait()
    await expect(page.get_by_test_id("connection")).not_to_have_attribute("data-state", "live")
    async with demo_process(port, tmp_path):
        await live(page)
        await expect(page.get_by_test_id("connection")).to_contain_text("resumed")
        await is_shown(tiles(running))
        await expect(page.get_by_test_id("generation")).to_have_count(1)


@asynccontextmanager
async def demo_process(port: int, folder: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run `xinflight serve --demo` until the end of the block; it is reachable when the block begins."""
    code = "from xinflight.cli import main; main()"
    arguments = ["serve", "--demo", "--port", str(port), "--data-dir", str(folder / "demo")]
    server = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, *arguments, stderr=asyncio.subprocess.PIPE, start_new_session=True
    )
    assert server.stderr is not None
    try:
        async with asyncio.timeout(30):
            while b"xinflight is at" not in await server.stderr.readline():
                assert server.returncode is None
        yield server
    finally:
        if server.returncode is None:
            os.killpg(server.pid, signal.SIGKILL)
        await server.communicate()


async def test_a_server_that_forgot_everything_is_believed(open_page: Open, emulate: Serve, tmp_path: Path) -> None:
    port = unused_port()
    engine_url = await emulate(Recorder([SLOW]))

    def settings(folder: str) -> Settings:
        return Settings(xinference_url=engine_url, port=port, data_dir=str(tmp_path / folder), drain=0.0)

    async with AsyncExitStack() as first:
        url, _ = await first.enter_async_context(serving(settings("old"), demo=False))
        page = await open_page(url, restarts=True)
        done = await generate(page, "a finished fox", steps=1)
        await is_shown(tiles(done))
        running = await generate(page, "a running fox", steps=100)
        await has_state(tiles(running), "running")
    async with serving(settings("new"), demo=False):
        await expect(page.get_by_test_id("connection")).to_contain_text("loaded anew", timeout=SOON)
        await has_state(tiles(running), "failed")
        await expect(tiles(running).get_by_test_id("verdict")).to_contain_text("does not know this generation")
        await expect(page.get_by_test_id("generation")).to_have_count(1)


async def test_the_gallery_is_paged_used_again_and_thinned_out(open_page: Open, emulate: Serve, serve: Serve) -> None:
    url = await serve(xinference_url=await emulate(Recorder([QUICK])))
    await make(url, *(f"picture-{at}" for at in range(53)))
    page = await open_page(url)
    generations = page.get_by_test_id("generation")
    await expect(generations).to_have_count(50)
    await expect(page.get_by_test_id("counts")).to_have_text("50+ ready")
    await expect(generations.first).to_contain_text("picture-52")
    await expect(generations.first.get_by_test_id("when")).to_have_text(re.compile(r"^\d+:\d\d\s[AP]M$"))
    await expect(generations.first).to_contain_text("painter · 64 × 64 · 1 step".replace(" ", "\u00a0"))
    await page.get_by_test_id("more").click()
    await expect(generations).to_have_count(53)
    await expect(page.get_by_test_id("more")).to_be_hidden()
    await expect(page.get_by_test_id("counts")).to_have_text("53 ready")
    await expect(generations.last).to_contain_text("picture-0")
    await expect(generations.nth(50)).to_be_focused()
    await generations.last.scroll_into_view_if_needed()
    await is_shown(tiles(generations.last))

    await generations.last.get_by_test_id("reuse").click()
    for field, value in {"prompt": "picture-0", "seed": "1000", "steps": "1", "n": "1"}.items():
        await expect(page.get_by_test_id(field)).to_have_value(value)
    await expect(page.get_by_test_id("size")).to_have_value("custom")
    await expect(page.get_by_test_id("width")).to_have_value("64")

    await generations.last.get_by_test_id("delete").click()
    await expect(page.get_by_test_id("confirm")).to_contain_text("picture-0")
    await page.keyboard.press("Escape")
    await expect(page.get_by_test_id("confirm")).to_be_hidden()
    await expect(generations).to_have_count(53)
    picture = await tiles(generations.last).get_by_test_id("image").get_attribute("src")
    await generations.last.get_by_test_id("delete").click()
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await expect(generations).to_have_count(52)
    await expect(generations.last).to_be_focused()
    assert picture is not None
    assert (await page.request.get(picture)).status == 404
    await page.reload()
    await expect(generations).to_have_count(50)
    await expect(page.get_by_test_id("empty")).to_be_hidden()


@pytest.mark.parametrize("lang", ["en", "zh-CN"])
async def test_the_gallery_fits_a_phone(open_page: Open, emulate: Serve, serve: Serve, lang: str) -> None:
    url = await serve(xinference_url=await emulate(Recorder([QUICK])))
    await make(url, *(f"{'long-' * 8}{at}" for at in range(51)))
    page = await open_page(url, lang=lang, width=360)
    # Only who has listed everything can resume.
    await expect(page.get_by_test_id("more")).to_be_visible()
    await lose_the_line(page)
    await fits(page)
    await find_the_line(page)
    await expect(page.get_by_test_id("connection")).to_have_text(re.compile("resumed|已恢复"))
    await expect(page.get_by_test_id("more")).to_be_visible()
    await fits(page)
    await page.get_by_test_id("delete").first.click()
    await expect(page.get_by_test_id("confirm-keep")).to_be_focused()
    await fits(page)


async def test_an_old_unfinished_one_is_found_behind_many_finished(
    open_page: Open, emulate: Serve, serve: Serve
) -> None:
    slow, quick = painter(uid="slow", step_seconds=0.2), painter(uid="quick", step_seconds=0.0, decode_seconds=0.0)
    url = await serve(xinference_url=await emulate(Recorder([quick, slow])))
    async with WireClient.connect(url) as client:
        await client.send(action="generate", prompt="old", task_id="old", model="slow", steps=200, size="64x64")
        await make(url, *(f"picture-{at}" for at in range(51)))
        page = await open_page(url)
        await expect(page.get_by_test_id("generation")).to_have_count(51)
        old = page.locator('[data-task="old"]')
        await has_state(tiles(old), "running")
        await page.get_by_test_id("cancel-all").click()
        await has_state(tiles(old), "cancelled")
        await page.get_by_test_id("more").click()
        await expect(page.get_by_test_id("generation")).to_have_count(52)
        await old.get_by_test_id("delete").click()
        await expect(page.get_by_test_id("generation")).to_have_count(51)


async def test_a_cancel_of_one_of_several_tells_what_it_achieved(visit: Open) -> None:
    page = await visit()
    generation = await generate(page, "three foxes", steps=40, n=3)
    await has_state(tiles(generation).first, "running")
    # Two replicas draw the first two.
    for index, verdict in ((2, "no computing was spent"), (0, "Stopped: the model is free")):
        await tiles(generation).nth(index).get_by_test_id("cancel-picture").click()
        await expect(tiles(generation).nth(index).get_by_test_id("verdict")).to_contain_text(verdict, timeout=SOON)


async def test_a_cursor_moves_only_when_nothing_older_can_come(visit: Open, demo_url: str) -> None:
    page = await visit()
    cursors = await page.evaluate(
        f"""import('{demo_url}assets/cursor.js').then(({{ Cursor }}) => {{
          const cursor = new Cursor();
          const told = [cursor.after];
          const then = (act) => {{ act(); told.push(cursor.after); }};
          then(() => {{ cursor.begin("e"); cursor.see(9); }});
          then(() => cursor.settle("e:7"));
          then(() => {{ cursor.see(12); cursor.see(11); }});
          then(() => {{ cursor.begin("e"); cursor.see(20); }});
          then(() => {{ cursor.begin("e"); cursor.settle("e:15"); }});
          then(() => cursor.begin("other"));
          return told;
        }})"""
    )
    assert cursors == [None, None, "e:9", "e:12", "e:12", "e:15", None]
