"""What happened, in order: append stores an event and then publishes it; everyone who watches is a follower.

`seq` is counted per owner. A batch of events draws its numbers, is committed, and is published before the next
batch draws any. Snapshots draw theirs between batches, so whoever has seen a number has been sent every stored
event below it: that makes the highest seq seen a safe cursor.
"""

import asyncio
from collections import defaultdict

import msgspec
import structlog

from xinflight.follower import Follower
from xinflight.protocol import Progress
from xinflight.store import Event, EventMessage, Store, Write
from xinflight.task import Task

__all__ = ["Journal"]

log = structlog.stdlib.get_logger(__name__)


class _Pending(msgspec.Struct):
    """A write that waits for its batch, and whoever waits for the write."""

    task: Task
    message: EventMessage | None
    done: asyncio.Future[None]


class Journal:
    """Append, and follow. One task, `journal`, owns all writing; `close` awaits it."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.epoch = ""
        self._seqs: dict[str, int] = {}
        self._published: dict[str, int] = {}
        # Bounded by the number of running jobs: each waits for its append before its next one.
        self._pending: list[_Pending] = []
        self._wake = asyncio.Event()
        # Owners whose events have drawn numbers that are not published yet.
        self._in_commit: set[str] = set()
        # The newest snapshot of each picture that must wait; at most one per picture of an unfinished task.
        self._held: dict[tuple[str, int], tuple[Task, Progress]] = {}
        self._snapshots: dict[str, dict[int, Event]] = {}
        self._by_task: defaultdict[str, set[Follower]] = defaultdict(set)
        self._by_owner: defaultdict[str, set[Follower]] = defaultdict(set)
        self._writer: asyncio.Task[None] | None = None
        self._closing = False

    async def open(self) -> None:
        """Open the store and start writing."""
        self.epoch = await self.store.open()
        self._writer = asyncio.create_task(self._write(), name="journal")

    async def close(self) -> None:
        """Commit all that waits, then close the store."""
        self._closing = True
        self._wake.set()
        if self._writer is not None:
            await self._writer
        await self.store.close()

    def append(self, task: Task, message: EventMessage) -> asyncio.Future[None]:
        """Store `message` as the next event of `task`, with the task as it stands, then publish it.

        The place in the order is taken at once; the future is done once it is stored and published. Cancelling it
        does not take the event back.
        """
        return self._put(task, message)

    def save(self, task: Task) -> asyncio.Future[None]:
        """Store the task as it stands, without an event."""
        return self._put(task, None)

    def _put(self, task: Task, message: EventMessage | None) -> asyncio.Future[None]:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._pending.append(_Pending(task, message, done))
        self._wake.set()
        return done

    def snapshot(self, task: Task, message: Progress) -> None:
        """Publish a snapshot; it replaces an older one of the same picture that nobody has taken yet."""
        waiting = any(write.task is task for write in self._pending) if self._pending else False
        if waiting or task.owner in self._in_commit:
            self._held[task.uid, message.index] = (task, message)
        else:
            self._publish_snapshot(task, message)

    def _publish_snapshot(self, task: Task, message: Progress) -> None:
        message.seq = self._draw(task.owner)
        event = Event(owner=task.owner, uid=task.uid, seq=message.seq, lang=task.lang, message=message)
        self._snapshots.setdefault(task.uid, {})[message.index] = event
        self._publish(event)

    def _draw(self, owner: str) -> int:
        self._seqs[owner] = seq = self._seqs[owner] + 1
        return seq

    async def _write(self) -> None:
        """Take all that waits, commit, publish, repeat: the batch grows by itself with the load."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._pending:
                batch, self._pending = self._pending, []
                await self._commit(batch)
            if self._closing:
                return

    async def _commit(self, batch: list[_Pending]) -> None:
        for owner in {write.task.owner for write in batch} - self._seqs.keys():
            self._seqs[owner] = self._published[owner] = await self.store.last_seq(owner)
        self._in_commit = {write.task.owner for write in batch if write.message is not None}
        writes = [Write(task=write.task, event=self._number(write)) for write in batch]
        await self.store.commit(writes)
        self._in_commit = set()
        for pending, write in zip(batch, writes, strict=True):
            if not pending.done.done():
                pending.done.set_result(None)
            if write.event is not None:
                if write.task.ended:
                    self._snapshots.pop(write.task.uid, None)
                self._publish(write.event)
        self._release_held()

    def _number(self, write: _Pending) -> Event | None:
        if write.message is None:
            return None
        task, message = write.task, write.message
        message.seq = seq = self._draw(task.owner)
        return Event(owner=task.owner, uid=task.uid, seq=seq, lang=task.lang, message=message)

    def _release_held(self) -> None:
        held, self._held = self._held, {}
        for task, message in held.values():
            if not task.ended:
                self.snapshot(task, message)

    # Followers

    def follow(self, owner: str) -> Follower:
        """Return a follower that watches nothing yet; close it when done."""
        return Follower(self, owner)

    def latest(self, uid: str) -> list[Event]:
        """Return the newest snapshot of each picture of an unfinished task."""
        return list(self._snapshots.get(uid, {}).values())

    def position(self, owner: str) -> int:
        """Return the owner's newest published seq; the numbers of a batch in commit are above it."""
        return self._published.get(owner, 0)

    def watch_task(self, uid: str, follower: Follower) -> None:
        """Let `follower` hear of a task from now on."""
        self._by_task[uid].add(follower)

    def unwatch_task(self, uid: str, follower: Follower) -> None:
        """Stop that; nothing happens when it did not watch."""
        followers = self._by_task.get(uid)
        if followers is not None:
            followers.discard(follower)
            if not followers:
                del self._by_task[uid]

    def watch_owner(self, owner: str, follower: Follower) -> None:
        """Let `follower` hear of every task of its owner from now on."""
        self._by_owner[owner].add(follower)

    def unwatch_owner(self, owner: str, follower: Follower) -> None:
        """Stop that; nothing happens when it did not watch."""
        followers = self._by_owner.get(owner)
        if followers is not None:
            followers.discard(follower)
            if not followers:
                del self._by_owner[owner]

    def _publish(self, event: Event) -> None:
        self._published[event.owner] = event.seq
        for follower in self._by_task.get(event.uid, ()):
            follower.push(event)
        for follower in self._by_owner.get(event.owner, ()):
            follower.push(event)
