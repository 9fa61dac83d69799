"""Strips on the page: what failed of a request is one of them, says which and why, and is asked for again alone."""

from typing import Any

from playwright.async_api import Locator, Page, expect

from clients import WireClient
from page_kit import Studio, generate, has_state, is_shown, tiles
from xinflight.demo import Faults

pytest_plugins = ["page_fixtures"]

BROKEN = Faults(error="CUDA out of memory.")


async def listed(studio: Studio) -> list[dict[str, Any]]:
    """Return all tasks as the server lists them, newest first."""
    async with WireClient.connect(studio.url) as client:
        tasks: list[dict[str, Any]] = (await client.ask(action="list"))["tasks"]
        return tasks


def strip(scope: Page | Locator) -> Locator:
    return scope.locator('[data-state="failed"]')


async def seen_from_top(generation: Locator) -> list[str]:
    """Return the states of a generation's tiles in the order of the document, which is that of their places."""
    told = await tiles(generation).evaluate_all(
        """all => all.map((tile) => [tile.getBoundingClientRect(), tile.dataset.state])
            .map(([{ top, left }, state]) => [Math.round(top), left, state])"""
    )
    assert told == sorted(told, key=lambda each: (each[0], each[1]))
    return [state for _, _, state in told]


async def test_what_failed_of_a_request_is_one_strip_and_asked_for_again_alone(studio: Studio) -> None:
    page = await studio.visit()
    studio.engine.script = [BROKEN, Faults(), BROKEN, Faults()]
    made = await generate(page, "a vase", steps=1, n=4)
    await expect(page.get_by_test_id("board")).to_be_hidden()
    assert await seen_from_top(made) == ["done", "done", "failed"]
    (task,) = await listed(studio)
    which = ", ".join(str(index + 1) for index in task["failed"])
    for window in (page, await studio.visit()):
        await expect(strip(window).get_by_test_id("which-failed")).to_have_text(f"2 of 4 (numbers {which}):")
        # Also whoever comes later is told why.
        await expect(strip(window).locator(".cause")).to_have_text("The model has too little memory for this.")
        await expect(window.get_by_test_id("failed-count")).to_have_text("2")
    await strip(made).get_by_test_id("retry").click()
    await expect(page.get_by_test_id("board")).to_be_hidden()
    await expect(page.locator('[data-state="done"]')).to_have_count(4)
    assert len(studio.engine.prompts) == 6
    *again, known = await listed(studio)
    assert known == task, "what was made of it stays"
    seeds = [output["seed"] for each in again for output in each["data"]]
    assert sorted(seeds) == [task["params"]["seed"] + index for index in task["failed"]]


async def test_a_request_of_which_everything_failed_is_replaced_by_the_next_try(studio: Studio) -> None:
    page = await studio.visit()
    studio.engine.script = [BROKEN] * 3
    made = await generate(page, "a jug", steps=1, n=3)
    await expect(tiles(made)).to_have_count(1)
    await expect(strip(made).get_by_test_id("which-failed")).to_have_text("All 3:")
    await expect(tiles(made)).to_have_attribute("aria-label", "“a jug”")
    await expect(page.get_by_test_id("failed-count")).to_have_text("3")
    (task,) = await listed(studio)
    await made.get_by_test_id("retry").click()
    await expect(page.locator('[data-state="done"]')).to_have_count(3)
    await expect(page.get_by_test_id("generation")).to_have_count(1)
    (again,) = await listed(studio)
    assert (again["params"]["n"], again["params"]["seed"]) == (3, task["params"]["seed"])
    # The heading counts images, of which a strip may tell of several.
    await expect(page.get_by_test_id("day").locator("small")).to_have_text("3 images")


async def test_the_heading_of_a_day_counts_what_was_made(studio: Studio) -> None:
    page = await studio.visit()
    counted = page.get_by_test_id("day").locator("small")
    studio.engine.script = [BROKEN] * 2
    await expect(strip(await generate(page, "a jug", steps=1, n=2))).to_be_visible()
    await expect(counted).to_have_text("")
    await expect(tiles(await generate(page, "a bowl", steps=1))).to_have_attribute("data-loaded", "true")
    await expect(counted).to_have_text("1 image")


async def test_a_strip_stands_behind_what_is_still_in_flight(studio: Studio) -> None:
    page = await studio.visit()
    studio.engine.script = [BROKEN, Faults(freeze=1)]
    made = await generate(page, "a pot", n=2)
    await expect(strip(made).get_by_test_id("which-failed")).to_have_text("Number 1 of 2:")
    await has_state(tiles(made).first, "running")
    assert await seen_from_top(made) == ["running", "failed"]
    studio.engine.thaw()
    await has_state(tiles(made).first, "done")
    assert await seen_from_top(made) == ["done", "failed"]


async def only(page: Page, which: str) -> None:
    await page.get_by_test_id(f"find-{which}").click()


async def test_failed_finds_what_failed_in_part_and_shows_only_that(studio: Studio) -> None:
    page = await studio.visit()
    studio.engine.script = [BROKEN, Faults()]
    made = await generate(page, "half a pair", steps=1, n=2)
    whole = await generate(page, "a pair", steps=1, n=2)
    await is_shown(tiles(whole).nth(1))
    await only(page, "failed")
    await expect(page.get_by_test_id("find-count")).to_have_text("1 found")
    await expect(page.get_by_test_id("tile")).to_have_count(1)
    assert await seen_from_top(made) == ["failed"]
    await expect(strip(made).get_by_test_id("which-failed")).to_contain_text("of 2:")
