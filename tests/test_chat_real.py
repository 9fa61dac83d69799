"""Chats on a real Xinference 4.1.0: a whole text, a cancel that stops the model, and what follows it."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from clients import Json, WireClient
from conftest import Serve
from test_chats import text_of
from xinference_kinds import CONTEXT, WRITER
from xinference_real import RealXinference

pytest_plugins = ["xinference_fixtures"]
pytestmark = [pytest.mark.xinference, pytest.mark.timeout(900)]  # the first one also starts the server and its models

FIELDS: Json = {"model": WRITER, "temperature": 0, "messages": [{"role": "user", "content": "a red boat"}]}


@pytest.fixture
async def client(serve: Serve, real_xinference_kinds: RealXinference, stack: AsyncExitStack) -> WireClient:
    url = await serve(xinference_url=real_xinference_kinds.url)
    return await stack.enter_async_context(WireClient.connect(url))


async def start(client: WireClient, task_id: str, **fields: object) -> None:
    ack = await client.ask(action="chat", task_id=task_id, **FIELDS | fields)
    assert ack["type"] == "ack", ack


async def test_a_text_and_a_cancel(client: WireClient, real_xinference_kinds: RealXinference) -> None:
    """The deltas are the text; a cancel stops the compute, is soon confirmed, and the next text is the same."""
    await start(client, "a", max_tokens=40)
    first = (await client.ends("a"))["a"]
    assert first["type"] == "result"
    [output] = first["data"]["data"]
    assert output["text"] == text_of(client.of("a", "delta")) != ""
    assert (output["chat"]["finish_reason"], output["chat"]["usage"]["completion_tokens"]) == ("length", 40)
    await start(client, "b", max_tokens=3000)
    await client.until(lambda m: m["type"] == "delta" and m["task_id"] == "b")
    await client.ask(action="cancel", task_id="b")
    cancelled = (await client.ends("b"))["b"]
    assert (cancelled["type"], cancelled["upstream"]) == ("cancelled", "stopped")
    [broken] = cancelled["data"]
    assert broken["incomplete"] is True
    assert broken["text"] == text_of(client.of("b", "delta")) != ""
    await start(client, "c", max_tokens=40)
    assert (await client.ends("c"))["c"]["data"]["data"][0]["text"] == output["text"]
    assert await asyncio.to_thread(real_xinference_kinds.cpu_share, 1.0) < 0.15, "idle after"


async def test_more_tokens_than_the_context_has(client: WireClient) -> None:
    """Refused here; there, a stream would break off without a reason."""
    refused = await client.ask(action="chat", max_tokens=CONTEXT, **FIELDS)
    assert (refused["code"], refused["field"]) == ("out_of_bounds", "max_tokens")
