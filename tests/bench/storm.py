"""How long it takes until all clients are back whose connections were dropped at once.

Those of xinflight had a generation under way each, and are back when they have all its events again (`recovered`);
those of the others when the server has answered a message.
"""

import asyncio
import statistics
import time

import msgspec
from msgspec import Struct

from bench.contenders import ROOT, Contender, Stage, environ, staged
from bench.lean_client import WebSocket
from bench.load import Message
from bench.options import Options
from bench.processes import answer, cores, cpu_seconds, driven

__all__ = ["Storm", "measure"]

CLIENTS = 2000
AT_ONCE = 100
"""Clients that connect at once before the storm."""
PAUSE = 2.0
"""Seconds in which the server notices that they are gone."""
ENDLESS = 3600.0

_decode = msgspec.json.Decoder(Message).decode


class _Job(Struct):
    stage: Stage
    clients: int
    resume: bool
    storms: int


class Storm(Struct, kw_only=True):
    """Seconds until half of the clients and until all are back, and the server's CPU seconds: medians of storms."""

    p50: float
    everybody: float
    cpu: float


def measure(contender: Contender, options: Options) -> Storm:
    """Measure one contender once. Errors as `cost.measure`."""
    with staged(contender, slots=CLIENTS, generation=ENDLESS) as stage:
        resume = contender.form == "xinflight"
        job = _Job(stage, clients=CLIENTS, resume=resume, storms=1 if options.quick else 3)
        return driven("bench.storm", job, Storm, core=cores()[1], environ=environ(ROOT / "tests"))


class _Client:
    """A client that can come back."""

    def __init__(self, job: _Job, number: int) -> None:
        self._job = job
        self._name = f"t{number}"
        self._ws: WebSocket | None = None
        self._awaited = ""
        self._came = asyncio.Event()
        self._epoch = ""
        self._seq = 0

    async def begin(self) -> None:
        """Connect for the first time, and start a generation if there will be something to resume."""
        if self._job.resume:
            await self._ask({"action": "generate", "task_id": self._name, "prompt": self._name}, "accepted")
        else:
            await self._ask({"action": "ping"}, "pong")

    async def come_back(self) -> float:
        """Connect again and have what was missed; return the time at which it was there."""
        if self._job.resume:
            cursor = f"{self._epoch}:{self._seq}"
            await self._ask({"action": "resume", "after": cursor, "tasks": [self._name]}, "recovered")
        else:
            await self._ask({"action": "ping"}, "pong")
        return time.monotonic()

    def drop(self) -> None:
        """Drop the connection."""
        assert self._ws is not None
        self._ws.abort()

    async def _ask(self, message: dict[str, object], awaited: str) -> None:
        self._awaited = awaited
        self._came.clear()
        self._ws = await WebSocket.connect(self._job.stage.url, self._receive)
        self._ws.send(msgspec.json.encode(message))
        await self._came.wait()

    def _receive(self, text: bytes) -> None:
        message = _decode(text)
        if message.type == "error":
            raise RuntimeError(f"the server answered {text[:500]!r}")
        self._epoch = message.epoch or self._epoch
        self._seq = message.seq or self._seq
        if message.type == self._awaited:
            self._came.set()


async def _drive(job: _Job) -> Storm:
    clients = [_Client(job, number) for number in range(job.clients)]
    for first in range(0, job.clients, AT_ONCE):
        await asyncio.gather(*(client.begin() for client in clients[first : first + AT_ONCE]))
    await asyncio.sleep(PAUSE)
    p50, everybody, cpu = [], [], []
    for _ in range(job.storms):
        for client in clients:
            client.drop()
        await asyncio.sleep(PAUSE)
        began, used = time.monotonic(), cpu_seconds(job.stage.server_pid)
        async with asyncio.timeout(120):
            back = await asyncio.gather(*(client.come_back() for client in clients))
        cpu.append(cpu_seconds(job.stage.server_pid) - used)
        p50.append(statistics.median(back) - began)
        everybody.append(max(back) - began)
        await asyncio.sleep(PAUSE)
    return Storm(p50=statistics.median(p50), everybody=statistics.median(everybody), cpu=statistics.median(cpu))


if __name__ == "__main__":
    answer(_Job, _drive)
