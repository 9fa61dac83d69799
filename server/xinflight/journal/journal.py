"""What happened, in order: append stores an event and then publishes it; everyone who watches is a follower.

`seq` is counted per owner. A batch of events draws its numbers, is committed, and is published before the next
batch draws any. Snapshots draw theirs between batches, so whoever has seen a number has been sent every stored
event below it: that makes the highest seq seen a safe cursor.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable

import msgspec
import structlog

from xinflight.clock import Clock
from xinflight.errors import StorageUnavailable
from xinflight.journal.bus import Bus
from xinflight.journal.subscriber import Follower
from xinflight.model import Task
from xinflight.protocol import Accepted, Progress
from xinflight.storage import Event, EventMessage, Store, Write
from xinflight.supervise import Supervisor

__all__ = ["Journal"]

log = structlog.stdlib.get_logger(__name__)

RETRY = 1.0
"""Seconds between two tries to store what could not be stored."""

TROUBLE = 60.0
"""Seconds for which a failed commit counts where none was tried since."""


KEPT_OWNERS = 10_000
"""Idle owners whose positions are remembered, so that coming back costs no write of the store: some 3 MB."""


class _Pending(msgspec.Struct):
    """A write that waits for its batch, and whoever waits for the write."""

    task: Task
    message: EventMessage | None
    done: asyncio.Future[None]


class Journal:
    """Append, and follow. One task, `journal`, owns all writing; `close` awaits it.

    `broken` is true while the store takes nothing: new tasks are refused then, ends wait.
    """

    def __init__(self, store: Store, bus: Bus, clock: Clock, supervisor: Supervisor) -> None:
        self.store = store
        self.bus = bus
        self.epoch = ""
        self.broken = False
        # When the latest commit failed (monotonic), None after one that did not.
        self._failed_at: float | None = None
        self._clock = clock
        self._supervisor = supervisor
        self._seqs: dict[str, int] = {}
        self._published: dict[str, int] = {}
        self._stored: dict[str, int] = {}
        # Owners of those three who may be forgotten, the longest idle first; bounded by KEPT_OWNERS.
        self._idle: dict[str, None] = {}
        # Bounded by what is unfinished: a task is accepted, has its pictures, and ends; nothing new is accepted
        # while the store takes nothing.
        self._pending: list[_Pending] = []
        # How many writes of each task are not stored yet, those in commit included.
        self._unstored: Counter[str] = Counter()
        self._wake = asyncio.Event()
        # Owners whose events have drawn numbers that are not published yet.
        self._in_commit: set[str] = set()
        # The newest snapshot of each picture that must wait; at most one per picture of an unfinished task.
        self._held: dict[tuple[str, int], tuple[Task, Progress]] = {}
        self._snapshots: dict[str, dict[int, Event]] = {}
        self._closing = False

    async def open(self) -> None:
        """Open the store and start writing; raise StoreUnusable with the cure when it can't be opened."""
        self.epoch = await self.store.open()
        self._supervisor.start("journal", self._write)

    async def close(self) -> None:
        """Commit all that waits, if the store takes it, then close the store."""
        self._closing = True
        self._wake.set()
        await self._supervisor.finish("journal")
        await self.store.close()

    async def load(self, owner: str) -> None:
        """Make the owner's position known; raise StorageUnavailable when that can't be read."""
        if owner not in self._seqs:
            seq = await self.store.last_seq(owner)
            # Whoever was first meanwhile may follow, and has drawn numbers already.
            if owner not in self._seqs:
                self._seqs[owner] = self._published[owner] = seq
                self.idle(owner)

    def idle(self, owner: str) -> None:
        """Take note that an owner has nothing unfinished and no follower; those who were so longest are forgotten."""
        if not self.store.durable:
            # Positions live here alone; they are as bounded as the tasks and events that are kept in memory.
            return
        self._idle.pop(owner, None)
        self._idle[owner] = None
        if len(self._idle) > KEPT_OWNERS:
            oldest = next(iter(self._idle))
            for known in (self._idle, self._seqs, self._published, self._stored):
                known.pop(oldest, None)

    @property
    def storing(self) -> bool:
        """Tell whether the store took the latest commit.

        One that failed is forgotten after a while: whoever sends no work to a server that stores nothing would never
        hear that it does again.
        """
        return self._failed_at is None or self._clock.monotonic() - self._failed_at > TROUBLE

    def append(self, task: Task, message: EventMessage) -> asyncio.Future[None]:
        """Store `message` as the next event of `task`, with the task as it stands, then publish it.

        The place in the order is taken at once; the future is done once it is stored and published. Cancelling it
        does not take the event back. A task's first event fails with StorageUnavailable when it can't be stored;
        any other waits until it can.
        """
        return self._put(task, message)

    def save(self, task: Task) -> asyncio.Future[None]:
        """Store the task as it stands, without an event."""
        return self._put(task, None)

    def _put(self, task: Task, message: EventMessage | None) -> asyncio.Future[None]:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._pending.append(_Pending(task, message, done))
        self._unstored[task.uid] += 1
        self._wake.set()
        return done

    def snapshot(self, task: Task, message: Progress) -> None:
        """Publish a snapshot; it replaces an older one of the same picture that nobody has taken yet."""
        if task.uid in self._unstored or task.owner in self._in_commit:
            self._held[task.uid, message.index] = (task, message)
        else:
            self._publish_snapshot(task, message)

    def _publish_snapshot(self, task: Task, message: Progress) -> None:
        # An older one may still wait for the commit of a write that no event goes with.
        self._held.pop((task.uid, message.index), None)
        message.seq = self._draw(task.owner)
        event = Event(owner=task.owner, uid=task.uid, seq=message.seq, lang=task.lang, message=message)
        self._snapshots.setdefault(task.uid, {})[message.index] = event
        self._publish(event)

    def _draw(self, owner: str) -> int:
        self._idle.pop(owner, None)
        self._seqs[owner] = seq = self._seqs[owner] + 1
        return seq

    async def _write(self) -> None:
        """Take all that waits, commit, publish, repeat: the batch grows by itself with the load."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._pending:
                if await self._commit():
                    continue
                if self._closing:
                    log.error("not stored; it goes on after the next start", events=len(self._pending))
                    return
                await self._clock.sleep(RETRY)
                # With nothing left to try again, the next new task shows whether storage is back.
                self.broken = bool(self._pending)
            if self._closing:
                return

    async def _commit(self) -> bool:
        """Store and publish all that waits, or take it back; return whether it was stored."""
        batch: list[_Pending] = []
        try:
            while unknown := {write.task.owner for write in self._pending} - self._seqs.keys():
                for owner in unknown:
                    await self.load(owner)
            # From here until the store has encoded the batch nothing may suspend: a task that moved on meanwhile
            # would be stored as it is then, ahead of its events, and a crash would leave an ended one without end.
            batch, self._pending = self._pending, []
            self._in_commit = {write.task.owner for write in batch if write.message is not None}
            writes = [Write(task=write.task, event=self._number(write)) for write in batch]
            await self.store.commit(writes)
        except StorageUnavailable as error:
            self._take_back(batch, error)
            return False
        except Exception as error:
            # A bug of ours, in a batch of many: whoever is new is refused, and the others live on.
            log.exception("batch not stored")
            self._take_back(batch, StorageUnavailable(detail=str(error)))
            return False
        finally:
            self._in_commit = set()
        self._failed_at = None
        if self.broken:
            log.info("storage is back")
            self.broken = False
        self._settled(batch)
        for pending, write in zip(batch, writes, strict=True):
            if not pending.done.done():
                pending.done.set_result(None)
            if write.event is not None:
                if write.task.ended:
                    self._snapshots.pop(write.task.uid, None)
                self._publish(write.event)
        self._release_held()
        return True

    def _take_back(self, batch: list[_Pending], error: StorageUnavailable) -> None:
        """Refuse the new tasks of a batch that was not stored, and let the rest wait at the front.

        An empty one was not even taken, for an owner's position can't be read: then it is all that waits.
        """
        self._failed_at = self._clock.monotonic()
        if not self.broken:
            log.error("storage takes nothing", detail=error.detail)
            self.broken = True
        tried = batch or self._pending
        refused = {write.task.uid for write in tried if isinstance(write.message, Accepted)}
        # One that expired or was cancelled before it was stored has no place for its end either.
        pending, self._pending = [*batch, *self._pending], []
        self._settled([write for write in pending if write.task.uid in refused])
        for write in pending:
            if write.task.uid not in refused:
                self._pending.append(write)
            elif not isinstance(write.message, Accepted):
                write.done.cancel()
            elif not write.done.done():
                write.done.set_exception(StorageUnavailable(detail=error.detail))
        self._release_held()

    def _settled(self, writes: Iterable[_Pending]) -> None:
        """Count writes as stored, or as never to be."""
        for write in writes:
            self._unstored[write.task.uid] -= 1
            if not self._unstored[write.task.uid]:
                del self._unstored[write.task.uid]

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

    def _publish(self, event: Event) -> None:
        self._published[event.owner] = event.seq
        if event.message.stored:
            self._stored[event.owner] = event.seq
        self.bus.publish(event)

    # Followers

    def follow(self, owner: str) -> Follower:
        """Return a follower that watches nothing yet; `load` the owner before, and close it when done."""
        self._idle.pop(owner, None)
        return Follower(self, owner)

    def latest(self, uid: str) -> list[Event]:
        """Return the newest snapshot of each picture of an unfinished task."""
        return list(self._snapshots.get(uid, {}).values())

    def running(self, owner: str) -> tuple[str, ...]:
        """Return the uids of the owner's tasks that have snapshots."""
        return tuple(uid for uid, events in self._snapshots.items() if next(iter(events.values())).owner == owner)

    def position(self, owner: str) -> int:
        """Return the owner's newest published seq; the numbers of a batch in commit are above it."""
        return self._published.get(owner, 0)

    def stored_position(self, owner: str) -> int:
        """Return the newest seq of a stored event that this process has published for the owner, or 0."""
        return self._stored.get(owner, 0)

    def cursor(self, owner: str) -> str:
        """Return the owner's position as a cursor."""
        return f"{self.epoch}:{self.position(owner)}"
