"""The store in memory: as bounded as a folder with a size cap, and gone with the process."""

import heapq
import itertools
import secrets
from bisect import bisect_right
from collections import Counter
from collections.abc import Collection, Iterable, Sequence

import msgspec

from xinflight.model import Event, StoredMessage, Task, Usage, without_output
from xinflight.protocol import Delta, Marked, State
from xinflight.storage.library_memory import MemoryLibrary
from xinflight.storage.shares_memory import MemoryShares
from xinflight.storage.store import (
    EVENT_BYTES,
    TASK_BYTES,
    Accept,
    Append,
    Charge,
    Extend,
    Mark,
    Outcome,
    PoolTags,
    Row,
    StaleFence,
    Write,
)
from xinflight.storage.uploads_memory import MemoryUploads

__all__ = ["MemoryStore"]

_encode = msgspec.msgpack.Encoder().encode

USAGE_ROWS = 10_000
"""Days of owners of which usage is remembered; the oldest days go first. There may be any number of owners."""
TAGS = 10_000
"""Finish tags that are remembered of each pool; who was charged longest ago is forgotten first."""


class MemoryStore:
    """Keep at most `ended_tasks` ended tasks with their events; the oldest ended go first."""

    durable = False
    made_new = True

    def __init__(self, ended_tasks: int) -> None:
        self.shares = MemoryShares()
        self.uploads = MemoryUploads()
        self.library = MemoryLibrary(self._copies, self._purge)
        self._ended_tasks = ended_tasks
        self._numbers = itertools.count(1)
        self._fences: Counter[str] = Counter()
        self._seqs: dict[str, int] = {}
        # Everything of an owner goes with their last task. Whoever comes after counts on from here, so that no cursor
        # of an owner who was forgotten can be taken for one without a gap.
        self._forgotten = 0
        # By owner, then by task id.
        self._rows: dict[str, dict[str, Row]] = {}
        self._events: dict[str, list[Event]] = {}
        self._by_task: dict[str, list[Event]] = {}
        # Deltas by owner, then by task, and nowhere else: a task's are deleted at once, while others have many.
        self._deltas: dict[str, dict[str, list[Event]]] = {}
        self._trimmed: dict[str, int] = {}
        # By uid; goes with the task.
        self._contents: dict[str, bytes] = {}
        # Owner and task id of each output, by its id.
        self._output_tasks: dict[str, tuple[str, str]] = {}
        # Ended tasks by uid in the order of their ends, and what each takes; bounded by commit.
        self._ended: dict[str, Task] = {}
        self._sizes: dict[str, int] = {}
        # Owner and task id of what is not to be kept, by uid.
        self._not_kept: dict[str, tuple[str, str]] = {}
        # By owner and day. Bounded by USAGE_ROWS.
        self._usage: dict[tuple[str, str], Usage] = {}
        # By pool, with the mean. Finish tags by owner, the latest last, bounded by TAGS.
        self._virtual_times: dict[str, tuple[float, float | None]] = {}
        self._finish_tags: dict[str, dict[str, float]] = {}
        # Bounded by the caller.
        self._paused: set[str] = set()

    async def open(self) -> str:
        """Make an epoch; there is nothing to recover."""
        return secrets.token_hex(8)

    async def close(self) -> None:
        """Do nothing: memory goes with the process."""

    async def commit(self, writes: Sequence[Write]) -> list[Outcome]:
        """Store the writes; copies, so that later changes of a task don't reach in here."""
        for write in writes:
            if isinstance(write, Accept | Mark):
                continue
            pool = write.pool if isinstance(write, Charge) else write.task.pool
            if write.fence != self._fences.get(pool):
                raise StaleFence(pool)
        outcomes = [self._write(write) for write in writes]
        while len(self._ended) > self._ended_tasks:
            self._delete(next(iter(self._ended.values())))
        return outcomes

    def _charge(self, charge: Charge) -> None:
        more = charge.usage
        self._virtual_times[charge.pool] = charge.virtual_time, charge.mean
        tags = self._finish_tags.setdefault(charge.pool, {})
        tags.pop(more.owner, None)
        tags[more.owner] = charge.finish
        if len(tags) > TAGS:
            del tags[next(iter(tags))]
        key = more.owner, more.day
        self._usage[key] = self._usage[key].plus(more) if key in self._usage else more
        if len(self._usage) > USAGE_ROWS:
            del self._usage[min(self._usage, key=lambda key: key[1])]

    def _write(self, write: Write) -> Outcome:
        if isinstance(write, Charge):
            self._charge(write)
            return None
        if isinstance(write, Extend):
            return self._add_event(write.task, write.message)
        if isinstance(write, Mark):
            return self._mark(write)
        task = _copied(write.task)
        known = self._rows.get(task.owner, {}).get(task.task_id)
        if isinstance(write, Accept) and known is not None:
            return _copied(known.task)
        if isinstance(write, Accept) and not self.uploads.hold(task):
            return None
        if known is None:
            self._output_tasks.update((output.output_id, (task.owner, task.task_id)) for output in task.outputs)
            if isinstance(write, Accept) and write.content is not None:
                self._contents[task.uid] = write.content
        number = next(self._numbers) if known is None else known.number
        self._rows.setdefault(task.owner, {})[task.task_id] = Row(number=number, task=task)
        if not task.params.store:
            self._not_kept[task.uid] = task.owner, task.task_id
        if isinstance(write, Append) and write.compacts:
            self._deltas.get(task.owner, {}).pop(task.uid, None)
        event = self._add_event(task, write.message) if isinstance(write, Accept | Append) else None
        if task.ended:
            self.uploads.release(task.uid)
            self._ended[task.uid] = task
            content = len(self._contents.get(task.uid, b""))
            self._sizes[task.uid] = _size(task, self._by_task.get(task.uid, [])) + content
        return event

    def _mark(self, write: Mark) -> Event | None:
        task = write.task
        if task.uid not in self._by_task:
            return None
        self.library.set_marks(task, write.marks)
        for events in (self._by_task[task.uid], self._events[task.owner]):
            events[:] = [event for event in events if event.uid != task.uid or not isinstance(event.message, Marked)]
        return self._add_event(task, write.message)

    def _add_event(self, task: Task, message: StoredMessage) -> Event:
        if task.owner not in self._seqs:
            # From here on others who are forgotten make no gap of this owner's.
            self._seqs[task.owner] = self._trimmed[task.owner] = self._forgotten
        self._seqs[task.owner] += 1
        message.seq = seq = self._seqs[task.owner]
        event = Event(owner=task.owner, uid=task.uid, seq=seq, lang=task.lang, message=message)
        if isinstance(message, Delta):
            self._deltas.setdefault(task.owner, {}).setdefault(task.uid, []).append(event)
            return event
        self._events.setdefault(task.owner, []).append(event)
        self._by_task.setdefault(task.uid, []).append(event)
        return event

    def _delete(self, task: Task) -> None:
        owner = task.owner
        del self._ended[task.uid], self._sizes[task.uid]
        del self._rows[owner][task.task_id]
        output_ids = {output.output_id for output in task.outputs}
        for output_id in output_ids:
            self._output_tasks.pop(output_id, None)
        self.library.drop(task.uid)
        self.shares.drop(owner, output_ids)
        self._not_kept.pop(task.uid, None)
        self._contents.pop(task.uid, None)
        gone = {event.seq for event in self._by_task.pop(task.uid)}
        self._trimmed[owner] = max(self._trimmed.get(owner, 0), *gone)
        self._events[owner] = [event for event in self._events[owner] if event.seq not in gone]
        if not self._rows[owner]:
            self._forgotten = max(self._forgotten, self._seqs[owner])
            del self._rows[owner], self._events[owner], self._seqs[owner], self._trimmed[owner]
            self._deltas.pop(owner, None)

    async def last_seq(self, owner: str) -> int:
        """Return the seq of the newest event."""
        return self._seqs.get(owner, self._forgotten)

    async def trimmed_to(self, owner: str) -> int:
        """Return the highest seq of a task that was deleted."""
        return self._trimmed.get(owner, self._forgotten)

    async def task(self, owner: str, task_id: str) -> Task | None:
        """Return a copy of a task."""
        row = self._rows.get(owner, {}).get(task_id)
        return None if row is None else _copied(row.task)

    async def tasks(
        self,
        owner: str,
        *,
        before: int | None,
        limit: int,
        states: Collection[State],
        group: str | None = None,
    ) -> list[Row]:
        """Return a page of the history."""
        rows = [
            row
            for row in self._rows.get(owner, {}).values()
            if row.task.state in states
            and (before is None or row.number < before)
            and group in (None, row.task.params.group)
        ]
        return sorted(rows, key=lambda row: -row.number)[:limit]

    async def content(self, uid: str) -> bytes | None:
        """Return the content of a task."""
        return self._contents.get(uid)

    async def events_of_owner(self, owner: str, *, after: int, upto: int, limit: int) -> list[Event]:
        """Return events by bisection, since they are in the order of their seq."""
        return _between([self._events.get(owner, []), *self._deltas.get(owner, {}).values()], after, upto, limit)

    async def events_of_tasks(self, uids: Sequence[str], *, after: int, upto: int, limit: int) -> list[Event]:
        """Return events of some tasks, merged in the order of their seq."""
        events = [self._by_task[uid] for uid in set(uids) if uid in self._by_task]
        deltas = [self._deltas.get(first.owner, {}).get(first.uid, []) for first, *_ in events]
        return _between(events + deltas, after, upto, limit)

    def _copies(self, owner: str) -> list[tuple[int, Task]]:
        return [(row.number, _copied(row.task)) for row in self._rows.get(owner, {}).values()]

    def _purge(self, uid: str, index: int) -> None:
        """Delete an output of an ended task, and what events tell of it."""
        task = self._ended.get(uid)
        if task is None or index >= len(task.outputs):
            return
        output = task.outputs[index]
        output.deleted, output.file, output.text, output.reasoning, output.chat = True, None, None, None, None
        self._output_tasks.pop(output.output_id, None)
        self.shares.drop(task.owner, {output.output_id})
        for events in (self._by_task[uid], self._events[task.owner]):
            for place, event in enumerate(events):
                changed = without_output(event.message, index) if event.uid == uid else None
                if changed is not None:
                    events[place] = msgspec.structs.replace(event, message=changed)
        content = len(self._contents.get(uid, b""))
        self._sizes[uid] = _size(task, self._by_task[uid]) + content

    async def delete(self, uid: str) -> None:
        """Delete an ended task."""
        task = self._ended.get(uid)
        if task is not None:
            self._delete(task)

    async def prune(self, *, keep_bytes: int, keep_tasks: int, ended_before: float) -> list[Task]:
        """Delete tasks that are too old, or too many."""
        total = sum(self._sizes.values())
        gone: list[Task] = []
        for task in sorted(self._ended.values(), key=lambda task: task.ended_at or 0.0)[:100]:
            within = total <= keep_bytes and len(self._ended) <= keep_tasks
            if within and (task.ended_at or 0.0) >= ended_before:
                break
            total -= self._sizes[task.uid]
            gone.append(task)
            self._delete(task)
        return gone

    async def output_owner(self, output_id: str) -> str | None:
        """Return the owner of an output."""
        if output_id not in self._output_tasks:
            return None
        owner, task_id = self._output_tasks[output_id]
        return None if self.library.hides(self._rows[owner][task_id].task, output_id) else owner

    async def task_of_output(self, output_id: str) -> Task | None:
        """Return a copy of the task of an output."""
        if output_id not in self._output_tasks:
            return None
        owner, task_id = self._output_tasks[output_id]
        return _copied(self._rows[owner][task_id].task)

    async def output_ids(self) -> set[str]:
        """Return the ids of the outputs of all tasks."""
        tasks = (row.task for rows in self._rows.values() for row in rows.values())
        return {
            output.output_id for task in tasks for output in task.outputs if output.file is not None or not task.ended
        }

    async def not_kept(self, *, ended_before: float | None = None) -> list[Task]:
        """Return copies of the tasks."""
        tasks = [self._rows[owner][task_id].task for owner, task_id in self._not_kept.values()]
        return [
            _copied(task)
            for task in tasks
            if ended_before is None or (task.ended_at is not None and task.ended_at < ended_before)
        ]

    async def usage(self, owner: str, *, first: str, last: str) -> list[Usage]:
        """Return what an owner used."""
        return [self._usage[key] for key in sorted(self._usage) if key[0] == owner and first <= key[1] <= last]

    async def usage_of_all(self, *, after: tuple[str, str], last: str, limit: int) -> list[Usage]:
        """Return what all owners used."""
        rows = sorted(self._usage.values(), key=lambda row: (row.day, row.owner))
        return [row for row in rows if (row.day, row.owner) > after and row.day <= last][:limit]

    async def prune_usage(self, *, before: str) -> bool:
        """Delete all of it."""
        old = [key for key in self._usage if key[1] < before]
        for key in old:
            del self._usage[key]
        return bool(old)

    async def forget(self, owner: str, *, used_before: str) -> None:
        """Forget usage; with the last task of the owner everything else went."""
        # The position went with the last task, and what comes next must be above it.
        self._forgotten += 1
        self.library.forget(owner)
        for key in [key for key in self._usage if key[0] == owner and key[1] < used_before]:
            del self._usage[key]

    async def paused_owners(self) -> list[str]:
        """Return those who paused in this process."""
        return sorted(self._paused)

    async def set_paused(self, owner: str, *, paused: bool) -> None:
        """Note it."""
        if paused:
            self._paused.add(owner)
        else:
            self._paused.discard(owner)

    async def pools(self) -> list[str]:
        """Return the pools of the unfinished tasks."""
        tasks = (row.task for rows in self._rows.values() for row in rows.values())
        return list({task.pool for task in tasks if not task.ended})

    async def lease(self, pool: str) -> int:
        """Return the next fence: only this process can have held the one before."""
        self._fences[pool] += 1
        return self._fences[pool]

    async def tags(self, pool: str) -> PoolTags:
        """Return the tags of a pool."""
        now, mean = self._virtual_times.get(pool, (0.0, None))
        tags = self._finish_tags.get(pool, {})
        ahead = {owner: tag for owner, tag in tags.items() if tag > now}
        return PoolTags(virtual_time=now, finish=ahead, mean=mean)

    async def unfinished(self, pool: str) -> list[Task]:
        """Return copies of the unfinished tasks of a pool."""
        rows = (row for rows in self._rows.values() for row in rows.values())
        unfinished = [row for row in rows if row.task.pool == pool and not row.task.ended]
        return [_copied(row.task) for row in sorted(unfinished, key=lambda row: row.number)]


def _between(lists: Iterable[list[Event]], after: int, upto: int, limit: int) -> list[Event]:
    """Return the first events of some lists, each in order, with after < seq <= upto."""
    found = []
    for events in lists:
        start = bisect_right(events, after, key=_seq)
        end = bisect_right(events, upto, key=_seq)
        found.append(events[start : min(end, start + limit)])
    return list(itertools.islice(heapq.merge(*found, key=_seq), limit))


def _seq(event: Event) -> int:
    return event.seq


def _size(task: Task, events: Sequence[Event]) -> int:
    """Return what an ended task would take on a disk; in memory it is of the same order."""
    own = len(_encode(task)) + sum(output.file.bytes for output in task.completed if output.file is not None)
    return own + TASK_BYTES + sum(len(_encode(event.message)) + EVENT_BYTES for event in events)


def _copied(task: Task) -> Task:
    """Return a copy of a task and its outputs."""
    return msgspec.structs.replace(task, outputs=[msgspec.structs.replace(output) for output in task.outputs])
