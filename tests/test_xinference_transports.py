"""Both transports on a real Xinference 4.1.0: an image, a cancel, a chat and its cancel, and no pause of 40 ms."""

import time
from contextlib import AsyncExitStack

import pytest

from clients import WireClient
from conftest import Serve
from test_chat_real import FIELDS
from test_xinference_real import LONG, SHORT
from xinference_real import MODEL, RealXinference
from xinflight.clock import SystemClock
from xinflight.settings import Settings
from xinflight.upstream.client import Client

pytest_plugins = ["xinference_fixtures"]
pytestmark = [
    pytest.mark.xinference,
    pytest.mark.timeout(900),  # the first one also starts the server and its models
    pytest.mark.usefixtures("each_transport"),
]


async def test_an_image_and_a_cancel(serve: Serve, real_xinference: RealXinference, stack: AsyncExitStack) -> None:
    url = await serve(xinference_url=real_xinference.url, model=MODEL)
    client = await stack.enter_async_context(WireClient.connect(url))
    for task_id, fields in {"short": SHORT, "long": LONG}.items():
        assert (await client.ask(action="generate", task_id=task_id, **fields))["type"] == "ack"
    assert (await client.ends("short"))["short"]["type"] == "result"
    # It may have been told before the result: the model is free while what it made is still being stored.
    await client.has(lambda m: m["type"] == "progress" and m["task_id"] == "long" and m["state"] == "running")
    await client.ask(action="cancel", task_id="long")
    assert (await client.ends("long"))["long"]["upstream"] == "stopped"


async def test_a_chat_and_a_cancel(
    serve: Serve, real_xinference_kinds: RealXinference, stack: AsyncExitStack
) -> None:
    url = await serve(xinference_url=real_xinference_kinds.url)
    client = await stack.enter_async_context(WireClient.connect(url))
    for task_id, tokens in {"text": 40, "endless": 3000}.items():
        assert (await client.ask(action="chat", task_id=task_id, max_tokens=tokens, **FIELDS))["type"] == "ack"
    assert (await client.ends("text"))["text"]["type"] == "result"
    await client.until(lambda m: m["type"] == "delta" and m["task_id"] == "endless")
    await client.ask(action="cancel", task_id="endless")
    assert (await client.ends("endless"))["endless"]["upstream"] == "stopped"


async def test_a_poll_does_not_wait_for_an_acknowledgement(real_xinference: RealXinference) -> None:
    """On one connection, one right after the other; without the option most take 48 ms."""
    client = Client(Settings(xinference_url=real_xinference.url), SystemClock())
    client.open()
    took = []
    try:
        for _ in range(30):
            start = time.perf_counter()
            await client.request("GET", "/v1/models", max_bytes=2**20)
            took.append(time.perf_counter() - start)
    finally:
        await client.close()
    assert sorted(took)[15] < 0.035
