"""What the page claims is true: how a cancel ended, how far all are, what is known while the line is gone."""

import json
import re

from playwright.async_api import Page, expect

from page_kit import (
    FROZEN,
    Studio,
    caught_up,
    choose,
    find_the_line,
    generate,
    has_state,
    is_shown,
    lose_the_line,
    tiles,
)

pytest_plugins = ["page_fixtures"]

WATCH_TITLE = """
  window.titles = [];
  new MutationObserver(() => window.titles.push(document.title)).observe(
    document.querySelector("title"), { childList: true, characterData: true, subtree: true });
"""


async def test_the_toast_of_a_cancelled_generation_tells_how_each_image_ended(studio: Studio) -> None:
    page = await studio.visit()
    generation = await generate(page, f"four foxes{FROZEN}4", n=4)
    # Two replicas draw the first two; the others wait.
    for index in (0, 1):
        await has_state(tiles(generation).nth(index), "running")
    await choose(page.get_by_test_id("board-row").first, "Cancel these 4")
    await studio.abort(2)
    await expect(generation).to_have_count(0)
    told = "2 images cancelled before they started. 2 images stopped: the models are free again."
    await expect(page.get_by_test_id("toast")).to_contain_text(told)


async def test_the_percentage_in_the_title_never_falls(studio: Studio) -> None:
    page = await studio.visit()
    await page.evaluate(WATCH_TITLE)
    held = await generate(page, f"a slow bell{FROZEN}6")
    await expect(page).to_have_title(busy(1, at_least=60))
    other = await generate(page, f"a quick bell{FROZEN}8")
    # A new one begins at nothing, and half of all is done: the percentage waits until that is more than it was.
    await expect(page).to_have_title(busy(2, at_least=70))
    studio.engine.thaw()
    await is_shown(tiles(held))
    await is_shown(tiles(other))
    await expect(page).to_have_title("xinflight")
    titles: list[str] = await page.evaluate("window.titles")
    percentages = [int(told[1]) for title in titles if (told := re.search(r"(\d+)%", title))]
    assert percentages == sorted(percentages)


def busy(left: int, *, at_least: int) -> re.Pattern[str]:
    """Match the title while so many are to come; on a busy machine it goes on by an estimate, marked with a sign."""
    percents = "|".join(str(percent) for percent in range(at_least, 100))
    return re.compile(rf"^(≈ )?({percents})% \({left} to come\) – xinflight$")


async def test_without_a_line_nothing_counts_down_and_counts_say_what_was_heard_last(studio: Studio) -> None:
    page = await studio.visit()
    generation = await generate(page, f"an owl{FROZEN}4")
    counts, eta = page.get_by_test_id("counts"), tiles(generation).get_by_test_id("eta")
    await expect(tiles(generation).get_by_test_id("progress")).to_have_attribute("aria-valuenow", "40")
    await expect(counts).to_have_text("1 running")
    await tell_estimate(page, await generation.get_attribute("data-task"))
    await expect(eta).to_have_text("3 min")
    await lose_the_line(page)
    await expect(eta).to_have_text(re.compile(r"^last heard \d+ s ago$"))
    await expect(counts).to_have_text("last known: 1 running")
    await generate(page, "asked while away")
    await expect(counts).to_have_text("last known: 1 running · 1 to be sent")
    await page.get_by_test_id("lang").click()
    await expect(counts).to_have_text("断线前：1 个进行中 · 1 个待发送")
    await page.get_by_test_id("lang").click()
    await find_the_line(page)
    await caught_up(page)
    await expect(counts).to_have_text("1 running · 1 ready")
    await tell_estimate(page, await generation.get_attribute("data-task"))
    await expect(eta).to_have_text("3 min")


async def tell_estimate(page: Page, task: str | None) -> None:
    """Have the page hear that an image takes another 200 seconds, and nothing more from the server on this line.

    The server tells of an image that stands still, too: later and later.
    """
    progress = {"type": "progress", "task_id": task, "index": 0, "state": "running", "progress": 40}
    message = {**progress, "step": "generating", "source": "upstream", "estimated_time": 200}
    script = "(data) => { const line = sockets.at(-1); line.onmessage({ data }); line.onmessage = null; }"
    await page.evaluate(script, json.dumps(message))


async def test_a_cancel_of_a_time_without_a_line_outlasts_a_reload(studio: Studio) -> None:
    """The page has promised to send it."""
    page = await studio.visit()
    generation = await generate(page, f"a long road{FROZEN}4")
    await has_state(tiles(generation), "running")
    await lose_the_line(page)
    await tiles(generation).get_by_test_id("cancel-image").click()
    promise = "will be cancelled as soon as there is a connection"
    await expect(page.get_by_test_id("toast")).to_contain_text(promise)
    await page.reload()
    await studio.abort()
    await expect(generation).to_have_count(0)
