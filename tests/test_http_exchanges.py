"""Requests and responses, by each transport of the upstream client: whatever HTTP/1.1 allows, and how it is cut."""

import asyncio
import base64
import random
from contextvars import ContextVar
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from http_peer import BODY, OK, TRANSPORTS, Line, Make, always, chunked, fetch, opened, peer, sized
from xinflight.errors import ModelNotFound, UpstreamBusy, UpstreamFailed
from xinflight.upstream.http import Body, Response

pytestmark = pytest.mark.parametrize("make", TRANSPORTS)

TASK: ContextVar[str] = ContextVar("task")
HINTS = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\nContent-Length: 7\r\n\r\n"


async def test_one_connection_serves_one_request_after_the_other(make: Make) -> None:
    async with peer(always(sized(b"{}"))) as there, opened(make, there.url) as transport:
        for _ in range(3):
            assert await fetch(transport) == b"{}"
            assert await fetch(transport, "POST", BODY) == b"{}"
    assert there.used == [1] * 6


async def test_requests_at_once_have_a_connection_each(make: Make) -> None:
    """Progress and aborts never wait for a POST. Later the connections are used again."""
    arrived = 0
    all_there = asyncio.Event()

    async def serve(line: Line) -> None:
        nonlocal arrived
        while True:
            await line.request()
            arrived += 1
            if arrived == 150:
                all_there.set()
            await all_there.wait()
            await line.send(sized(b"{}"))

    async with peer(serve) as there, opened(make, there.url) as transport:
        await asyncio.gather(*(fetch(transport) for _ in range(150)))
        await fetch(transport)
    assert there.connections == 150


@pytest.mark.parametrize(
    ("answer", "reused"),
    [
        (sized(b"{}"), True),
        (chunked(b"{", b"}"), True),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n2;name=value;other\r\n{}\r\n0\r\nTrailer: a\r\n\r\n", True),
        (HINTS + sized(b"{}"), True),
        (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\n{}", True),
        (b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\n{}", True),
        (sized(b"{}", b"Connection: close\r\n"), False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}", False),
    ],
    ids=["length", "chunks", "extensions", "hints", "1.0 kept", "no reason", "close", "1.0"],
)
async def test_what_ends_a_response(make: Make, answer: bytes, reused: bool) -> None:
    async with peer(always(answer)) as there, opened(make, there.url) as transport:
        for _ in range(3):
            assert await fetch(transport, "POST", BODY) == b"{}"
    assert there.used == ([1, 1, 1] if reused else [1, 2, 3])


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
async def test_the_end_of_the_connection_ends_a_response_without_a_length(make: Make, version: bytes) -> None:
    async def serve(line: Line) -> None:
        await line.request()
        await line.send(b"HTTP/%b 200 OK\r\n\r\n" % version, b"{", b"}")
        line.writer.close()
        await line.writer.wait_closed()

    async with peer(serve) as there, opened(make, there.url) as transport:
        assert await fetch(transport) == b"{}"
        assert await fetch(transport) == b"{}"
    assert there.used == [1, 2]


async def test_a_body_without_content(make: Make) -> None:
    async with peer(always(sized(b""), chunked())) as there, opened(make, there.url) as transport:
        assert await fetch(transport) == b""
        assert await fetch(transport) == b""
    assert there.used == [1, 1]


async def test_byte_by_byte(make: Make) -> None:
    """With pauses, in which each byte arrives by itself."""
    answer = HINTS + chunked(b'{"a":1', b"}", trailers=b"Trailer: x\r\n")

    async def serve(line: Line) -> None:
        await line.request()
        await line.send(*(bytes([byte]) for byte in answer))
        await line.closed()

    async with peer(serve) as there, opened(make, there.url) as transport:
        assert await fetch(transport) == b'{"a":1}'


@settings(max_examples=15)
@given(st.binary(max_size=300), st.sampled_from(["length", "chunks", "hints"]), st.randoms(use_true_random=False))
def test_cut_anywhere(make: Make, body: bytes, how: str, luck: random.Random) -> None:
    """The same bytes in any pieces are the same response."""
    pieces = [body[at : at + 40] for at in range(0, len(body), 40)]
    answer = {"length": sized(body), "chunks": chunked(*pieces), "hints": HINTS + chunked(*pieces)}[how]
    cuts = sorted({0, len(answer), *(luck.randrange(len(answer)) for _ in range(6))})

    async def serve(line: Line) -> None:
        for _ in range(2):
            await line.request()
            await line.send(*(answer[start:end] for start, end in pairwise(cuts)))

    async def exchange() -> None:
        async with peer(serve) as there, opened(make, there.url) as transport:
            assert await fetch(transport) == body
            assert await fetch(transport, "POST", BODY) == body

    asyncio.run(exchange())


async def test_the_request_as_it_arrives(make: Make) -> None:
    """Below the path of the URL, with our key, and with nothing that names a person or asks for compression."""
    async with (
        peer(always(sized(b"{}"))) as there,
        opened(make, f"{there.url}/models%20here/", api_key="sk-1") as transport,
    ):
        await fetch(transport, "POST", Body(BODY.content_type, BODY.data, "00-1-2-01"), "/v1/models/a%2Fb/replicas")
        await fetch(transport)
    post, get = there.requests
    assert post.line == "POST /models%20here/v1/models/a%2Fb/replicas HTTP/1.1"
    assert get.line == "GET /models%20here/v1/models HTTP/1.1"
    assert post.body == BODY.data
    common = {
        "host": there.url.removeprefix("http://"),
        "accept": "*/*",
        "accept-encoding": "identity",
        "user-agent": "xinflight",
        "authorization": "Bearer sk-1",
    }
    assert get.headers == common
    of_the_body = {"content-type": "application/json", "content-length": str(len(BODY.data))}
    assert post.headers == common | of_the_body | {"traceparent": "00-1-2-01"}


async def test_a_name_and_a_password_in_the_url(make: Make) -> None:
    async with (
        peer(always(sized(b"{}"))) as there,
        opened(make, there.url.replace("http://", "http://ann:%C3%BC%40:@")) as transport,
    ):
        await fetch(transport)
    [request] = there.requests
    assert request.headers["authorization"] == f"Basic {base64.b64encode('ann:ü@:'.encode()).decode()}"
    assert request.headers["host"] == there.url.removeprefix("http://")


async def test_an_address_of_ipv6(make: Make) -> None:
    async with peer(always(sized(b"{}")), host="::1") as there, opened(make, there.url) as transport:
        assert await fetch(transport) == b"{}"
    assert there.requests[0].headers["host"] == there.url.removeprefix("http://")


async def test_a_large_body_arrives_whole(make: Make) -> None:
    """However slowly it is read."""
    body = Body("application/json", random.Random(7).randbytes(5_000_000))

    async def serve(line: Line) -> None:
        for _ in range(40):
            await asyncio.sleep(0)
        await line.request()
        await line.send(sized(b"{}"))
        await line.closed()

    async with peer(serve) as there, opened(make, there.url) as transport:
        assert await fetch(transport, "POST", body) == b"{}"
    assert there.requests[0].body == body.data


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b'HTTP/1.1 404 X\r\nContent-Length: 22\r\n\r\n{"detail":"no model m"}'[:-1], ModelNotFound),
        (b"HTTP/1.1 503 X\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n", UpstreamBusy),
        (b"HTTP/1.1 204 No Content\r\n\r\n", UpstreamFailed),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", UpstreamFailed),
        (b"HTTP/1.1 307 X\r\nlocation: http://b/\r\nContent-Length: 0\r\n\r\n", UpstreamFailed),
    ],
    ids=["404", "503", "204", "304", "307"],
)
async def test_every_status_but_200_is_an_error(make: Make, answer: bytes, error: type[Exception]) -> None:
    """The connection can be used again."""
    async with peer(always(answer)) as there, opened(make, there.url) as transport:
        with pytest.raises(error) as raised:
            await fetch(transport, "POST", BODY)
        with pytest.raises(error):
            await fetch(transport)
    assert there.used == [1, 1]
    assert ("http://b/" in str(raised.value)) is (b"307" in answer)
    assert getattr(raised.value, "retry_after", None) == (7.0 if b"503" in answer else None)


async def test_a_response_is_passed_on_as_it_arrives(make: Make) -> None:
    """A token is shown when it is there, not when the text is complete."""
    go_on = asyncio.Event()
    seen: list[bytes] = []

    async def serve(line: Line) -> None:
        await line.request()
        await line.send(OK + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n")
        await go_on.wait()
        await line.send(b"1\r\nb\r\n0\r\n\r\n")
        await line.closed()

    def receive(data: bytes) -> None:
        seen.append(data)
        go_on.set()

    async with peer(serve) as there, opened(make, there.url) as transport:
        await transport.send("POST", "/", BODY, Response(receive, 100))
    assert seen == [b"a", b"b"]


async def test_a_response_is_received_in_the_context_of_its_request(make: Make) -> None:
    """Not in that of the request which opened the connection: a log line would name another task."""
    seen: list[str] = []
    async with peer(always(sized(b"{}"))) as there, opened(make, there.url) as transport:
        for name in ("a", "b"):
            TASK.set(name)
            await transport.send("POST", "/", BODY, Response(lambda data: seen.append(TASK.get()), 9))
    assert seen == ["a", "b"]
    assert there.used == [1, 1]


async def test_whoever_has_enough_gets_no_more(make: Make) -> None:
    """The server may write for ever: its connection is closed."""
    seen: list[bytes] = []
    closed = asyncio.Event()

    async def serve(line: Line) -> None:
        await line.request()
        await line.send(OK + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n")
        await line.closed()
        closed.set()

    def receive(data: bytes) -> bool:
        seen.append(data)
        return True

    async with peer(serve) as there, opened(make, there.url) as transport:
        await transport.send("POST", "/", BODY, Response(receive, 100))
        async with asyncio.timeout(60):
            await closed.wait()
    assert seen == [b"a"]


async def test_an_error_of_the_receiver_closes_the_connection(make: Make) -> None:
    closed = asyncio.Event()

    async def serve(line: Line) -> None:
        await line.request()
        await line.send(OK + b"Content-Length: 9\r\n\r\nabc")
        await line.closed()
        closed.set()

    def receive(data: bytes) -> None:
        raise UpstreamFailed(detail="spoilt")

    async with peer(serve) as there, opened(make, there.url) as transport:
        with pytest.raises(UpstreamFailed, match="spoilt"):
            await transport.send("POST", "/", BODY, Response(receive, 100))
        async with asyncio.timeout(60):
            await closed.wait()
