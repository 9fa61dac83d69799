"""Whether a server holds at the end what it held in the beginning, and whether its memory grew under load."""

import statistics
from collections.abc import Sequence

from msgspec import Struct

from soak.samples import Sample
from soak.upstream import SLOTS

__all__ = ["LOADED", "Check", "growth", "quiescence"]

LOADED = "load"
"""The phase whose samples `growth` compares."""
RESIDENT = 16_000_000
"""Bytes by which the resident memory may differ at rest.

The warm-up has the same load, so that caches, buffers and pools are as large as they get before the first look. What
remains is chance: pages that malloc can't give back since something small still lives in each. A leak of one object
of 500 bytes with each of 20 tasks a second would be 36 MB after an hour.
"""
SLOPE = 24_000_000
"""The same under load, where more comes and goes."""
FEW = 4
"""Threads and open files more or less: pools start a thread when all others work. A leak would be thousands."""
DATABASE = 5_000_000
"""Bytes by which the database may differ at rest: it keeps 4 MB of free pages, and the usage of the day."""
WAL = 32_000_000
"""Bytes that its log may have: it is written from its beginning again, and cut only where it has grown long."""


class Check(Struct, frozen=True):
    """One figure at rest, before and after, and whether it came back."""

    name: str
    before: float
    after: float
    most: float

    @property
    def passed(self) -> bool:
        """Whether it is at most what it may be."""
        return self.after <= self.most


def quiescence(before: Sample, after: Sample) -> list[Check]:
    """Compare a server at rest with the same server at rest before."""
    return [
        Check("resident memory, bytes", before.resident, after.resident, before.resident + RESIDENT),
        Check("open files", before.open_files, after.open_files, before.open_files + FEW),
        Check("threads", before.threads, after.threads, before.threads + FEW),
        Check("asyncio tasks", before.asyncio_tasks, after.asyncio_tasks, before.asyncio_tasks),
        Check("connections", before.connections, after.connections, 0),
        Check("unfinished tasks", before.unfinished, after.unfinished, 0),
        Check("slots not free", SLOTS - before.slots_free, SLOTS - after.slots_free, 0),
        Check("database, bytes", before.database, after.database, before.database + DATABASE),
        Check("log of the database, bytes", before.wal, after.wal, WAL),
        Check("images and uploads, files", before.files, after.files, before.files),
        Check("images and uploads, bytes", before.file_bytes, after.file_bytes, before.file_bytes),
        Check("failing background tasks", before.failing, after.failing, 0),
    ]


def growth(samples: Sequence[Sample]) -> list[Check]:
    """Compare the medians of the second and of the last quarter of the time under load."""
    loaded = [one for one in samples if one.phase == LOADED]
    quarter = len(loaded) // 4
    if not quarter:
        return []
    second, last = loaded[quarter : 2 * quarter], loaded[-quarter:]

    def median(part: Sequence[Sample]) -> float:
        return statistics.median(one.resident for one in part)

    resident = median(second), median(last)
    return [Check("resident memory under load, bytes", *resident, resident[0] + SLOPE)]
