"""How messages become writes on a WebSocket: what waits is written together, in frames that any client reads."""

from collections.abc import Sequence
from contextlib import AsyncExitStack

import aiohttp
import msgspec
import pytest
from aiohttp import WSMsgType, web
from aiohttp.test_utils import TestServer

from bench.fake_upstream import FakeUpstream
from clients import WireClient
from conftest import Serve
from work_counts import generate
from xinflight.web import frames

GENERATIONS = 3


async def test_the_messages_of_one_turn_are_one_write(
    serve: Serve, stack: AsyncExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reply with the event that follows it, and an output with the end of its task."""
    writes: list[list[str]] = []
    send = frames.FrameSender.send

    async def counted(sender: frames.FrameSender, messages: Sequence[bytes]) -> None:
        writes.append([msgspec.json.decode(message)["type"] for message in messages])
        await send(sender, messages)

    monkeypatch.setattr(frames.FrameSender, "send", counted)
    upstream = await stack.enter_async_context(FakeUpstream(1, 0.0).serving())
    client = await stack.enter_async_context(WireClient.connect(await serve(xinference_url=upstream)))
    http = await stack.enter_async_context(aiohttp.ClientSession())
    for number in range(GENERATIONS):
        await generate(client, http, f"task-{number}")
    for together in (["ack", "accepted"], ["output", "result"]):
        # A snapshot may have joined them.
        assert sum(write[: len(together)] == together for write in writes) == GENERATIONS, writes


@pytest.mark.parametrize("binary", [False, True])
async def test_messages_of_any_length_arrive_as_they_were_sent(stack: AsyncExitStack, *, binary: bool) -> None:
    messages = [b"a" * size for size in (0, 1, 125, 126, 2**16 - 1, 2**16)]

    async def serve(request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse(compress=False)
        await ws.prepare(request)
        sender = frames.FrameSender(request, ws, binary=binary)
        await sender.send(messages)
        await sender.send(messages[:1])
        await ws.close()
        # Nothing may follow the close frame (RFC 6455 section 5.5.1).
        for count in (1, 2):
            with pytest.raises(ConnectionError):
                await sender.send(messages[:count])
        return ws

    app = web.Application()
    app.router.add_get("/", serve)
    server = await stack.enter_async_context(TestServer(app, host="127.0.0.1"))
    http = await stack.enter_async_context(aiohttp.ClientSession())
    kind = WSMsgType.BINARY if binary else WSMsgType.TEXT
    async with http.ws_connect(server.make_url("/")) as ws:
        for message in [*messages, messages[0]]:
            frame = await ws.receive()
            assert frame.type is kind
            assert (frame.data if binary else frame.data.encode()) == message
        assert (await ws.receive()).type is WSMsgType.CLOSE
    assert ws.close_code == aiohttp.WSCloseCode.OK


@pytest.mark.parametrize("count", [1, 2])
async def test_what_a_dead_connection_does_not_take_counts_as_not_sent(stack: AsyncExitStack, count: int) -> None:
    """Else what is not to be kept would be deleted although nobody has it."""
    refused = []

    async def serve(request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse(compress=False)
        await ws.prepare(request)
        assert request.transport is not None
        request.transport.abort()
        # Before the loop has told the connection, let alone the WebSocket.
        assert not ws.closed
        with pytest.raises(ConnectionError):
            await frames.FrameSender(request, ws, binary=False).send([b"a"] * count)
        refused.append(count)
        return ws

    app = web.Application()
    app.router.add_get("/", serve)
    server = await stack.enter_async_context(TestServer(app, host="127.0.0.1"))
    http = await stack.enter_async_context(aiohttp.ClientSession())
    async with http.ws_connect(server.make_url("/")) as ws:
        assert (await ws.receive()).type is WSMsgType.CLOSED
    assert refused == [count]
