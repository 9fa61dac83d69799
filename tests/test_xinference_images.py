"""Images that start from images on a real Xinference 4.1.0, from an upload to what was made, with cancels."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import pytest
from PIL import Image

from clients import Recorder, WireClient
from images import encoded, gradient, opened
from start_studio import Studio
from xinference_kinds import EDITOR
from xinference_real import MODEL, RealXinference

pytest_plugins = ["xinference_fixtures"]
pytestmark = [pytest.mark.xinference, pytest.mark.timeout(300)]  # the first one also starts the server

Serve = Callable[..., Awaitable[str]]
FIELDS: dict[str, Any] = {"model": MODEL, "steps": 4, "guidance_scale": 3.5, "seed": 7}


@pytest.fixture
async def studio(real_xinference: RealXinference, serve: Serve, stack: AsyncExitStack) -> Studio:
    """Give a xinflight in front of the real server. The same request makes the same bytes."""
    url = await serve(xinference_url=real_xinference.url, file_metadata="none")
    http = await stack.enter_async_context(aiohttp.ClientSession())
    client = await stack.enter_async_context(WireClient.connect(url))
    # What the real one was asked is not recorded.
    return Studio(Recorder([]), f"{url.rstrip('/')}/", http, client)


async def cancelled(studio: Studio, task_id: str, **fields: Any) -> None:
    """Cancel a task once it runs; hold that the model stopped."""
    await studio.generate(task_id, **fields)
    await studio.client.until(lambda m: m.get("task_id") == task_id and m.get("state") == "running")
    await studio.client.ask(action="cancel", task_id=task_id)
    end = await studio.end(task_id)
    assert (end["type"], end["upstream"]) == ("cancelled", "stopped"), end


async def test_over_an_image_and_inside_a_mask(studio: Studio) -> None:
    """The same seed and start are the same bytes, also after a cancel; what a mask keeps, keeps each pixel."""
    start = await studio.upload(encoded(gradient((70, 66))))
    left = Image.new("L", (70, 66), 0)
    left.paste(255, (0, 0, 35, 66))
    mask = await studio.upload(encoded(left))
    ack, [made] = await studio.make("a", image=start, **FIELDS)
    assert (ack["params"]["kind"], ack["params"]["size"]) == ("image2image", "64x64")
    assert opened(made).size == (64, 64)
    _, [masked] = await studio.make("b", image=start, mask=mask, **FIELDS)
    kept = opened(masked)
    assert (kept.format, kept.size) == ("PNG", (64, 64))
    # Another image in the mask, of which nothing else differs.
    _, [other] = await studio.make("c", image=start, mask=mask, **FIELDS | {"seed": 8})
    right, other_image = (33, 0, 64, 64), opened(other)
    assert kept.crop(right).tobytes() == other_image.crop(right).tobytes()
    assert kept.tobytes() != other_image.tobytes()
    long = {**FIELDS, "size": "256x256", "steps": 60, "strength": 1.0}
    await cancelled(studio, "d", image=start, **long)
    assert (await studio.make("e", image=start, **FIELDS))[1] == [made]
    await cancelled(studio, "f", image=start, mask=mask, **long)
    assert (await studio.make("g", image=start, mask=mask, **FIELDS))[1] == [masked]


async def test_an_edit(real_xinference_edits: RealXinference, studio: Studio) -> None:
    """The size is the model's; a cancel stops it, and the next one is whole."""
    start = await studio.upload(encoded(gradient((128, 64))))
    await asyncio.to_thread(real_xinference_edits.wait_model, EDITOR)
    fields = {"model": EDITOR, "image": start, "steps": 2}
    ack, [made] = await studio.make("a", **fields)
    assert ack["params"]["kind"] == "edit"
    assert opened(made).size == (1440, 720)
    await cancelled(studio, "b", **fields | {"steps": 60})
    assert (await studio.make("c", **fields))[1] == [made]
