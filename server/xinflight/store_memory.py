"""The store in memory: as bounded as a folder with a size cap, and gone with the process."""

import secrets
from bisect import bisect_right
from collections import deque
from collections.abc import Sequence

import msgspec

from xinflight.store import Event, Write
from xinflight.task import Task

__all__ = ["MemoryStore"]


class MemoryStore:
    """Keep at most `kept_tasks` ended tasks with their events; the oldest ended go first."""

    def __init__(self, kept_tasks: int) -> None:
        self._kept_tasks = kept_tasks
        self._tasks: dict[tuple[str, str], Task] = {}
        self._events: dict[str, list[Event]] = {}
        self._by_task: dict[str, list[Event]] = {}
        # Ended tasks in the order of their ends; bounded by _forget.
        self._ended: deque[Task] = deque()

    async def open(self) -> str:
        """Make an epoch; there is nothing to recover."""
        return secrets.token_hex(8)

    async def close(self) -> None:
        """Do nothing: memory goes with the process."""

    async def commit(self, writes: Sequence[Write]) -> None:
        """Keep the writes; copies, so that later moves of a task don't reach in here."""
        for write in writes:
            task = msgspec.structs.replace(write.task)
            self._tasks[task.owner, task.task_id] = task
            if write.event is not None:
                self._events.setdefault(task.owner, []).append(write.event)
                self._by_task.setdefault(task.uid, []).append(write.event)
            if task.ended:
                self._ended.append(task)
        while len(self._ended) > self._kept_tasks:
            self._forget(self._ended.popleft())

    def _forget(self, task: Task) -> None:
        del self._tasks[task.owner, task.task_id]
        gone = {event.seq for event in self._by_task.pop(task.uid)}
        self._events[task.owner] = [event for event in self._events[task.owner] if event.seq not in gone]

    async def last_seq(self, owner: str) -> int:
        """Return 0: nothing outlives the process, and seqs live in the journal meanwhile."""
        return 0

    async def task(self, owner: str, task_id: str) -> Task | None:
        """Return a copy of a task."""
        found = self._tasks.get((owner, task_id))
        return None if found is None else msgspec.structs.replace(found)

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
