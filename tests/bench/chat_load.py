"""The load of the benchmark of chats: read many streams at once, and how late each token is.

A process of its own, started by `bench.chat` with the options as JSON; it prints what it measured as JSON.
"""

import asyncio
import os
import re
import sys
import time
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from bench.chat_upstream import MODEL
from bench.processes import cpu_seconds, resident_bytes

__all__ = ["ChatLoad", "ChatMeasured"]

TOKEN = re.compile(rb"(\d+\.\d{6}) ")
RAMP = 3.0
"""Seconds over which the chats are begun."""
SETTLE = 2.0
"""Seconds between the last beginning and the measurement."""
BEGIN = 120.0
"""Seconds until every chat must have had its first token."""


class ChatLoad(Struct, frozen=True, kw_only=True):
    """What to do."""

    url: str
    server_pid: int
    chats: int
    rate: float
    seconds: float
    core: int | None


class ChatMeasured(Struct, frozen=True, kw_only=True):
    """What was seen in the measured seconds. Latencies are in seconds, from the upstream's write to the client."""

    tokens: int
    seconds: float
    cpu: float
    """CPU seconds of the server per 1,000 tokens."""
    busy: float
    """Part of a core that the server took."""
    p50: float
    p99: float
    resident: int
    load_cpu: float


class Reader(asyncio.Protocol):
    """One chat."""

    def __init__(self, request: bytes, latencies: list[float]) -> None:
        self._request = request
        self._latencies = latencies
        self._rest = b""
        self._answered = False
        self.begun = asyncio.Event()
        self.transport: asyncio.Transport | None = None
        self.problem = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the request."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Find the tokens; whatever follows the last one may be the beginning of the next."""
        now = time.monotonic()
        if not self._answered and not data.startswith(b"HTTP/1.1 200"):
            self.problem = data[:2000]
        self._answered = True
        data = self._rest + data
        end = 0
        for found in TOKEN.finditer(data):
            self._latencies.append(now - float(found[1]))
            end = found.end()
        self._rest = data[max(end, len(data) - 64) :]
        if end:
            self.begun.set()

    def connection_lost(self, error: Exception | None) -> None:
        """Remember an end that should not come while it is measured."""
        self.problem = self.problem or b"closed"
        self.begun.set()


async def measure(load: ChatLoad) -> ChatMeasured:
    """Begin all chats, wait until each has had a token, then measure for a while.

    Raises:
        RuntimeError: a chat was refused, or ended.
    """
    loop = asyncio.get_running_loop()
    parts = urlsplit(load.url)
    assert parts.hostname is not None  # an URL of ours
    tokens = int(load.rate * (RAMP + SETTLE + load.seconds + BEGIN))
    body = msgspec.json.encode(
        {
            "model": MODEL,
            "messages": [{"role": "user", "content": "count"}],
            "stream": True,
            "max_tokens": tokens,
        }
    )
    request = (
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: %b\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n%b" % (parts.netloc.encode(), len(body), body)
    )
    latencies: list[float] = []
    readers = []
    for _ in range(load.chats):
        _, reader = await loop.create_connection(lambda: Reader(request, latencies), parts.hostname, parts.port or 80)
        readers.append(reader)
        await asyncio.sleep(RAMP / load.chats)
    async with asyncio.timeout(BEGIN):
        for reader in readers:
            await reader.begun.wait()
    await asyncio.sleep(SETTLE)
    latencies.clear()
    began, cpu, own = time.monotonic(), cpu_seconds(load.server_pid), time.process_time()
    await asyncio.sleep(load.seconds)
    seconds, used = time.monotonic() - began, cpu_seconds(load.server_pid) - cpu
    seen = sorted(latencies)
    problems = [reader.problem for reader in readers if reader.problem]
    if problems or not seen:
        raise RuntimeError(f"{len(problems)} of {load.chats} chats were refused or ended: {problems[:1]!r}")
    for reader in readers:
        assert reader.transport is not None
        reader.transport.abort()
    return ChatMeasured(
        tokens=len(seen),
        seconds=seconds,
        cpu=1000 * used / len(seen),
        busy=used / seconds,
        p50=seen[len(seen) // 2],
        p99=seen[len(seen) * 99 // 100],
        resident=resident_bytes(load.server_pid),
        load_cpu=(time.process_time() - own) / seconds,
    )


if __name__ == "__main__":
    given = msgspec.json.decode(sys.argv[1], type=ChatLoad)
    if given.core is not None:
        os.sched_setaffinity(0, {given.core})
    sys.stdout.buffer.write(msgspec.json.encode(asyncio.run(measure(given))))
