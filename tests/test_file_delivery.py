"""How files are sent: from memory or from the disk, whole or in parts, on each event loop."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import uvloop
from aiohttp import web

from clients import WireClient, hosted
from xinflight.storage import StoredFile
from xinflight.web.files import PIECE, file_response

SIZE = 2 * PIECE + 1234
DATA = os.urandom(SIZE)
LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@asynccontextmanager
async def serving(stored: StoredFile) -> AsyncIterator[aiohttp.ClientSession]:
    """Serve a file as `/`, with the id `abc`."""

    async def get(request: web.Request) -> web.StreamResponse:
        return file_response(request, "abc", stored, {})

    app = web.Application()
    app.router.add_get("/", get)
    async with hosted(app) as url, aiohttp.ClientSession(url) as http:
        yield http


@pytest.fixture(params=[(loop, kept) for loop in LOOPS for kept in ("memory", "disk")], ids="-".join)
def played(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., None]:
    """Run a coroutine function on each loop, with a client of a file in memory and of one on the disk."""
    loop, kept = request.param
    path = tmp_path / "file"
    path.write_bytes(DATA)
    stored = StoredFile(
        media_type="image/png", data=DATA if kept == "memory" else None, path=path if kept == "disk" else None
    )

    async def main(play: Callable[[aiohttp.ClientSession], Awaitable[None]]) -> None:
        async with serving(stored) as http:
            await play(http)

    def run(play: Callable[[aiohttp.ClientSession], Awaitable[None]]) -> None:
        with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
            runner.run(main(play))

    return run


def test_the_whole_file(played: Callable[..., None]) -> None:
    """With GET all of it, with HEAD its size; the connection serves on."""

    async def play(http: aiohttp.ClientSession) -> None:
        for _ in range(2):
            async with http.get("/") as response:
                assert (response.status, response.content_length) == (200, SIZE)
                assert (response.headers["ETag"], response.headers["Accept-Ranges"]) == ('"abc"', "bytes")
                assert await response.read() == DATA
            async with http.head("/") as response:
                assert (response.status, response.content_length, await response.read()) == (200, SIZE, b"")

    played(play)


@pytest.mark.parametrize(
    ("asked", "start", "stop"),
    [
        ("5-9", 5, 10),
        (f"{PIECE - 3}-{2 * PIECE + 3}", PIECE - 3, 2 * PIECE + 4),
        ("-7", SIZE - 7, SIZE),
        (f"{SIZE - 1}-{SIZE + 9}", SIZE - 1, SIZE),
    ],
)
def test_parts(played: Callable[..., None], asked: str, start: int, stop: int) -> None:
    """A range is sent alone; after If-Range with another ETag, all of it."""

    async def play(http: aiohttp.ClientSession) -> None:
        wanted = {"Range": f"bytes={asked}"}
        for headers in (wanted, wanted | {"If-Range": '"abc"'}):
            async with http.get("/", headers=headers) as response:
                assert response.status == 206
                assert response.headers["Content-Range"] == f"bytes {start}-{stop - 1}/{SIZE}"
                assert await response.read() == DATA[start:stop]
        async with http.get("/", headers=wanted | {"If-Range": '"other"'}) as response:
            assert (response.status, await response.read()) == (200, DATA)

    played(play)


@pytest.mark.parametrize("asked", [f"bytes={SIZE}-", "bytes=9-4", "lines=1-2"])
def test_parts_that_are_not_there(played: Callable[..., None], asked: str) -> None:
    async def play(http: aiohttp.ClientSession) -> None:
        async with http.get("/", headers={"Range": asked}) as response:
            assert (response.status, await response.read()) == (416, b"")
            assert response.headers["Content-Range"] == f"bytes */{SIZE}"

    played(play)


def test_what_the_client_has(played: Callable[..., None]) -> None:
    """The same ETag, wherever the file comes from."""

    async def play(http: aiohttp.ClientSession) -> None:
        for known, status in (('"abc"', 304), ('"x", W/"abc"', 304), ("*", 304), ('"other"', 200)):
            async with http.get("/", headers={"If-None-Match": known}) as response:
                assert (response.status, response.headers["ETag"]) == (status, '"abc"')

    played(play)


def test_who_leaves_half_way(played: Callable[..., None]) -> None:
    """The server serves the next one."""

    async def play(http: aiohttp.ClientSession) -> None:
        async with http.get("/") as response:
            await response.content.readexactly(10)
            response.close()
        async with http.get("/") as response:
            assert await response.read() == DATA

    played(play)


async def test_a_file_that_is_gone(tmp_path: Path) -> None:
    """It was deleted after it was found."""
    async with serving(StoredFile(media_type="image/png", path=tmp_path / "gone")) as http, http.get("/") as response:
        assert (response.status, await response.read()) == (404, b"")


@pytest.mark.parametrize(("known", "status", "most"), [({}, 200, 2), ({"If-None-Match": "*"}, 304, 1)])
async def test_how_often_a_thread_is_asked(
    client: WireClient, monkeypatch: pytest.MonkeyPatch, known: dict[str, str], status: int, most: int
) -> None:
    """For its owner and for a small file, if the client has none: each time costs as much as sending the file."""
    await client.send(action="generate", prompt="boat", task_id="a")
    (output,) = (await client.ends("a"))["a"]["data"]["data"]
    calls: list[object] = []
    loop = asyncio.get_running_loop()
    run_in_executor = loop.run_in_executor

    def counted(executor: Any, function: Any, *arguments: Any) -> asyncio.Future[Any]:
        calls.append(function)
        return run_in_executor(executor, function, *arguments)

    async with aiohttp.ClientSession() as http:
        # Whatever the first request of a connection needs, such as the address of the server.
        async with http.get(output["url"]):
            pass
        monkeypatch.setattr(loop, "run_in_executor", counted)
        async with http.get(output["url"], headers=known) as response:
            assert response.status == status
            await response.read()
    assert len(calls) <= most, calls
