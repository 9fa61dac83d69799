"""The store in memory: as bounded as a folder with a size cap, and gone with the process."""

import itertools
import secrets
from bisect import bisect_right
from collections.abc import Collection, Sequence

import msgspec

from xinflight.model import Task
from xinflight.protocol import State
from xinflight.storage.store import EVENT_BYTES, TASK_BYTES, Event, Row, Write

__all__ = ["MemoryStore"]

_encode = msgspec.msgpack.Encoder().encode


class MemoryStore:
    """Keep at most `kept_tasks` ended tasks with their events; the oldest ended go first."""

    durable = False
    made_new = True

    def __init__(self, kept_tasks: int) -> None:
        self._kept_tasks = kept_tasks
        self._numbers = itertools.count(1)
        self._rows: dict[tuple[str, str], Row] = {}
        self._events: dict[str, list[Event]] = {}
        self._by_task: dict[str, list[Event]] = {}
        # Of the owners whose tasks were forgotten last, at most `kept_tasks`; those of others are at most `_floor`.
        self._floors: dict[str, int] = {}
        self._floor = 0
        # Ended tasks by uid in the order of their ends, and what each takes; bounded by commit.
        self._ended: dict[str, Task] = {}
        self._sizes: dict[str, int] = {}

    async def open(self) -> str:
        """Make an epoch; there is nothing to recover."""
        return secrets.token_hex(8)

    async def close(self) -> None:
        """Do nothing: memory goes with the process."""

    async def commit(self, writes: Sequence[Write]) -> None:
        """Keep the writes; copies, so that later moves of a task don't reach in here."""
        for write in writes:
            task = _copied(write.task)
            known = self._rows.get((task.owner, task.task_id))
            number = next(self._numbers) if known is None else known.number
            self._rows[task.owner, task.task_id] = Row(number=number, task=task)
            if write.event is not None:
                self._events.setdefault(task.owner, []).append(write.event)
                self._by_task.setdefault(task.uid, []).append(write.event)
            if task.ended:
                self._ended[task.uid] = task
                self._sizes[task.uid] = _size(task, self._by_task.get(task.uid, []))
        while len(self._ended) > self._kept_tasks:
            self._forget(next(iter(self._ended.values())))

    def _forget(self, task: Task) -> None:
        del self._ended[task.uid], self._sizes[task.uid]
        del self._rows[task.owner, task.task_id]
        gone = {event.seq for event in self._by_task.pop(task.uid)}
        left = [event for event in self._events.pop(task.owner) if event.seq not in gone]
        if left:
            self._events[task.owner] = left
        # Anew, so that the owner is the last one in the order.
        self._floors[task.owner] = max(self._floors.pop(task.owner, self._floor), *gone)
        if len(self._floors) > self._kept_tasks:
            self._floor = max(self._floor, self._floors.pop(next(iter(self._floors))))

    async def last_seq(self, owner: str) -> int:
        """Return 0: nothing outlives the process, and seqs live in the journal meanwhile."""
        return 0

    async def floor(self, owner: str) -> int:
        """Return the highest seq of a task that was forgotten; of an owner long gone, one that is not below it."""
        return self._floors.get(owner, self._floor)

    async def task(self, owner: str, task_id: str) -> Task | None:
        """Return a copy of a task."""
        row = self._rows.get((owner, task_id))
        return None if row is None else _copied(row.task)

    async def tasks(self, owner: str, *, before: int | None, limit: int, states: Collection[State]) -> list[Row]:
        """Return a page of the history."""
        rows = [
            row
            for (whose, _), row in self._rows.items()
            if whose == owner and row.task.state in states and (before is None or row.number < before)
        ]
        return sorted(rows, key=lambda row: -row.number)[:limit]

    async def events(
        self, owner: str, *, after: int, upto: int, uids: Sequence[str] | None, limit: int
    ) -> list[Event]:
        """Return events by bisection, for they are in the order of their seq."""
        if uids is None:
            rows = self._events.get(owner, [])
        else:
            rows = sorted(
                (event for uid in set(uids) for event in self._by_task.get(uid, []) if event.owner == owner),
                key=lambda event: event.seq,
            )
        start = bisect_right(rows, after, key=lambda event: event.seq)
        end = bisect_right(rows, upto, key=lambda event: event.seq)
        return rows[start : min(end, start + limit)]

    async def delete(self, uid: str) -> None:
        """Forget an ended task that its owner wants forgotten."""
        task = self._ended.get(uid)
        if task is not None:
            self._forget(task)

    async def prune(self, *, keep_bytes: int, keep_tasks: int, ended_before: float) -> list[Task]:
        """Forget tasks that are too old, or too many."""
        total = sum(self._sizes.values())
        gone: list[Task] = []
        for task in sorted(self._ended.values(), key=lambda task: task.ended_at or 0.0)[:100]:
            within = total <= keep_bytes and len(self._ended) <= keep_tasks
            if within and (task.ended_at or 0.0) >= ended_before:
                break
            total -= self._sizes[task.uid]
            gone.append(task)
            self._forget(task)
        return gone

    async def picture_ids(self) -> set[str]:
        """Return the ids of the pictures of all tasks."""
        return {job.picture_id for row in self._rows.values() for job in row.task.jobs if job.picture is not None}

    async def claim(self, runner: str, lease_until: float) -> list[Task]:
        """Return the unfinished tasks: only this process can have left them."""
        rows = sorted(self._rows.values(), key=lambda row: row.number)
        return [_copied(row.task) for row in rows if not row.task.ended]

    async def renew(self, runner: str, lease_until: float) -> None:
        """Do nothing: nobody else could claim."""

    async def release(self, runner: str) -> None:
        """Do nothing: nobody else could claim."""


def _size(task: Task, events: Sequence[Event]) -> int:
    """Return what an ended task would take on a disk; in memory it is of the same order."""
    own = len(_encode(task)) + sum(picture.bytes for picture in task.pictures)
    return own + TASK_BYTES + sum(len(_encode(event.message)) + EVENT_BYTES for event in events)


def _copied(task: Task) -> Task:
    """Return a copy of a task and its jobs."""
    return msgspec.structs.replace(task, jobs=[msgspec.structs.replace(job) for job in task.jobs])
