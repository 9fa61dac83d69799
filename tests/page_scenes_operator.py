"""The states of the operator's view; see `page_scenes.py`."""

import json

from playwright.async_api import Locator, Page, Route, expect

from clients import WireClient
from page_kit import FROZEN
from page_world import World, scene, shows


async def open_view(page: Page) -> None:
    await page.evaluate("location.hash = 'operator'")
    await expect(page.get_by_test_id("operator-pool").first).to_be_visible()


async def busy(world: World) -> Page:
    """Open the view of a server on which something runs and more waits than a page has, one generation paused."""
    page = await world.visit()
    client = await world.stack.enter_async_context(WireClient.connect(page.url))
    for task_id in ("a", "b"):
        await client.ask(action="generate", task_id=task_id, prompt=f"a boat{FROZEN}4", steps=10, n=8)
    await client.ask(action="generate", task_id="held", prompt="a boat")
    await client.ask(action="pause", task_id="held")
    await open_view(page)
    await page.get_by_test_id("operator-show").click()
    await expect(page.get_by_test_id("operator-detail")).to_be_visible()
    return page


async def ask(page: Page, button: Locator) -> Page:
    await button.click()
    await shows(page, "operator-ask", "operator-no", "operator-yes")
    return page


@scene
async def operator_at_rest(world: World) -> Page:
    """Nothing runs, and nobody is found; then the server is held."""
    page = await world.visit()
    await open_view(page)
    await expect(page.get_by_test_id("operator-nobody")).to_be_visible()
    await page.get_by_test_id("operator-hold").click()
    await expect(page.get_by_test_id("operator-problem")).to_be_visible()
    return page


@scene
async def operator_busy(world: World) -> Page:
    """With the queue of an owner, and what was done last."""
    page = await busy(world)
    await page.get_by_test_id("operator-first").last.click()
    await shows(page, "operator-said", "operator", "operator-leave", "operator-as-of", "operator-notify-all")
    await shows(page, "operator-running", "operator-next", "operator-entry", "operator-cancel", "operator-upstream")
    await shows(page, "operator-find", "operator-owners", "operator-owner", "operator-counts", "operator-pause")
    await shows(page, "operator-cancel-all", "operator-model", "operator-drain", "operator-notify")
    return page


@scene
async def operator_in_trouble(world: World) -> Page:
    """What failed, requests that nobody waits for, a model server that is away, and an answer that does not come."""
    page = await busy(world)

    async def trouble(route: Route) -> None:
        response = await route.fetch()
        status = await response.json()
        status["upstream"] |= {"state": "unreachable", "message": "Away", "cure": "Start it.", "cause": "no route"}
        status["pools"][0]["models"][0] |= {"busy": 2, "quarantined": 1, "missing": True}
        status["failures"] = [
            {"pool": "", "code": "upstream_died", "requests": 3, "outputs": 1, "last": status["timestamp"] - 60}
        ]
        await route.fulfill(json=status)

    await page.route("**/admin/status*", trouble)
    await expect(page.get_by_test_id("operator-failure")).to_be_visible()
    await expect(page.get_by_test_id("operator-cause")).to_be_visible()
    await page.unroute_all()

    async def fail(route: Route) -> None:
        await route.fulfill(status=500, body=json.dumps({"code": "internal"}))

    await page.route("**/admin/*", fail)
    await expect(page.get_by_test_id("operator-lost")).to_be_visible()
    return page


@scene
async def operator_writes(world: World) -> Page:
    page = await busy(world)
    await ask(page, page.get_by_test_id("operator-notify"))
    await shows(page, "operator-text")
    return page


@scene
async def operator_drains(world: World) -> Page:
    page = await busy(world)
    return await ask(page, page.get_by_test_id("operator-drain"))
