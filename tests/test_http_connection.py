"""The connection on httptools: what can only be seen from inside, and the same contract on uvloop."""

import asyncio
import inspect
import sys
from collections.abc import Callable, Coroutine
from itertools import pairwise
from typing import Any, cast

import pytest
import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st

import test_http_connections
import test_http_exchanges
import test_http_faults
from clients import FakeClock, eventually
from http_peer import BODY, OK, Line, chunked, fetch, opened, peer, sized
from xinflight.settings import Settings
from xinflight.upstream import ResponseLost
from xinflight.upstream.client import Client, create_transport, server_of
from xinflight.upstream.http import Response
from xinflight.upstream.http_aiohttp import AiohttpTransport
from xinflight.upstream.http_connection import OVERHEAD_BYTES, Connection
from xinflight.upstream.http_httptools import HttptoolsTransport

HINTS = b"HTTP/1.1 100 Continue\r\n\r\n"


def test_which_transport(monkeypatch: pytest.MonkeyPatch) -> None:
    """Httptools where it is installed and wanted, else aiohttp."""
    assert isinstance(Client(Settings(), FakeClock())._transport, HttptoolsTransport)
    assert isinstance(Client(Settings(speed=False), FakeClock())._transport, AiohttpTransport)
    server = server_of(Settings(xinference_url="http://127.0.0.1:9"))
    assert isinstance(create_transport(server), HttptoolsTransport)
    monkeypatch.setitem(sys.modules, "httptools", None)
    for module in ("http_httptools", "http_connection"):
        monkeypatch.delitem(sys.modules, f"xinflight.upstream.{module}")
    assert isinstance(create_transport(server), AiohttpTransport)


class Wire(asyncio.Transport):
    """A transport without a socket; what is written is in `written`."""

    def __init__(self, connection: Connection) -> None:
        super().__init__()
        self.connection = connection
        self.written = bytearray()
        self.aborted = False
        self.acknowledged = 0
        self.buffered = 0
        self.paused = False
        connection.connection_made(self)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data

    def get_write_buffer_size(self) -> int:
        return self.buffered

    def is_closing(self) -> bool:
        return self.aborted

    def abort(self) -> None:
        if not self.aborted:
            self.aborted = True
            asyncio.get_running_loop().call_soon(self.connection.connection_lost, None)

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False

    def get_extra_info(self, name: str, default: object = None) -> object:
        return self

    def setsockopt(self, *option: object) -> None:
        self.acknowledged += 1


async def exchange(*pieces: bytes, head: bytes = b"GET / HTTP/1.1\r\n\r\n", body: bytes = b"") -> tuple[bytes, Wire]:
    """Feed the pieces to a connection as the response to a request; return its body."""
    parts: list[bytes] = []
    wire = Wire(Connection())
    request = asyncio.create_task(wire.connection.send(head, body, Response(parts.append, 10**6)), name="request")
    await asyncio.sleep(0)
    for piece in pieces:
        wire.connection.data_received(piece)
    await request
    return b"".join(parts), wire


@settings(max_examples=150)
@given(
    st.binary(max_size=200),
    st.sampled_from(["length", "chunks", "trailers"]),
    st.integers(0, 2),
    st.lists(st.integers(0, 10**6), max_size=12),
)
def test_cut_anywhere(body: bytes, how: str, hints: int, cuts: list[int]) -> None:
    pieces = [body[at : at + 30] for at in range(0, len(body), 30)]
    answers = {"length": sized(body), "chunks": chunked(*pieces), "trailers": chunked(*pieces, trailers=b"A: b\r\n")}
    answer = HINTS * hints + answers[how]
    at = sorted({0, len(answer), *(cut % len(answer) for cut in cuts)})
    got, wire = asyncio.run(exchange(*(answer[start:end] for start, end in pairwise(at))))
    assert got == body
    assert wire.connection.reusable
    assert not wire.aborted


@settings(max_examples=150)
@given(st.binary(max_size=300), st.sampled_from([b"", OK, OK + b"Content-Length: 20\r\n\r\n", chunked(b"{}")[:-2]]))
def test_any_bytes_are_a_response_or_none(junk: bytes, start: bytes) -> None:
    """Nothing else comes of them, and the connection is closed where it is none."""

    async def exchanged() -> None:
        wire = Wire(Connection())
        request = asyncio.create_task(
            wire.connection.send(b"GET / HTTP/1.1\r\n\r\n", b"", Response(lambda data: None, 10**6)), name="request"
        )
        await asyncio.sleep(0)
        wire.connection.data_received(start)
        wire.connection.data_received(junk)
        wire.connection.eof_received()
        try:
            await request
        except ResponseLost:
            assert wire.aborted
        assert not wire.connection.reusable

    asyncio.run(exchanged())


async def test_what_arrives_of_a_response_is_acknowledged_until_it_is_complete() -> None:
    """The server waits for it with the rest, and nothing waits for that of the last piece."""
    _, wire = await exchange(sized(b"{}"))
    assert wire.acknowledged == 0
    _, wire = await exchange(sized(b"{}")[:-2], b"{", b"}")
    assert wire.acknowledged == 2


async def test_others_have_a_turn_between_two_large_pieces() -> None:
    """On uvloop, megabytes would be read in one turn, which are decoded as they arrive."""
    wire = Wire(Connection())
    request = asyncio.create_task(
        wire.connection.send(b"GET / HTTP/1.1\r\n\r\n", b"", Response(lambda data: None, 10**6)), name="request"
    )
    await asyncio.sleep(0)
    answer = sized(b"x" * 500_000)
    paused = []
    for start in range(0, len(answer), 100_000):
        wire.connection.data_received(answer[start : start + 100_000])
        paused.append(wire.paused)
        await asyncio.sleep(0)
        assert not wire.paused
    await request
    assert paused == [True] * 5 + [False]


async def test_a_request_is_one_write() -> None:
    _, wire = await exchange(sized(b"{}"), head=b"POST / HTTP/1.1\r\n\r\n", body=b"{}")
    assert wire.written == b"POST / HTTP/1.1\r\n\r\n{}"


async def test_a_connection_that_still_writes_is_not_used_again() -> None:
    """The next request would follow the rest of this one."""
    parts: list[bytes] = []
    wire = Wire(Connection())
    wire.buffered = 7
    request = asyncio.create_task(wire.connection.send(b"POST", b"{}", Response(parts.append, 9)), name="request")
    await asyncio.sleep(0)
    wire.connection.data_received(sized(b"{}"))
    await request
    assert wire.aborted


@pytest.mark.parametrize("flood", [HINTS, chunked(b"{}")[:-2] + b"A: b\r\n" * 100], ids=["hints", "trailers"])
async def test_what_surrounds_a_body_is_bounded(flood: bytes) -> None:
    """A server that writes hints or trailers for ever would fill our memory."""
    count = OVERHEAD_BYTES // len(HINTS) + 2 if flood == HINTS else 2
    pieces = [flood] * count if flood == HINTS else [flood, *[b"A: b\r\n" * 100] * (OVERHEAD_BYTES // 600)]
    with pytest.raises(ResponseLost, match="too much beside its body"):
        await exchange(*pieces)


async def test_a_reset_is_no_end_of_a_response() -> None:
    wire = Wire(Connection())
    request = asyncio.create_task(
        wire.connection.send(b"GET / HTTP/1.1\r\n\r\n", b"", Response(lambda data: None, 9)), name="request"
    )
    await asyncio.sleep(0)
    wire.connection.data_received(OK + b"\r\n{")
    wire.connection.connection_lost(ConnectionResetError())
    with pytest.raises(ResponseLost, match="ConnectionResetError"):
        await request


async def test_a_post_goes_over_no_connection_that_the_kernel_knows_to_be_closed() -> None:
    """Even if the loop has had no turn to hear of it."""
    answered = asyncio.Event()

    async def serve(line: Line) -> None:
        await line.request()
        await line.send(sized(b"{}"))
        await answered.wait()
        # Both in one turn of the loop, so that the client is heard of before the end of its connection is.
        line.writer.transport.abort()
        asyncio.get_running_loop().call_soon(again.set)

    again = asyncio.Event()
    async with peer(serve) as there, opened(HttptoolsTransport, there.url) as transport:
        await fetch(transport)
        answered.set()
        await again.wait()
        [connection] = cast(HttptoolsTransport, transport)._idle
        while not connection.has_news():
            # Not a turn of the loop: what comes next is up to the kernel.
            pass
        assert not connection.closing
        assert await fetch(transport, "POST", BODY) == b"{}"
    assert there.used == [1, 2]


async def test_a_broken_response_leaves_nothing_behind() -> None:
    """Neither a connection nor a timer."""
    async with peer(lambda line: line.request()) as there, opened(HttptoolsTransport, there.url) as transport:
        for _ in range(3):
            with pytest.raises(ResponseLost):
                await fetch(transport, "POST", BODY)
        pool = cast(HttptoolsTransport, transport)
        await eventually(lambda: not pool._connections)
        assert not pool._idle
        assert pool._sweeper is None


CONTRACT: dict[str, Callable[..., Coroutine[Any, Any, None]]] = {
    name: test
    for module in (test_http_exchanges, test_http_faults, test_http_connections)
    for name, test in inspect.getmembers(module, inspect.iscoroutinefunction)
    if name.startswith("test_") and list(inspect.signature(test).parameters) == ["make"]
}


@pytest.mark.parametrize("name", CONTRACT)
def test_the_contract_on_uvloop(name: str) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(CONTRACT[name](HttptoolsTransport))
