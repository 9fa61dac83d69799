"""What the page keeps: over a reload, a lost line, a restart, in two windows, and in its gallery."""

import asyncio
import re
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from clients import PAINTER, Recorder, WireClient, painter
from conftest import Serve
from page_kit import (
    FROZEN,
    QUICK,
    Open,
    Studio,
    find_the_line,
    fits,
    generate,
    has_state,
    is_shown,
    live,
    lose_the_line,
    tiles,
    view,
)
from server_process import running as server_process
from xinflight.cli import serving
from xinflight.settings import Settings

pytest_plugins = ["page_fixtures"]


async def shown(page: Page) -> list[int]:
    """Return the percentages on the page, the newest generation first."""
    percentages: list[int] = await page.get_by_test_id("progress").evaluate_all(
        "bars => bars.map((bar) => Number(bar.getAttribute('aria-valuenow')))"
    )
    return percentages


async def make(url: str, *prompts: str) -> None:
    """Have images made by another client, until they are there."""
    async with WireClient.connect(url) as client:
        for at, prompt in enumerate(prompts):
            await client.send(action="generate", prompt=prompt, task_id=prompt, seed=1000 + at, size="80x64", steps=1)
        await client.ends(*prompts)


async def test_a_reload_brings_the_tiles_back_with_their_progress(studio: Studio) -> None:
    page = await studio.visit()
    await expect(page.get_by_test_id("empty")).to_be_visible()
    done = await generate(page, "a short road", steps=2)
    await is_shown(tiles(done))
    running = await generate(page, f"a long road{FROZEN}4", n=2)
    bar = tiles(running).first.get_by_test_id("progress")
    await expect(bar).to_have_attribute("aria-valuenow", "40")
    await has_state(tiles(running).nth(1), "running")
    await page.reload()
    await expect(bar).to_have_attribute("aria-valuenow", "40")
    await expect(page.get_by_test_id("connection")).to_have_text("painter ready")
    await is_shown(tiles(done))
    await expect(page.get_by_test_id("generation")).to_have_count(2)
    await tiles(running).nth(1).get_by_test_id("cancel-image").click()
    await studio.abort()
    await expect(tiles(running)).to_have_count(1)
    await is_shown(tiles(running))
    # Nobody is told of what was there before.
    await expect(page.get_by_test_id("announcer")).not_to_contain_text("a short road")


async def test_a_lost_line_is_found_again_and_nothing_is_missing(studio: Studio) -> None:
    page = await studio.visit()
    generation = await generate(page, f"two owls{FROZEN}4", n=2)
    await has_state(tiles(generation).first, "running")
    await lose_the_line(page)
    while_away = await generate(page, "asked while away", steps=2)
    await expect(tiles(while_away).get_by_test_id("step")).to_have_text("will be sent when connected")
    async with WireClient.connect(studio.url) as other:
        # Two images and the end of one task, the beginning, the image and the end of another.
        await other.ask(action="follow", scope="all")
        studio.engine.thaw()
        await make(studio.url, "made-while-away")
        await other.until(lambda message: message["type"] == "result" and len(message["data"]["data"]) == 2)
    await find_the_line(page)
    await expect(page.get_by_test_id("connection")).to_have_text("resumed, 6 events caught up")
    for tile_owner in (generation, while_away, page.locator('[data-task="made-while-away"]')):
        await is_shown(tiles(tile_owner).last)
    assert await page.evaluate("sockets.length") == 2
    await expect(page.get_by_test_id("generation")).to_have_count(3)


async def test_a_line_cut_again_and_again_shows_what_an_undisturbed_one_does(studio: Studio) -> None:
    page, undisturbed = await studio.visit(), await studio.visit()
    generation = await generate(page, f"a patient heron{FROZEN}4", n=2)
    await has_state(tiles(generation).last, "running")
    seen: list[int] = []
    while await generation.get_attribute("data-state") != "ended":
        if len(seen) == 3:
            studio.engine.thaw()
        await lose_the_line(page)
        await find_the_line(page)
        await expect(page.get_by_test_id("connection")).to_contain_text("resumed")
        seen.append((await shown(page))[0])
    assert seen[:3] == [40, 40, 40]
    assert seen == sorted(seen)
    for window in (page, undisturbed):
        images = window.get_by_test_id("tile")
        await expect(images).to_have_count(2)
        await is_shown(images.nth(0))
        await is_shown(images.nth(1))
    titles = "all => all.map(({ title }) => title)"
    seeds = [await window.get_by_test_id("reuse").evaluate_all(titles) for window in (page, undisturbed)]
    assert seeds[0] == seeds[1]


async def test_what_was_not_sent_yet_survives_a_reload(studio: Studio) -> None:
    page = await studio.visit()
    await lose_the_line(page)
    generation = await generate(page, "a letter", steps=2)
    await page.reload()
    await live(page)
    await is_shown(tiles(generation))
    await page.reload()
    await is_shown(tiles(generation))
    await expect(page.get_by_test_id("generation")).to_have_count(1)


async def test_the_newest_stands_first_before_and_after_it_was_accepted(studio: Studio) -> None:
    page = await studio.visit()
    await lose_the_line(page)
    generations = [await generate(page, f"asked {when}", steps=1) for when in ("first", "second", "third")]
    prompts = page.get_by_test_id("tile-prompt")
    newest_first = [re.compile(f"asked {when}") for when in ("third", "second", "first")]
    # What is in flight stands in the order in which it lands.
    await expect(prompts).to_have_text(newest_first[::-1])
    for _ in range(2):
        await page.reload()
        for generation in generations:
            await is_shown(tiles(generation))
        await expect(prompts).to_have_text(newest_first)


async def test_two_windows_agree(studio: Studio) -> None:
    left, right = await studio.visit(), await studio.visit()
    started_left = await generate(left, f"a mill{FROZEN}4")
    in_right = tiles(right.get_by_test_id("generation"))
    await has_state(in_right, "running")
    await in_right.get_by_test_id("cancel-image").click()
    await studio.abort()
    for window in (left, right):
        await expect(window.get_by_test_id("generation")).to_have_count(0)
        toast = window.get_by_test_id("toast")
        await expect(toast).to_have_text(re.compile("“a mill demo:freeze=4” stopped .+ s after the cancel"))
    await expect(started_left).to_have_count(0)

    await generate(right, "a barn", steps=2)
    for window in (left, right):
        await is_shown(tiles(window.get_by_test_id("generation")))
    await (
        (await view(left.get_by_test_id("generation").filter(has_text="a barn")))
        .get_by_test_id("viewer-delete")
        .click()
    )
    for window in (left, right):
        await expect(window.get_by_test_id("generation")).to_have_count(0)
        await expect(window.get_by_test_id("empty")).to_be_visible()


async def test_cancel_all_is_for_all_windows(studio: Studio) -> None:
    left, right = await studio.visit(), await studio.visit()
    await generate(left, f"a mill{FROZEN}4")
    await generate(right, f"a barn{FROZEN}4")
    for nth in range(2):
        await has_state(left.get_by_test_id("tile").nth(nth), "running")
    await left.get_by_test_id("cancel-all").click()
    await studio.abort(2)
    for window in (left, right):
        await expect(window.get_by_test_id("generation")).to_have_count(0)
        await expect(window.get_by_test_id("toast")).to_contain_text("2 images stopped")


async def test_what_was_deleted_while_away_is_gone(studio: Studio) -> None:
    await make(studio.url, "kept", "deleted")
    page = await studio.visit()
    await expect(page.get_by_test_id("generation")).to_have_count(2)
    await lose_the_line(page)
    async with WireClient.connect(studio.url) as other:
        await other.ask(action="delete", task_id="deleted")
    await find_the_line(page)
    await expect(page.get_by_test_id("generation")).to_have_count(1)
    await expect(page.get_by_test_id("generation")).to_contain_text("kept")


async def test_a_restarted_server_goes_on(
    open_page: Open, emulate: Serve, tmp_path: Path, unused_tcp_port: int
) -> None:
    engine = Recorder([PAINTER])
    engine_url = await emulate(engine)
    settings = Settings(xinference_url=engine_url, port=unused_tcp_port, data_dir=str(tmp_path / "data"), drain=0.0)
    async with AsyncExitStack() as first:
        url, _ = await first.enter_async_context(serving(settings, demo=False))
        page = await open_page(url, restarts=True)
        running, queued = [await generate(page, f"a {what} fox{FROZEN}4") for what in ("running", "waiting")]
        await has_state(tiles(running), "running")
        stopping = asyncio.create_task(first.aclose())
        await expect(page.get_by_test_id("connection")).to_contain_text("server restarts")
        # A server that stops waits a while for what it aborted.
        engine.thaw()
        await stopping
    while_away = await generate(page, "asked while away", steps=2)
    async with serving(settings, demo=False):
        await find_the_line(page)
        await expect(page.get_by_test_id("connection")).to_contain_text("server restarted · resumed")
        for generation in (running, queued, while_away):
            await is_shown(tiles(generation))
        await expect(page.get_by_test_id("generation")).to_have_count(3)


async def test_a_killed_server_goes_on(open_page: Open, emulate: Serve, tmp_path: Path, unused_tcp_port: int) -> None:
    engine = Recorder([PAINTER])
    upstream, port = await emulate(engine), unused_tcp_port
    async with server_process(tmp_path, upstream, port=port, default_size="64x64") as server:
        page = await open_page(server.url, restarts=True)
        generation = await generate(page, f"a falcon{FROZEN}4")
        await has_state(tiles(generation), "running")
        await server.kill()
    await expect(page.get_by_test_id("connection")).not_to_have_attribute("data-state", "live")
    engine.thaw()
    async with server_process(tmp_path, upstream, port=port, default_size="64x64"):
        await find_the_line(page)
        await expect(page.get_by_test_id("connection")).to_contain_text("resumed")
        await is_shown(tiles(generation))
        await expect(page.get_by_test_id("generation")).to_have_count(1)


async def test_a_server_that_forgot_everything_is_believed(
    open_page: Open, emulate: Serve, tmp_path: Path, unused_tcp_port: int
) -> None:
    engine = Recorder([PAINTER])
    engine_url = await emulate(engine)

    def settings(folder: str) -> Settings:
        return Settings(xinference_url=engine_url, port=unused_tcp_port, data_dir=str(tmp_path / folder), drain=0.0)

    async with AsyncExitStack() as first:
        url, _ = await first.enter_async_context(serving(settings("old"), demo=False))
        page = await open_page(url, restarts=True)
        done = await generate(page, "a finished fox", steps=1)
        await is_shown(tiles(done))
        running = await generate(page, f"a running fox{FROZEN}4")
        await has_state(tiles(running), "running")
        stopping = asyncio.create_task(first.aclose())
        await expect(page.get_by_test_id("connection")).not_to_have_attribute("data-state", "live")
        engine.thaw()
        await stopping
    async with serving(settings("new"), demo=False):
        await find_the_line(page)
        await expect(page.get_by_test_id("connection")).to_contain_text("everything reloaded")
        await has_state(tiles(running), "failed")
        await expect(tiles(running).get_by_test_id("verdict")).to_contain_text("does not know this generation")
        await expect(page.get_by_test_id("generation")).to_have_count(1)


async def test_the_sheet_reaches_back_used_again_and_thinned_out(studio: Studio) -> None:
    await make(studio.url, *(f"image-{at}" for at in range(53)))
    page = await studio.visit()
    newest, oldest = (page.locator(f'[data-task="image-{at}"]') for at in (52, 0))
    await is_shown(tiles(newest))
    await expect(page.get_by_test_id("tile").first).to_have_attribute("aria-label", re.compile("image-52"))
    # Where the end of what is known comes near the window, the next page comes by itself.
    await page.keyboard.press("End")
    await expect(page.get_by_test_id("counts")).to_have_text("53 ready")
    await expect(page.get_by_test_id("more")).to_be_hidden()
    await expect(page.get_by_test_id("day").locator("h3")).to_have_text("Today 53 images")

    # Only what is near the window is in the document.
    await page.keyboard.press("Home")
    await is_shown(tiles(newest))
    await expect(oldest).to_have_count(0)
    await page.keyboard.press("End")
    await is_shown(tiles(oldest))
    await expect(newest).to_have_count(0)

    await tiles(oldest).hover()
    await tiles(oldest).get_by_test_id("reuse").click()
    for field, value in {"prompt": "image-0", "seed": "1000", "steps": "1", "n": "1"}.items():
        await expect(page.get_by_test_id(field)).to_have_value(value)
    await expect(page.get_by_test_id("size")).to_have_value("custom")
    await expect(page.get_by_test_id("width")).to_have_value("80")

    image = await tiles(oldest).get_by_test_id("image").get_attribute("src")
    viewer = await view(oldest)
    await viewer.get_by_test_id("viewer-delete").click()
    await expect(viewer.get_by_test_id("fact-prompt")).to_contain_text("image-1")
    await page.keyboard.press("Escape")
    await expect(viewer).to_be_hidden()
    await expect(page.get_by_test_id("counts")).to_have_text("52 ready")
    assert image is not None
    assert (await page.request.get(image)).status == 404
    await page.reload()
    await is_shown(tiles(newest))
    await expect(page.get_by_test_id("empty")).to_be_hidden()


@pytest.mark.parametrize("lang", ["en", "zh-CN"])
async def test_the_sheet_fits_a_phone(studio: Studio, lang: str) -> None:
    await make(studio.url, *(f"{'long-' * 8}{at}" for at in range(51)))
    page = await studio.visit(lang=lang, width=360)
    await is_shown(page.get_by_test_id("tile").first)
    await lose_the_line(page)
    await fits(page)
    await find_the_line(page)
    await expect(page.get_by_test_id("connection")).to_have_text(re.compile("resumed|已恢复"))
    await fits(page)
    await page.get_by_test_id("open").first.click()
    await fits(page)
    await page.get_by_test_id("viewer-delete").click()
    await expect(page.get_by_test_id("toast")).to_be_visible()
    await fits(page)


async def test_an_old_unfinished_one_is_found_behind_many_finished(
    open_page: Open, emulate: Serve, serve: Serve
) -> None:
    engine = Recorder([QUICK, painter(uid="held")])
    studio = Studio(engine, await serve(xinference_url=await emulate(engine)), open_page)
    async with WireClient.connect(studio.url) as client:
        await client.send(action="generate", prompt=f"old{FROZEN}4", task_id="old", model="held", size="64x64")
        await make(studio.url, *(f"image-{at}" for at in range(51)))
        page = await studio.visit()
        old = page.locator('[data-task="old"]')
        await has_state(tiles(old), "running")
        # What is in flight stands first, however old it is.
        await expect(page.get_by_test_id("generation").first).to_have_attribute("data-task", "old")
        # Then it stands where it was made: below all others, which come as one scrolls.
        studio.engine.thaw()
        await page.wait_for_function(
            """() => {
                scrollTo(0, document.documentElement.scrollHeight);
                return document.querySelector('[data-task="old"] [data-testid="reuse"]');
            }"""
        )
        await is_shown(tiles(old))


async def test_a_cancel_of_one_of_several_tells_what_it_achieved(studio: Studio) -> None:
    page = await studio.visit()
    # Two replicas draw two images of each.
    generation = await generate(page, f"three foxes{FROZEN}4", n=3)
    await has_state(tiles(generation).first, "running")
    toasts = page.get_by_test_id("toast")
    await tiles(generation).nth(2).get_by_test_id("cancel-image").click()
    await expect(toasts.last).to_contain_text("image 3 of 3 cancelled before it started")
    await tiles(generation).nth(0).get_by_test_id("cancel-image").click()
    await studio.abort()
    await expect(toasts.last).to_contain_text("image 1 of 3 stopped: the model is free")
    await expect(tiles(generation)).to_have_count(1)
