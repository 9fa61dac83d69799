"""What a connection costs on which nothing happens but the heartbeat."""

import asyncio

from msgspec import Struct

from bench.contenders import ROOT, Contender, Stage, environ, staged
from bench.lean_client import WebSocket
from bench.options import Options
from bench.processes import answer, cores, cpu_seconds, driven, resident_bytes

__all__ = ["Idle", "measure"]

CLIENTS = 5000
AT_ONCE = 50
SETTLE = 2.0
HEARTBEAT = 25.0
"""Seconds between two pings, which is how long the CPU is measured."""


class _Job(Struct):
    stage: Stage
    clients: int
    cpu: bool


class Idle(Struct, kw_only=True):
    """Per connection: resident bytes, and CPU seconds per minute (None from a quick run)."""

    bytes: float
    cpu: float | None


def measure(contender: Contender, options: Options) -> Idle:
    """Measure one contender once. Errors as `cost.measure`."""
    with staged(contender, slots=1, generation=options.generation) as stage:
        job = _Job(stage, clients=CLIENTS, cpu=not options.quick)
        return driven("bench.idle", job, Idle, core=cores()[1], environ=environ(ROOT / "tests"))


async def _drive(job: _Job) -> Idle:
    pid = job.stage.server_pid
    await asyncio.sleep(SETTLE)
    before = resident_bytes(pid)
    sockets: list[WebSocket] = []
    for _ in range(0, job.clients, AT_ONCE):
        opening = (WebSocket.connect(job.stage.url, lambda text: None) for _ in range(AT_ONCE))
        sockets += await asyncio.gather(*opening)
    await asyncio.sleep(SETTLE)
    resident, cpu = resident_bytes(pid), None
    if job.cpu:
        used = cpu_seconds(pid)
        await asyncio.sleep(HEARTBEAT)
        cpu = (cpu_seconds(pid) - used) * 60 / HEARTBEAT / job.clients
    if lost := sum(socket.lost.done() for socket in sockets):
        raise RuntimeError(f"{lost} of {job.clients} connections were lost")
    for socket in sockets:
        socket.abort()
    return Idle(bytes=(resident - before) / job.clients, cpu=cpu)


if __name__ == "__main__":
    answer(_Job, _drive)
