"""The chat on the page: text that streams, stops, breaks off, and goes on after a reload, with every character."""

from collections.abc import AsyncIterator

import aiohttp
import pytest
from playwright.async_api import Locator, Page, expect

from clients import Recorder, painter
from conftest import Serve
from page_kit import SOON, Open, Studio, find_the_line, fits, live, lose_the_line
from xinflight.demo import EmulatedModel, Faults

pytest_plugins = ["page_fixtures"]

WRITER = EmulatedModel(
    uid="writer", type="LLM", abilities=("chat",), engine="transformers", step_seconds=0.01, burst=4, context=4096
)
FREEZE = 12
"""Tokens after which an answer stands still: the reader has some text, and the rest is still to come."""


@pytest.fixture
async def room(open_page: Open, emulate: Serve, serve: Serve) -> AsyncIterator[Studio]:
    """Serve a chat model and one that draws."""
    engine = Recorder([WRITER, painter()])
    url = await serve(xinference_url=await emulate(engine), default_size="64x64")
    yield Studio(engine, url, open_page)
    engine.thaw()


async def enter(room: Studio, *, lang: str = "en", width: int = 1280) -> Page:
    page = await room.visit(lang=lang, width=width)
    await page.get_by_test_id("chat-tab").click()
    return page


async def say(page: Page, text: str) -> None:
    await page.get_by_test_id("chat-text").fill(text)
    await page.get_by_test_id("chat-text").press("Enter")


def answer(page: Page) -> Locator:
    return page.get_by_test_id("turn").last


def said(page: Page) -> Locator:
    return answer(page).get_by_test_id("said")


async def freeze(room: Studio, page: Page, text: str) -> str:
    """Ask something whose answer stands still in the middle; return its text so far."""
    room.engine.faults = Faults(freeze=FREEZE, requests=1)
    await say(page, text)
    await expect(said(page)).not_to_be_empty()
    return await said(page).inner_text()


async def ended(page: Page) -> None:
    await expect(answer(page)).to_have_attribute("data-state", "ended")


async def stored(room: Studio) -> list[str]:
    """Return the texts of all chats, the newest first, as the server has them."""
    async with aiohttp.ClientSession(room.url) as http, http.get("api/v1/tasks") as response:
        tasks = (await response.json())["tasks"]
    return ["".join(output["text"] for output in task["data"]) for task in tasks if task["params"]["kind"] == "chat"]


async def roles(room: Studio) -> list[str]:
    """Return who spoke in the messages that the newest chat was asked with."""
    async with aiohttp.ClientSession(room.url) as http:
        async with http.get("api/v1/tasks?limit=1") as response:
            [task] = (await response.json())["tasks"]
        async with http.get(f"api/v1/tasks/{task['task_id']}/messages") as response:
            return [message["role"] for message in (await response.json())["messages"]]


async def test_an_answer_goes_on_after_a_reload(room: Studio) -> None:
    page = await enter(room)
    text = await freeze(room, page, "120 words about 🚣 boats")
    await page.reload()
    await live(page)
    await expect(page.get_by_test_id("chat")).to_be_visible()
    await expect(said(page)).to_contain_text(text[:20])
    await expect(page.get_by_test_id("said").first).to_have_text("120 words about 🚣 boats")
    await expect(page.get_by_test_id("chat-stop")).to_be_visible()
    room.engine.thaw()
    await ended(page)
    assert [await said(page).text_content()] == await stored(room)
    # The next message goes along with all before it.
    await say(page, "and lakes?")
    await expect(page.get_by_test_id("turn")).to_have_count(4)
    await ended(page)
    assert await roles(room) == ["user", "assistant", "user"]


async def test_the_line_drops_in_the_middle_of_a_sentence(room: Studio) -> None:
    page = await enter(room)
    await freeze(room, page, "120 words about 湖 lakes")
    await lose_the_line(page)
    await expect(answer(page).get_by_test_id("chat-step")).to_contain_text("once there is a connection")
    room.engine.thaw()
    await find_the_line(page)
    await ended(page)
    assert [await said(page).text_content()] == await stored(room)


async def test_an_answer_is_stopped_and_asked_for_again(room: Studio) -> None:
    page = await enter(room)
    text = await freeze(room, page, "120 words about boats")
    await page.get_by_test_id("chat-stop").click()
    await expect(page.get_by_test_id("chat-stop")).to_have_text("Stopping…")
    await room.abort()
    await ended(page)
    await expect(said(page)).to_contain_text(text[:20])
    await expect(answer(page).get_by_test_id("chat-note")).to_contain_text("the model is free again")
    await answer(page).get_by_test_id("chat-retry").click()
    await expect(page.get_by_test_id("chat-send")).to_be_visible()
    await expect(answer(page).get_by_test_id("chat-note")).to_be_hidden()
    assert len(await stored(room)) == 2
    assert (await stored(room))[0] == await said(page).text_content()


async def test_an_answer_that_breaks_off_shows_what_came_and_why(room: Studio) -> None:
    page = await enter(room)
    room.engine.faults = Faults(die=FREEZE, requests=1)
    await say(page, "120 words about boats")
    await ended(page)
    await expect(said(page)).not_to_be_empty()
    await expect(answer(page).get_by_test_id("chat-note")).to_contain_text("broke off")
    await page.reload()
    await live(page)
    await expect(said(page)).not_to_be_empty()
    await expect(answer(page).get_by_test_id("chat-note")).to_contain_text("broke off")
    await answer(page).get_by_test_id("chat-retry").click()
    await expect(answer(page).get_by_test_id("chat-retry")).to_be_hidden()
    await ended(page)
    await expect(answer(page).get_by_test_id("chat-note")).to_be_hidden()


async def test_text_is_text_and_lines_are_broken_by_shift_and_enter(room: Studio) -> None:
    page = await enter(room)
    field = page.get_by_test_id("chat-text")
    await field.press_sequentially("<img src=x onerror=alert(1)>")
    await field.press("Shift+Enter")
    await field.press_sequentially("two")
    await field.press("Enter")
    await ended(page)
    await expect(page.get_by_test_id("said").first).to_have_text("<img src=x onerror=alert(1)>\ntwo")
    await expect(said(page)).to_contain_text("<img")
    assert await page.get_by_test_id("chat-log").locator("img").count() == 0
    # An empty message is none.
    await field.press("Enter")
    await expect(page.get_by_test_id("turn")).to_have_count(2)


async def test_conversations_are_kept_apart_and_deleted_as_a_whole(room: Studio) -> None:
    page = await enter(room)
    await say(page, "12 words about boats")
    await ended(page)
    await page.get_by_test_id("chat-new").click()
    await expect(page.get_by_test_id("turn")).to_have_count(0)
    await say(page, "12 words about lakes")
    await ended(page)
    choice = page.get_by_test_id("conversation")
    await expect(choice.locator("option")).to_have_count(2)
    await expect(choice.locator("option:checked")).to_contain_text("12 words about lakes")
    await page.get_by_test_id("chat-delete").click()
    await page.get_by_test_id("confirm-delete").click()
    await expect(page.get_by_test_id("turn")).to_have_count(0)
    await choice.select_option(index=1)
    await expect(page.get_by_test_id("said").first).to_have_text("12 words about boats")
    assert len(await stored(room)) == 1
    # Chats are no images.
    await page.get_by_test_id("studio-tab").click()
    await expect(page.get_by_test_id("empty")).to_be_visible()


async def test_without_a_chat_model_there_is_no_chat(studio: Studio) -> None:
    page = await studio.visit()
    await expect(page.get_by_test_id("prompt")).to_be_visible()
    await expect(page.get_by_test_id("tabs")).to_be_hidden()


@pytest.mark.parametrize("lang", ["en", "zh-CN"])
async def test_the_chat_fits_a_phone(room: Studio, lang: str) -> None:
    page = await enter(room, lang=lang, width=360)
    await say(page, "w" * 200)
    await ended(page)
    await fits(page)
    box = await page.get_by_test_id("chat-send").bounding_box()
    assert box is not None
    # It stands at the bottom of the window, below what the messages leave free.
    assert 760 < box["y"] + box["height"] <= 800


async def test_the_line_tells_of_the_model_that_the_shown_tab_asks(room: Studio) -> None:
    page = await enter(room)
    await expect(page.get_by_test_id("connection")).to_have_text("writer ready")
    await page.get_by_test_id("studio-tab").click()
    await expect(page.get_by_test_id("connection")).to_have_text("painter ready")


async def test_the_operators_view_covers_the_chat(room: Studio) -> None:
    page = await enter(room)
    await expect(page.get_by_test_id("chat-text")).to_be_visible()
    await page.get_by_test_id("operator-open").click()
    await expect(page.get_by_test_id("operator")).to_be_visible()
    await expect(page.get_by_test_id("chat")).to_be_hidden()
    await page.go_back()
    await expect(page.get_by_test_id("chat-text")).to_be_visible()


async def test_the_chat_is_used_by_keyboard(room: Studio) -> None:
    page = await room.visit()
    await page.get_by_test_id("studio-tab").focus()
    await page.keyboard.press("ArrowRight")
    await expect(page.get_by_test_id("chat-tab")).to_be_focused()
    for _ in range(20):
        await page.keyboard.press("Tab")
        if await page.evaluate("document.activeElement.dataset.testid") == "chat-text":
            break
    text = "12 words about boats"
    await page.keyboard.type(text)
    await page.keyboard.press("Enter")
    await ended(page)
    await expect(page.get_by_test_id("said").first).to_have_text(text)
    await expect(page.get_by_test_id("chat-text")).to_be_focused()
    await expect(page.get_by_test_id("announcer")).to_contain_text("The answer is there.", timeout=SOON)
