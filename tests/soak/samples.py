"""What a server holds: read from its metrics, from /proc and from its data folder."""

import time
from pathlib import Path

import aiohttp
from msgspec import Struct
from prometheus_client.parser import text_string_to_metric_families

from bench.processes import Process, resident_bytes

__all__ = ["Sample", "sample"]


class Sample(Struct, kw_only=True):
    """What a server held at a time, in seconds since the beginning; sizes in bytes."""

    at: float
    phase: str
    resident: int
    open_files: int
    threads: int
    asyncio_tasks: int
    connections: int
    unfinished: int
    """Tasks, and requests at the upstream that may still run."""
    slots_free: int
    database: int
    wal: int
    """The database's log, which is written from its beginning again and again."""
    files: int
    file_bytes: int
    """Images and uploads."""
    failing: int
    """Background tasks of the server that failed."""


async def sample(http: aiohttp.ClientSession, server: Process, folder: Path, began: float, phase: str) -> Sample:
    """Read a sample.

    Raises:
        aiohttp.ClientError: the server does not answer.
    """
    async with http.get(f"{server.url}/metrics") as response:
        response.raise_for_status()
        metrics = _read(await response.text())
    running_on = metrics["xinflight_slots busy"] + metrics["xinflight_slots quarantined"]
    files = _files(folder)
    proc = Path(f"/proc/{server.pid}")
    return Sample(
        at=time.monotonic() - began,
        phase=phase,
        resident=resident_bytes(server.pid),
        open_files=len(list((proc / "fd").iterdir())),
        threads=len(list((proc / "task").iterdir())),
        asyncio_tasks=metrics["xinflight_asyncio_tasks"],
        connections=metrics["xinflight_connections"],
        unfinished=metrics["xinflight_tasks"] + running_on,
        slots_free=metrics["xinflight_slots free"],
        database=metrics["xinflight_database_bytes database"],
        wal=metrics["xinflight_database_bytes wal"],
        files=len(files),
        file_bytes=sum(files),
        failing=metrics["xinflight_failing_background_tasks"],
    )


def _read(text: str) -> dict[str, int]:
    """Return the sums over all labels but `state` and `file`, which follow the name where there are any."""
    sums: dict[str, int] = {}
    for family in text_string_to_metric_families(text):
        for one in family.samples:
            name = " ".join([one.name, *(one.labels[label] for label in ("state", "file") if label in one.labels)])
            sums[name] = sums.get(name, 0) + int(one.value)
    return sums


def _files(folder: Path) -> list[int]:
    """Return the sizes of all files in the folders of the data folder; the database and the keys are beside them."""
    sizes = []
    for file in folder.rglob("*"):
        if file.parent != folder and file.is_file():
            try:
                sizes.append(file.stat().st_size)
            except FileNotFoundError:
                continue
    return sizes
