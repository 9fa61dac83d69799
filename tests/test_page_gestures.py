"""Fingers on the page: real touches walk through images, enlarge, close, and cancel rows with undo."""

import re

import pytest
from playwright.async_api import Locator, Page, expect

from fingers import Fingers, middle
from page_kit import FROZEN, Studio, generate, has_state, is_shown, tiles, view

pytest_plugins = ["page_fixtures"]


async def scale(image: Locator) -> float:
    found: str = await image.evaluate("image => image.style.scale || '1'")
    return float(found)


@pytest.fixture
async def shown(studio: Studio) -> tuple[Page, Locator]:
    """Open the older one of two images on a phone."""
    page = await studio.visit(width=390)
    older = await generate(page, "an older one", steps=2)
    await is_shown(tiles(older))
    await is_shown(tiles(await generate(page, "a newer one", steps=2)))
    return page, await view(older)


async def test_what_is_done_with_an_image_is_right_below_it(shown: tuple[Page, Locator]) -> None:
    _, viewer = shown
    facts = await viewer.get_by_test_id("facts").bounding_box()
    assert facts
    for name in ("viewer-star", "viewer-download", "viewer-delete"):
        await expect(viewer.get_by_test_id(name)).to_be_in_viewport(ratio=1)
        box = await viewer.get_by_test_id(name).bounding_box()
        assert box
        assert box["height"] >= 44
        assert box["y"] + box["height"] <= facts["y"]


async def test_a_swipe_walks_to_the_other_image_and_a_short_one_does_not(shown: tuple[Page, Locator]) -> None:
    page, viewer = shown
    fingers = await Fingers.on(page)
    title, at = page.locator("#viewer-title"), await middle(viewer.get_by_test_id("viewer-stage"))
    await fingers.swipe(at, (30, 0))
    await expect(title).to_contain_text("an older one")
    await fingers.swipe(at, (120, 10))
    await expect(title).to_contain_text("a newer one")
    await fingers.swipe(at, (-120, 10))
    await expect(title).to_contain_text("an older one")
    # Nothing of the way is left.
    assert await viewer.get_by_test_id("viewer-image").evaluate("image => image.style.translate") == "0px"


async def test_a_tap_right_after_a_swipe_counts(shown: tuple[Page, Locator]) -> None:
    """It does not stop a fling, of which nothing is seen."""
    page, viewer = shown
    fingers, star = await Fingers.on(page), viewer.get_by_test_id("viewer-star")
    stage, at = await middle(viewer.get_by_test_id("viewer-stage")), await middle(star)
    for pressed in ("true", "false", "true", "false"):
        await fingers.swipe(stage, (30, 0))
        await fingers.tap(at)
        await expect(star).to_have_attribute("aria-pressed", pressed)


async def test_a_swipe_down_closes_the_image_and_one_up_does_not(shown: tuple[Page, Locator]) -> None:
    page, viewer = shown
    fingers, at = await Fingers.on(page), await middle(viewer.get_by_test_id("viewer-stage"))
    await fingers.swipe(at, (0, -140))
    await fingers.swipe(at, (0, 30))
    await expect(viewer).to_be_visible()
    await fingers.swipe(at, (10, 140))
    await expect(viewer).to_be_hidden()
    await expect(page).not_to_have_url(re.compile("#image="))


async def test_two_fingers_enlarge_and_one_moves_what_is_enlarged(shown: tuple[Page, Locator]) -> None:
    page, viewer = shown
    fingers, image = await Fingers.on(page), viewer.get_by_test_id("viewer-image")
    x, y = await middle(viewer.get_by_test_id("viewer-stage"))
    apart = range(20, 161, 20)
    await fingers.move([(x - by, y) for by in apart], [(x + by, y) for by in apart])
    assert await scale(image) == pytest.approx(8, rel=0.05)
    # It goes with one finger, which is no swipe then, as far as its edge.
    await fingers.swipe((x, y), (-120, 0))
    assert await image.evaluate("image => parseFloat(image.style.translate)") < 0
    await expect(page.locator("#viewer-title")).to_contain_text("an older one")
    together = range(160, 19, -20)
    await fingers.move([(x - by, y) for by in together], [(x + by, y) for by in together])
    assert await scale(image) == 1
    await expect(viewer).to_be_visible()


async def test_a_double_tap_enlarges_and_another_shows_the_whole_image(shown: tuple[Page, Locator]) -> None:
    page, viewer = shown
    fingers, image = await Fingers.on(page), viewer.get_by_test_id("viewer-image")
    at = await middle(viewer.get_by_test_id("viewer-stage"))
    # Events that say when it was tapped, however busy the machine is.
    await page.evaluate(
        """() => {
          let now = 0;
          Object.defineProperty(Event.prototype, "timeStamp", { get: () => now });
          window.later = (by) => (now += by);
        }"""
    )
    await fingers.tap(at)
    await page.evaluate("later(1000)")
    await fingers.tap(at)
    assert await scale(image) == 1, "these were two taps"
    await page.evaluate("later(200)")
    await fingers.tap(at)
    assert await scale(image) >= 2
    await page.evaluate("later(1000)")
    await fingers.tap(at)
    await page.evaluate("later(200)")
    await fingers.tap(at)
    assert await scale(image) == 1


async def test_a_row_that_is_swiped_off_the_board_comes_back_with_undo(studio: Studio) -> None:
    page = await studio.visit(width=390)
    running = await generate(page, f"two oaks{FROZEN}4", n=2)
    await has_state(tiles(running).nth(1), "running")
    await generate(page, "a fox")
    await page.get_by_test_id("ribbon").click()
    rows = page.get_by_test_id("board-row")
    waiting = page.locator('[data-testid="board-row"][data-state="queued"]')
    await expect(rows).to_have_count(3)
    fingers, at = await Fingers.on(page), await middle(waiting.locator("b"))
    await fingers.swipe(at, (-60, 0))
    await expect(rows).to_have_count(3)
    await fingers.swipe(at, (-150, 4))
    await expect(rows).to_have_count(2)
    await fingers.tap(await middle(page.get_by_test_id("toast-act")))
    await expect(waiting).to_contain_text("a fox")
    studio.engine.thaw()


async def test_a_ring_that_is_swiped_off_the_ribbon_comes_back_with_undo(studio: Studio) -> None:
    page = await studio.visit(width=390)
    running = await generate(page, f"two oaks{FROZEN}4", n=2)
    await has_state(tiles(running).nth(1), "running")
    await generate(page, "a fox")
    await page.keyboard.press("Escape")
    rings = page.locator("#ribbon-rings .orbit")
    await expect(rings).to_have_count(3)
    fingers = await Fingers.on(page)
    # Neither a short swipe nor one down to the dock; a tap opens the board.
    await fingers.swipe(await middle(rings.last), (10, -30))
    await fingers.swipe(await middle(rings.last), (10, 100))
    await expect(rings).to_have_count(3)
    await expect(page.get_by_test_id("board")).to_be_hidden()
    await fingers.swipe(await middle(rings.last), (10, -100))
    await expect(rings).to_have_count(2)
    await expect(page.get_by_test_id("board")).to_be_hidden()
    await expect(page.get_by_test_id("toast")).to_contain_text("“a fox” cancelled before it started.")
    await fingers.tap(await middle(page.get_by_test_id("toast-act")))
    await expect(rings).to_have_count(3)
    await fingers.swipe(await middle(rings.last), (90, -4))
    await expect(rings).to_have_count(2)
    await fingers.tap(await middle(rings.first))
    await expect(page.get_by_test_id("board")).to_be_visible()
    studio.engine.thaw()
