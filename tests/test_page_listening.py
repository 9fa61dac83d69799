"""What a screen reader hears of the page by itself: everything that matters, each thing once, and not too much."""

from playwright.async_api import Page, expect

from page_kit import FROZEN, Studio, find_the_line, generate, has_state, is_shown, lose_the_line, tiles

pytest_plugins = ["page_fixtures"]

LISTEN = """() => {
  window.heard = [];
  const live = "[role=status], [role=alert], [role=log], [aria-live]:not([aria-live=off])";
  const hear = (node) => {
    const region = (node instanceof Element ? node : node.parentElement)?.closest(live);
    const text = region?.checkVisibility() ? node.textContent.trim() : "";
    if (text) window.heard.push(text);
  };
  new MutationObserver((changes) => {
    for (const { type, target, addedNodes } of changes) {
      if (type === "attributes" && !target.hidden) hear(target);
      if (type === "characterData") hear(target);
      for (const node of addedNodes) hear(node);
    }
  }).observe(document, { subtree: true, childList: true, characterData: true, attributeFilter: ["hidden"] });
}"""
"""Notes what comes to a live region: of its text, that which is new (`aria-atomic` is false)."""


async def heard(page: Page) -> list[str]:
    texts: list[str] = await page.evaluate("window.heard")
    return texts


async def test_the_life_of_several_images_is_told_in_few_words(studio: Studio) -> None:
    page = await studio.visit()
    announcer = page.get_by_test_id("announcer")
    await expect(announcer).to_have_text("Connected.")
    await page.evaluate(LISTEN)
    made = await generate(page, f"four foxes{FROZEN}4", n=4)
    await has_state(tiles(made).nth(1), "running")
    await expect(announcer).to_have_text("4 images started.")
    studio.engine.thaw()
    await is_shown(tiles(made).nth(3))
    await expect(announcer).to_contain_text("image 4 of 4 is ready.")
    texts = await heard(page)
    assert texts[0] == "4 images started."
    # As many announcements as there is time for, and none of the steps and percentages between.
    assert len(texts) <= 1 + 4
    assert all("is ready" in text for text in texts[1:])


async def test_a_cancel_and_its_outcome_are_told_once_each(studio: Studio) -> None:
    page = await studio.visit()
    made = await generate(page, f"a heron{FROZEN}4")
    await has_state(tiles(made), "running")
    await expect(page.get_by_test_id("announcer")).to_have_text("Image started.")
    await page.evaluate(LISTEN)
    await page.get_by_test_id("board-cancel").click()
    await expect(page.get_by_test_id("toast")).to_be_visible()
    await studio.abort()
    await expect(page.get_by_test_id("board")).to_be_hidden()
    # Whatever comes after it is heard after it.
    await is_shown(tiles(await generate(page, "a stone")))
    await expect(page.get_by_test_id("announcer")).to_contain_text("“a stone” is ready.")
    asked, outcome = [text for text in await heard(page) if "heron" in text]
    assert "is being stopped" in asked
    assert "the model is free again" in outcome


async def test_a_lost_line_is_told_once_and_so_is_its_return(studio: Studio) -> None:
    page = await studio.visit()
    announcer = page.get_by_test_id("announcer")
    await expect(announcer).to_have_text("Connected.")
    await page.evaluate(LISTEN)
    await lose_the_line(page)
    await expect(announcer).to_have_text("Connection lost. Trying again.")
    await find_the_line(page)
    await expect(announcer).to_have_text("Connected.")
    assert await heard(page) == ["Connection lost. Trying again.", "Connected."]
