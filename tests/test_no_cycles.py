"""What has ended is freed at once, not by the garbage collector: full collections are rare, and memory would grow."""

import gc
from collections import Counter
from collections.abc import Iterator

import pytest
from aiohttp import web

from clients import Recorder, WireClient, eventually
from xinflight.demo import Faults
from xinflight.tasks.runs import OutputRun
from xinflight.upstream import Attempt


@pytest.fixture(autouse=True)
def without_collector() -> Iterator[None]:
    """Free what earlier tests left, then nothing that is in a cycle."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def living() -> dict[str, int]:
    """Count the runs, the requests to the upstream and the sockets that were not freed."""
    kinds = (Attempt, OutputRun, web.WebSocketResponse)
    return dict(Counter(type(one).__name__ for one in gc.get_objects() if isinstance(one, kinds)))


LEFT = {"WebSocketResponse": 1, "OutputRun": 1}
"""The open socket, and of all runs the one that was started last."""


async def test_images(client: WireClient) -> None:
    for task_id in ("a", "b", "c"):
        await client.ask(action="generate", prompt="a boat", task_id=task_id)
        assert (await client.ends(task_id))[task_id]["type"] == "result"
    await eventually(lambda: living() == LEFT)


async def test_an_image_that_is_cancelled(client: WireClient, engine: Recorder) -> None:
    engine.script = [Faults(freeze=3)]
    await client.ask(action="generate", prompt="a boat", task_id="a")
    await eventually(lambda: engine.in_flight["painter"] == 1)
    await client.ask(action="cancel", task_id="a")
    assert (await client.ends("a"))["a"]["type"] == "cancelled"
    await eventually(lambda: living() == LEFT)


async def test_an_image_that_fails(client: WireClient, engine: Recorder) -> None:
    engine.script = [Faults(error="CUDA out of memory")]
    await client.ask(action="generate", prompt="a boat", task_id="a")
    assert (await client.ends("a"))["a"]["type"] == "error"
    await eventually(lambda: living() == LEFT)


async def test_a_connection_that_is_lost(client: WireClient) -> None:
    assert client.ws._response.connection is not None
    transport = client.ws._response.connection.transport
    assert transport is not None
    transport.abort()
    await eventually(lambda: living() == {})


async def test_a_connection_that_is_closed(client: WireClient) -> None:
    await client.ws.close()
    await eventually(lambda: living() == {})
