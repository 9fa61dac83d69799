"""The transports beside the WebSocket, as tests use them: how each is asked, and what each streams."""

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple, Self
from urllib.parse import urlsplit

import aiohttp
import msgspec
from aiohttp import WSMsgType, web
from aiohttp.test_utils import TestServer

from clients import LONG, Json, WireClient, is_end
from xinflight.app import setup
from xinflight.auth import Identity
from xinflight.gateway import Gateway
from xinflight.settings import Settings

EVENT_STREAM = "text/event-stream"
NDJSON = "application/x-ndjson"
STREAMS = (EVENT_STREAM, NDJSON)


class PackClient(WireClient):
    """One WebSocket that speaks MessagePack."""

    @classmethod
    @asynccontextmanager
    async def connect(cls, url: str, **options: Any) -> AsyncIterator[Self]:
        async with super().connect(url, protocols=["xinflight.v1.msgpack"], **options) as client:
            yield client

    async def send(self, **message: Any) -> None:
        await self.ws.send_bytes(msgspec.msgpack.encode(message))

    async def receive(self, timeout: float = LONG) -> Json:
        frame = await self.ws.receive(timeout=timeout)
        assert frame.type is WSMsgType.BINARY, frame
        message: Json = msgspec.msgpack.decode(frame.data)
        self.seen.append(message)
        return message


class Line(NamedTuple):
    """One message of a stream; `id` and `event` as SSE has them, None in NDJSON."""

    id: str | None
    event: str | None
    data: Json


async def lines(response: aiohttp.ClientResponse, heard: Callable[[str], None] | None = None) -> AsyncIterator[Line]:
    """Yield the messages of an answer that goes on; comments and empty lines go to `heard`."""
    events = response.content_type == EVENT_STREAM
    assert events or response.content_type == NDJSON, response.content_type
    fields: dict[str, str] = {}
    async for raw in response.content:
        line = raw.decode().rstrip("\n")
        if not events:
            if line:
                yield Line(None, None, json.loads(line))
            elif heard is not None:
                heard(line)
        elif line.startswith(":"):
            if heard is not None:
                heard(line)
        elif line:
            name, _, value = line.partition(": ")
            assert name in ("id", "event", "data"), line
            assert name not in fields, line
            fields[name] = value
        elif fields:
            yield Line(fields.get("id"), fields.get("event"), json.loads(fields["data"]))
            fields = {}


async def all_lines(response: aiohttp.ClientResponse, timeout: float = LONG) -> list[Line]:
    """Read a stream to its end."""
    async with asyncio.timeout(timeout):
        return [line async for line in lines(response)]


def stored(messages: list[Json]) -> list[Json]:
    """Return the stored events of what was seen, inline images as bytes whatever the transport."""
    return [_with_bytes(m) for m in messages if m["type"] in ("accepted", "output") or is_end(m)]


def _with_bytes(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: base64.b64decode(inner) if key == "b64_json" and isinstance(inner, str) else _with_bytes(inner)
            for key, inner in value.items()
        }
    return [_with_bytes(inner) for inner in value] if isinstance(value, list) else value


async def who(request: web.Request, token: str | None) -> Identity | None:
    """Believe what a header says, for tests; `boss` is an admin."""
    name = request.headers.get("X-User")
    return None if name is None else Identity(id=name, admin=name == "boss")


@asynccontextmanager
async def shared_server(**settings: Any) -> AsyncIterator[tuple[str, Gateway]]:
    """Serve a gateway with several owners, in memory; yield its base URL and it."""
    app = web.Application()
    gateway = setup(app, Settings(**{"default_size": "64x64", "drain": 0.0, **settings}), authenticate=who)
    async with TestServer(app) as server:
        yield str(server.make_url("")).rstrip("/"), gateway


def unfinished(gateway: Gateway, owner: str) -> int:
    """Return how many tasks of an owner have not ended."""
    return gateway._pools.count(owner)


class Proxy:
    """A TCP proxy on a free port that cuts each connection after some bytes of answers, while it is told to."""

    def __init__(self, url: str) -> None:
        self.cuts: list[int] = []
        """After how many bytes each of the next connections that is answered is cut; when none is left, they last."""
        self.cut = 0
        """How many were cut."""
        parts = urlsplit(url)
        assert parts.hostname is not None
        self._target = parts.hostname, parts.port
        self._pipes: set[asyncio.Task[None]] = set()

    @classmethod
    @asynccontextmanager
    async def before(cls, url: str) -> AsyncIterator[tuple[Self, str]]:
        """Stand before a server; yield the proxy and its base URL."""
        proxy = cls(url)
        server = await asyncio.start_server(proxy._serve, "127.0.0.1", 0)
        async with server:
            yield proxy, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
            for pipe in proxy._pipes:
                pipe.cancel()
            await asyncio.gather(*proxy._pipes, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(*self._target)
        pipes = {
            asyncio.create_task(self._pipe(reader, far_writer), name="there"),
            asyncio.create_task(self._pipe(far_reader, writer, back=True), name="back"),
        }
        self._pipes |= pipes
        await asyncio.wait(pipes, return_when=asyncio.FIRST_COMPLETED)
        for pipe in pipes:
            pipe.cancel()
        for end in (writer, far_writer):
            end.transport.abort()
        self._pipes -= pipes

    async def _pipe(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, back: bool = False) -> None:
        room: int | None = None
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(1024):
                if back:
                    # Not before: browsers open connections that they then don't use.
                    room, back = self.cuts.pop(0) if self.cuts else None, False
                if room is not None and len(data) >= room:
                    # What is cut may be half a line.
                    writer.write(data[:room])
                    await writer.drain()
                    self.cut += 1
                    return
                room = None if room is None else room - len(data)
                writer.write(data)
                await writer.drain()
