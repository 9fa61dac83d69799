"""What a person chose and typed stays what it is: when models come and go, and over a reload."""

import json

from playwright.async_api import Page, expect

from clients import Json, Recorder, painter
from conftest import Serve
from page_kit import QUICK, Open, Studio, facts, generate, is_shown, live, open_settings, tiles

pytest_plugins = ["page_fixtures"]


async def test_a_chosen_model_stays_chosen_when_it_goes_away(open_page: Open, emulate: Serve, serve: Serve) -> None:
    engine = Recorder([QUICK, painter(uid="other", step_seconds=0.0, decode_seconds=0.0)])
    page = await open_page(await serve(xinference_url=await emulate(engine), default_size="64x64"))
    model = page.get_by_test_id("model")
    await model.select_option("other")
    await tell_models(page, [known("painter", default=True)])
    await expect(model).to_be_visible()
    await expect(model).to_have_value("other")
    await expect(model.locator("option:checked")).to_have_text("other (not running)")
    await expect(page.get_by_test_id("model-hint")).to_contain_text("This model is not running.")
    asked = await generate(page, "asked while it is away")
    await is_shown(tiles(asked))
    assert (await facts(asked))["model"] == "other"
    await tell_models(page, [known("painter", default=True), known("other")])
    await expect(model.locator("option:checked")).to_have_text("other")
    again = await generate(page, "asked when it is back")
    await is_shown(tiles(again))
    assert (await facts(again))["model"] == "other"


async def test_who_chose_no_model_goes_with_the_default(open_page: Open, emulate: Serve, serve: Serve) -> None:
    engine = Recorder([QUICK, painter(uid="other")])
    page = await open_page(await serve(xinference_url=await emulate(engine)))
    model = page.get_by_test_id("model")
    await expect(model).to_have_value("painter")
    await tell_models(page, [known("other", default=True)])
    await expect(model).to_be_hidden()
    await tell_models(page, [known("painter", default=True), known("other")])
    await expect(model).to_have_value("painter")


async def test_a_model_that_is_gone_for_good_is_refused_at_its_field(studio: Studio) -> None:
    page = await studio.visit()
    await tell_models(page, [known("painter", default=True), known("gone")])
    await page.get_by_test_id("model").select_option("gone")
    await page.get_by_test_id("prompt").fill("a stone")
    await page.get_by_test_id("generate").click()
    await expect(page.locator("#model-problem")).to_contain_text("not running")
    await expect(page.get_by_test_id("model")).to_have_value("gone")
    await expect(page.get_by_test_id("generation")).to_have_count(0)


def known(uid: str, *, default: bool = False) -> Json:
    return {
        "id": uid,
        "kinds": ["text2image"],
        "default_for": ["text2image"] if default else [],
        "default": default,
        "size": "64x64",
        "steps": 10,
        "defaults_known": True,
        "true_cancel": True,
        "replicas": 1,
    }


async def tell_models(page: Page, models: list[Json]) -> None:
    """Have the page hear that these models run now."""
    notice = json.dumps({"type": "notice", "kind": "upstream", "message": "", "models": models})
    await page.evaluate("(data) => sockets.at(-1).onmessage({ data })", notice)


TYPED = {"prompt": "a half-written poem\nabout rain", "negative": "thunder", "steps": "7", "n": "3", "seed": "42"}


async def test_a_reload_keeps_what_was_typed_in_this_tab_only(open_page: Open, emulate: Serve, serve: Serve) -> None:
    engine = Recorder([QUICK, painter(uid="other")])
    url = await serve(xinference_url=await emulate(engine), default_size="64x64")
    page = await open_page(url)
    await open_settings(page)
    await page.get_by_test_id("guidance").fill("1.5")
    for field, value in TYPED.items():
        await page.get_by_test_id(field).fill(value)
    await page.get_by_test_id("model").select_option("other")
    await page.get_by_test_id("size").select_option("custom")
    await page.get_by_test_id("width").fill("96")
    await page.reload()
    await live(page)
    await open_settings(page)
    for field, value in {**TYPED, "guidance": "1.5", "model": "other", "size": "custom", "width": "96"}.items():
        await expect(page.get_by_test_id(field)).to_have_value(value)
        await expect(page.get_by_test_id(field)).to_be_visible()

    # Another tab begins with nothing, and what is typed there stays there.
    other = await page.context.new_page()
    await other.goto(url)
    await live(other)
    await expect(other.get_by_test_id("prompt")).to_have_value("")
    await other.get_by_test_id("prompt").fill("something else")
    await page.reload()
    await expect(page.get_by_test_id("prompt")).to_have_value(TYPED["prompt"])


async def test_a_drawn_seed_and_values_used_again_survive_a_reload(studio: Studio) -> None:
    page = await studio.visit()
    await open_settings(page)
    await page.get_by_test_id("dice").click()
    seed = await page.get_by_test_id("seed").input_value()
    await page.reload()
    await expect(page.get_by_test_id("seed")).to_have_value(seed)
    made = await generate(page, "a stone", steps=2)
    await is_shown(tiles(made))
    await tiles(made).get_by_test_id("reuse").click()
    await page.get_by_test_id("prompt").evaluate("(field) => field.blur()")
    await page.reload()
    for field, value in {"prompt": "a stone", "steps": "2", "seed": seed}.items():
        await expect(page.get_by_test_id(field)).to_have_value(value)


async def test_what_somebody_else_typed_is_not_shown(studio: Studio) -> None:
    page = await studio.visit()
    await page.get_by_test_id("prompt").fill("a secret")
    await page.evaluate("""() => {
      const places = Object.keys(sessionStorage).filter((key) => key.includes("draft"));
      for (const place of places) sessionStorage[place] = sessionStorage[place].replaceAll('"local"', '"ann"');
    }""")
    await page.reload()
    await live(page)
    await expect(page.get_by_test_id("prompt")).to_have_value("")
    assert "a secret" not in await page.evaluate("JSON.stringify(sessionStorage)")
