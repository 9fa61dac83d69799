"""Bodies with a Content-Encoding: refused in words, and never inflated at anybody else's cost."""

import asyncio
import gzip
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp.http_parser import DeflateBuffer

from clients import Json, WireClient
from streams import shared_server

INFLATED = 50_000_000
BOMB = gzip.compress(b" " * INFLATED, compresslevel=9)
GZIP = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
OURS = ["/api/v1/tasks", "/api/v1/tasks/a/cancel", "/api/v1/notices", "/v1/images/generations"]


class Inflated:
    """How many bytes aiohttp inflated of all bodies."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.bytes = 0
        feed = DeflateBuffer.feed_data

        def counted(buffer: DeflateBuffer, chunk: bytes, size: int) -> bool:
            before = buffer.out.total_bytes
            more = feed(buffer, chunk, size)
            self.bytes += buffer.out.total_bytes - before
            return more

        monkeypatch.setattr(DeflateBuffer, "feed_data", counted)


@pytest.fixture
def inflated(monkeypatch: pytest.MonkeyPatch) -> Inflated:
    return Inflated(monkeypatch)


async def post(url: str, path: str, body: bytes = BOMB) -> tuple[int, Json]:
    async with (
        aiohttp.ClientSession(url) as http,
        http.post(path, data=body, headers={**GZIP, "X-User": "ann"}) as response,
    ):
        return response.status, await response.json()


@pytest.mark.parametrize("path", OURS)
async def test_a_coding_is_refused_by_name(server: str, inflated: Inflated, path: str) -> None:
    """Whatever is in it, sound or broken."""
    for body in (gzip.compress(b'{"prompt":"boat"}'), b"no gzip at all", BOMB):
        status, told = await post(server, path, body)
        error = told.get("error", told)
        assert (status, error["code"], error.get("field") or error.get("param")) == (
            415,
            "unsupported_type",
            "Content-Encoding",
        )
    assert inflated.bytes == 0


async def test_none_is_inflated_on_paths_that_nobody_knows(server: str, inflated: Inflated) -> None:
    """A stranger's body counts by the bytes that were sent, and a neighbour is answered meanwhile."""
    async with WireClient.connect(server) as neighbour, aiohttp.ClientSession(server) as http:
        bombs = [asyncio.create_task(_refused(http, path)) for path in ("/nowhere", "/login", "/healthz") * 4]
        assert (await neighbour.ask(action="ping"))["type"] == "pong"
        assert {status // 100 for status in await asyncio.gather(*bombs)} == {4}
    assert inflated.bytes == 0


async def _refused(http: aiohttp.ClientSession, path: str) -> int:
    async with http.post(path, data=BOMB, headers=GZIP) as response:
        return response.status


@pytest.fixture
async def embedded(emulate: object) -> AsyncIterator[str]:
    """Give a gateway in an application whose server inflates bodies, as aiohttp does by default."""
    async with shared_server() as (url, _):
        yield url


@pytest.mark.parametrize("path", OURS)
async def test_an_embedding_service_inflates_no_more_than_it_buffers(
    embedded: str, inflated: Inflated, path: str
) -> None:
    """The host's server has begun to inflate when our handler refuses; nothing more is inflated then."""
    status, told = await post(embedded, path)
    assert status == 415
    assert told.get("error", told)["code"] == "unsupported_type"
    assert inflated.bytes < INFLATED / 10
