"""Responses that are none or too much, and connections that break, by each transport of the upstream client."""

import asyncio
import socket
import struct

import pytest

from clients import eventually
from http_peer import (
    BODY,
    OK,
    TRANSPORTS,
    Line,
    Make,
    Serve,
    always,
    chunked,
    fetch,
    opened,
    peer,
    sized,
    unused_port,
)
from xinflight.errors import UpstreamBusy, UpstreamGarbage
from xinflight.upstream import NotSent, ResponseLost
from xinflight.upstream.http import ERROR_BYTES, Body, Response

pytestmark = pytest.mark.parametrize("make", TRANSPORTS)

FLOOD = 2**22


def then_close(answer: bytes, *, reset: bool = False) -> Serve:
    """Answer the first request of each connection, and close that."""

    async def serve(line: Line) -> None:
        await line.request()
        await line.send(answer)
        if not reset:
            line.writer.close()
            await line.writer.wait_closed()

    return serve


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        OK + b"Content-Length: 9\r\n\r\n{}",
        chunked(b"{}")[:-5],
        chunked(b"{}")[:-2],
        OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
        OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        OK + b"Content-Length: x\r\n\r\n{}",
        b"SSH-2.0-OpenSSH_9\r\n",
        b"HTTP/1.1 099 X\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n{}",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        OK + b"Bad Header\r\n\r\n{}",
    ],
    ids=[
        "nothing",
        "half a head",
        "half a body",
        "no last chunk",
        "no end of trailers",
        "no length of a chunk",
        "two lengths",
        "no length",
        "no HTTP",
        "no status",
        "upgrade",
        "hints only",
        "no header",
    ],
)
async def test_a_response_that_is_lost(make: Make, answer: bytes) -> None:
    """A POST was sent and may be at work: it is sent once."""
    async with peer(then_close(answer)) as there, opened(make, there.url) as transport:
        with pytest.raises(ResponseLost):
            await fetch(transport, "POST", BODY)
    assert len(there.requests) == 1


@pytest.mark.parametrize("answer", [b"", OK + b"Content-Length: 9\r\n\r\n{}"], ids=["unanswered", "half answered"])
async def test_a_connection_that_is_reset(make: Make, answer: bytes) -> None:
    go_on = asyncio.Event()

    async def serve(line: Line) -> None:
        await line.request()
        await line.send(answer)
        await go_on.wait()
        sock = line.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    async with peer(serve) as there, opened(make, there.url) as transport:
        request = asyncio.create_task(fetch(transport, "POST", BODY), name="request")
        await eventually(lambda: there.requests)
        # Whatever there is of an answer is read before.
        for _ in range(10):
            await asyncio.sleep(0.001)
        go_on.set()
        with pytest.raises(ResponseLost):
            await request


async def test_a_connection_that_was_closed_is_not_used_again(make: Make) -> None:
    """A POST over it would be lost."""
    close = asyncio.Event()

    async def serve(line: Line) -> None:
        await line.request()
        await line.send(sized(b"{}"))
        await close.wait()

    async with peer(serve) as there, opened(make, there.url) as transport:
        await fetch(transport)
        close.set()
        # Nobody can be told of it sooner than the loop is.
        for _ in range(10):
            await asyncio.sleep(0.001)
        for _ in range(2):
            assert await fetch(transport, "POST", BODY) == b"{}"
            for _ in range(10):
                await asyncio.sleep(0.001)
    assert there.used == [1, 2, 3]


async def test_a_post_is_not_sent_again_over_another_connection(make: Make) -> None:
    """A server that closes a kept connection without an answer may have begun to work."""

    async def serve(line: Line) -> None:
        await line.request()
        await line.send(sized(b"{}"))
        await line.request()

    async with peer(serve) as there, opened(make, there.url) as transport:
        await fetch(transport)
        with pytest.raises(ResponseLost):
            await fetch(transport, "POST", BODY)
        assert there.used == [1, 1]
        # A GET changes nothing.
        assert await fetch(transport) == b"{}"
        assert await fetch(transport) == b"{}"
    assert there.used == [1, 1, 2, 2, 3]


@pytest.mark.parametrize(
    "surplus",
    [sized(b'"of nobody"'), b"\r\nSSH-2.0\r\n", b"HTTP/1.1 408 X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"],
    ids=["a response", "no HTTP", "a time out"],
)
@pytest.mark.parametrize("later", [False, True], ids=["at once", "later"])
async def test_more_than_one_response(make: Make, surplus: bytes, later: bool) -> None:
    """What nobody asked for is never the response to the next request."""

    async def serve(line: Line) -> None:
        await line.request()
        await line.send(sized(b"{}") if later else sized(b"{}") + surplus)
        if later:
            await line.send(surplus)
        await line.closed()

    async with peer(serve) as there, opened(make, there.url) as transport:
        for number in range(1, 4):
            try:
                assert await fetch(transport, "POST", BODY) == b"{}"
            except ResponseLost:
                # By aiohttp, what comes along with no HTTP is none either.
                assert b"SSH" in surplus
            for _ in range(10):
                await asyncio.sleep(0.001)
            assert there.used == list(range(1, number + 1))


@pytest.mark.parametrize(
    "answer",
    [
        OK + b"X: " + b"x" * FLOOD + b"\r\n\r\n",
        OK + b"X: x\r\n" * (FLOOD // 6) + b"\r\n",
        b"HTTP/1.1 " + b"1" * FLOOD,
    ],
    ids=["long", "many", "status"],
)
async def test_too_much_of_a_head(make: Make, answer: bytes) -> None:
    async with peer(then_close(answer + sized(b"{}"))) as there, opened(make, there.url) as transport:
        with pytest.raises(ResponseLost):
            await fetch(transport, "POST", BODY)


@pytest.mark.parametrize("answer", [sized(b"x" * 1001), chunked(*[b"x"] * 1001)], ids=["length", "chunks"])
async def test_too_much_of_a_body(make: Make, answer: bytes) -> None:
    """It is not read to its end."""
    async with peer(always(answer)) as there, opened(make, there.url) as transport:
        with pytest.raises(UpstreamGarbage, match="more than 1000 bytes"):
            await fetch(transport, "POST", BODY, most=1000)
        assert len(await fetch(transport, "POST", BODY, most=1001)) == 1001


async def test_too_much_of_an_error(make: Make) -> None:
    """Its start tells what it is; it may be endless."""
    closed = asyncio.Event()

    async def serve(line: Line) -> None:
        await line.request()
        line.writer.write(b"HTTP/1.1 503 X\r\n\r\nloading " + b"x" * (ERROR_BYTES + 1000))
        await line.closed()
        closed.set()

    async with peer(serve) as there, opened(make, there.url) as transport:
        with pytest.raises(UpstreamBusy, match="loading"):
            await fetch(transport, "POST", BODY)
        async with asyncio.timeout(60):
            await closed.wait()


async def test_a_compressed_body(make: Make) -> None:
    """Nobody asked for it, and it could be of any size."""
    answer = sized(b"\x1f\x8b\x08", b"Content-Encoding: gzip\r\n")
    async with peer(always(answer)) as there, opened(make, there.url) as transport:
        with pytest.raises(UpstreamGarbage, match="gzip"):
            await fetch(transport)


async def test_a_request_that_is_refused_before_it_was_read(make: Make) -> None:
    """Its connection is not used again, for the rest of the body would be taken for the next request."""
    body = Body("application/json", b"x" * 30_000_000)

    async def serve(line: Line) -> None:
        await line.reader.readuntil(b"\r\n\r\n")
        await line.send(b'HTTP/1.1 503 X\r\nContent-Length: 20\r\n\r\n{"detail":"loading"}')
        await line.closed()

    async with peer(serve) as there, opened(make, there.url) as transport:
        for _ in range(2):
            with pytest.raises(UpstreamBusy):
                await fetch(transport, "POST", body)
    assert there.connections == 2


# What ends a request from this side

PLACES = ["before the answer", "in the body of the request", "in the answer"]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("how", ["cancel", "close"])
async def test_whoever_leaves_closes_the_connection(make: Make, place: str, how: str) -> None:
    """That stops a chat; and nothing of a response is left to be taken for the next one."""
    there_now, closed = asyncio.Event(), asyncio.Event()
    seen: list[bytes] = []
    body = Body("application/json", b"x" * (30_000_000 if place == PLACES[1] else 10))

    async def serve(line: Line) -> None:
        await line.reader.readuntil(b"\r\n\r\n")
        if place == PLACES[2]:
            await line.send(OK + b"Content-Length: 9\r\n\r\nabc")
        there_now.set()
        await line.closed()
        closed.set()

    async with peer(serve) as there, opened(make, there.url) as transport:
        request = asyncio.create_task(
            transport.send("POST", "/", body, Response(seen.append, 100)), name="the request"
        )
        await there_now.wait()
        if place == PLACES[2]:
            await eventually(lambda: seen)
        if how == "cancel":
            request.cancel()
        else:
            await transport.close()
        with pytest.raises(asyncio.CancelledError if how == "cancel" else ResponseLost):
            await request
        async with asyncio.timeout(60):
            await closed.wait()
    assert there.connections == 1


async def test_nothing_is_sent_once_it_is_closed(make: Make) -> None:
    async with peer(always(sized(b"{}"))) as there, opened(make, there.url) as transport:
        await fetch(transport)
        await transport.close()
        with pytest.raises(NotSent):
            await fetch(transport)
    assert len(there.requests) == 1


async def test_nobody_is_there(make: Make) -> None:
    async with opened(make, f"http://127.0.0.1:{unused_port()}") as transport:
        with pytest.raises(NotSent):
            await fetch(transport, "POST", BODY)
