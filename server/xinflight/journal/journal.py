"""The ordered log of what happens to tasks: append stores an event and then publishes it to every subscriber.

The store draws the `seq` of each stored event, per owner. A batch of writes is committed, and its events are
published before the next batch is committed, so whoever was sent a seq was sent every event below it: that makes the
highest seq seen a safe cursor. Snapshots have no seq; they are published at once and may be replaced by newer ones.
"""

import asyncio
from collections import deque

import structlog
from msgspec import Struct
from msgspec.structs import replace

from xinflight.clock import Clock, Timer
from xinflight.errors import ImageNotFound, StorageUnavailable
from xinflight.journal.bus import Bus
from xinflight.journal.positions import Positions
from xinflight.journal.subscriber import Subscriber
from xinflight.model import Event, Marks, OwnerQueue, StoredMessage, Task, accepted_message
from xinflight.protocol import Delta, Marked, Progress
from xinflight.storage import Accept, Append, Charge, Extend, Mark, Outcome, Save, Store, Write
from xinflight.supervise import Supervisor
from xinflight.telemetry import UNCOUNTED, Telemetry

__all__ = ["Journal"]

log = structlog.stdlib.get_logger(__name__)

RETRY = 1.0
"""Seconds between two tries to store what could not be stored."""

CHARGE_SECONDS = 1.0
"""Seconds that a charge waits for others to be stored with: what a kill then takes back is a moment's."""

COMPACTED = 1024
"""Tasks that are remembered after their deltas were deleted: a page that was read before may be on its way."""
TROUBLE = 60.0
"""Seconds for which a failed commit counts where none was tried since."""


class _Pending(Struct):
    """A write that waits for its batch, and the future of whoever waits for it."""

    write: Write
    done: asyncio.Future[Outcome]


class Journal:
    """Append to the log, and subscribe to it. The task `journal` does all writing; `close` awaits it.

    `broken` is true while the store accepts nothing: new tasks are refused then, ends wait.

    A commit begins as soon as the one before is published, so that under load what came meanwhile is one commit, and
    one call on a thread. To wait for more would cost a timer and two turns of the loop for each.
    """

    def __init__(
        self,
        store: Store,
        bus: Bus,
        clock: Clock,
        supervisor: Supervisor,
        telemetry: Telemetry = UNCOUNTED,
    ) -> None:
        self.store = store
        self.bus = bus
        self.epoch = ""
        self.broken = False
        # When the latest commit failed (monotonic), None after one that did not.
        self._failed_at: float | None = None
        self._clock = clock
        self._supervisor = supervisor
        self._telemetry = telemetry
        # Bounded by what is unfinished: a task has its acceptance, its outputs and its end to store, and while the
        # store accepts nothing no new task is accepted.
        self._pending: list[_Pending] = []
        # Charges that wait for CHARGE_SECONDS, counted from the first one. Bounded by what ends in that time.
        self._charges: list[_Pending] = []
        self._charge_timer: Timer | None = None
        # The latest charge; those before it are stored before it.
        self._charged: asyncio.Future[Outcome] | None = None
        self._wake = asyncio.Event()
        self._positions = Positions(store)
        # The newest snapshot of each output of the unfinished tasks: owner, task, index.
        self._snapshots: dict[str, dict[str, dict[int, Event]]] = {}
        # Tasks whose deltas are being deleted, and the latest COMPACTED of those whose end is published.
        self._compacting: set[str] = set()
        self._compacted: deque[str] = deque()
        # The newest queue of each owner who has subscribers, if anything waited since they came.
        self._queues: dict[str, OwnerQueue] = {}
        self._closing = asyncio.Event()

    async def open(self) -> None:
        """Open the store and start writing; raise StoreUnusable with the cure when it can't be opened."""
        self.epoch = await self.store.open()
        self._supervisor.start("journal", self._write)

    async def close(self) -> None:
        """Commit all that waits, if the store accepts it, then close the store."""
        self._closing.set()
        self._store_charges_now()
        await self._supervisor.finish("journal")
        await self.store.close()

    @property
    def storing(self) -> bool:
        """Tell whether the store accepted the latest commit.

        One that failed is forgotten after a while: whoever sends no work to a server that stores nothing would never
        hear that it does again.
        """
        return self._failed_at is None or self._clock.monotonic() - self._failed_at > TROUBLE

    # Append

    def accept(self, task: Task, content: bytes | None = None) -> asyncio.Future[Outcome]:
        """Store a new task, with its content, and publish its acceptance.

        The future's result is the event, or the known task if its id is in use; its exception is ImageNotFound if an
        upload of its inputs was deleted or has expired meanwhile, StorageUnavailable if nothing can be stored now.
        Cancelling it does not take the task back.
        """
        return self._put(Accept(task=task, message=accepted_message(task), content=content))

    def append(
        self, task: Task, message: StoredMessage, fence: int, *, compacts: bool = False
    ) -> asyncio.Future[Outcome]:
        """Store `message` as the next event of `task`, with the task as it stands, then publish it.

        With `compacts` it replaces the stored deltas of the task.

        The place in the order is fixed by this call; the future is done once the event is stored and published,
        however long the store accepts nothing. Cancelling the future does not take the event back.
        """
        if compacts:
            self._compacting.add(task.uid)
        return self._put(Append(task=task, message=message, fence=fence, compacts=compacts))

    def extend(self, task: Task, message: Delta, fence: int) -> asyncio.Future[Outcome]:
        """Store the next delta of a task, without the task, then publish it. Otherwise as `append`."""
        return self._put(Extend(task=task, message=message, fence=fence))

    async def mark(self, task: Task, message: Marked, marks: list[Marks]) -> Outcome:
        """Store all marks of a task, then publish them; None if it is gone. Otherwise as `accept`."""
        return await asyncio.shield(self._put(Mark(task=task, message=message, marks=marks)))

    def save(self, task: Task, fence: int) -> asyncio.Future[Outcome]:
        """Store the task as it stands, without an event."""
        return self._put(Save(task=task, fence=fence))

    def charge(self, charge: Charge) -> None:
        """Store what an owner used, within CHARGE_SECONDS, together with what others used."""
        self._charges.append(self._charge(charge))
        if self._charge_timer is None:
            self._charge_timer = self._clock.call_later(CHARGE_SECONDS, self._store_charges_now)

    def _store_charges_now(self) -> None:
        """Let all charges join the next batch."""
        if self._charge_timer is not None:
            self._charge_timer.cancel()
            self._charge_timer = None
        # Behind older ones that could not be stored: the last one's finish tag counts.
        self._pending += self._charges
        self._charges = []
        self._wake.set()

    def _charge(self, charge: Charge) -> _Pending:
        self._charged = asyncio.get_running_loop().create_future()
        return _Pending(charge, self._charged)

    async def store_charges(self) -> None:
        """Return when all charges are stored; raise StorageUnavailable if that can't be done now."""
        if self._charged is not None and not self._charged.done():
            charged = self._charged
            if not self.broken:
                self._store_charges_now()
                await asyncio.wait([charged])
            if self.broken or charged.cancelled():
                raise StorageUnavailable(detail="charges are not stored yet")

    def snapshot(self, task: Task, message: Progress) -> None:
        """Publish a snapshot; it replaces an older one of the same output that a subscriber has not taken yet."""
        event = Event(owner=task.owner, uid=task.uid, seq=0, lang=task.lang, message=message)
        self._snapshots.setdefault(task.owner, {}).setdefault(task.uid, {})[message.index] = event
        self.bus.publish(event)

    def publish_queue(self, queue: OwnerQueue) -> None:
        """Publish what waits of an owner who has a subscriber; it replaces the snapshot before."""
        self._queues[queue.owner] = queue
        self.bus.publish(queue)

    def _put(self, write: Write) -> asyncio.Future[Outcome]:
        done: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._pending.append(_Pending(write, done))
        self._wake.set()
        return done

    async def _write(self) -> None:
        """Commit all that waits, publish, repeat: the batch grows by itself with the load."""
        # Something may wait since an earlier run of this task failed.
        self._wake.set()
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._pending:
                batch, self._pending = self._pending, []
                if not await self._commit(batch):
                    if self._closing.is_set():
                        log.error("not stored; it goes on after the next start", writes=len(self._pending))
                        return
                    await self._clock.sleep(RETRY)
                    # With nothing left to try again, the next new task shows whether storage is back.
                    self.broken = bool(self._pending)
            if self._closing.is_set():
                return

    async def _commit(self, batch: list[_Pending]) -> bool:
        """Store and publish a batch, or put it back; return whether it was stored."""
        began = self._clock.monotonic()
        try:
            outcomes = await self.store.commit([pending.write for pending in batch])
        except StorageUnavailable as error:
            self._put_back(batch, error)
            return False
        except Exception as error:
            # A bug of ours, in a batch of many: new tasks are refused, and the others live on.
            log.exception("batch not stored")
            self._put_back(batch, StorageUnavailable(detail=str(error)))
            return False
        self._telemetry.committed(self._clock.monotonic() - began, len(batch))
        self._failed_at = None
        if self.broken:
            log.info("storage is back")
            self.broken = False
        for pending, outcome in zip(batch, outcomes, strict=True):
            if pending.done.done():
                pass
            elif outcome is None and isinstance(pending.write, Accept):
                pending.done.set_exception(ImageNotFound(field="image"))
            else:
                pending.done.set_result(outcome)
            if isinstance(outcome, Event):
                self._publish(_traced(outcome, pending.write))
        return True

    def _put_back(self, batch: list[_Pending], error: StorageUnavailable) -> None:
        """Refuse what clients wait for of a batch that was not stored, and let the rest wait at the front."""
        self._failed_at = self._clock.monotonic()
        self._telemetry.commit_failed()
        if not self.broken:
            log.error("the store accepts nothing", detail=error.detail)
            self.broken = True
        waiting, self._pending = [*batch, *self._pending, *self._charges], []
        self._charges = []
        for pending in waiting:
            if isinstance(pending.write, Charge):
                # For whoever waits for it: it is stored when the store accepts anything again.
                pending.done.cancel()
                self._pending.append(self._charge(pending.write))
            elif not isinstance(pending.write, Accept | Mark):
                self._pending.append(pending)
            elif not pending.done.done():
                pending.done.set_exception(StorageUnavailable(detail=error.detail))

    def _publish(self, event: Event) -> None:
        self._positions.publish(event)
        if event.ends:
            self._note_compacted(event.uid)
            of_owner = self._snapshots.get(event.owner, {})
            of_owner.pop(event.uid, None)
            if not of_owner:
                self._snapshots.pop(event.owner, None)
        self.bus.publish(event)

    def _note_compacted(self, uid: str) -> None:
        if uid in self._compacting:
            self._compacted.append(uid)
        if len(self._compacted) > COMPACTED:
            self._compacting.discard(self._compacted.popleft())

    # Subscribe

    async def subscribe(self, owner: str) -> Subscriber:
        """Return a subscriber that watches nothing yet; `unsubscribe` it when done.

        Raises StorageUnavailable when the owner's position can't be read.
        """
        await self._positions.join(owner)
        return Subscriber(self, owner)

    def unsubscribe(self, subscriber: Subscriber) -> None:
        """Deliver nothing more to a subscriber, and drop what waits for it."""
        subscriber.close()
        self._positions.leave(subscriber.owner)
        if not self._positions.subscribed(subscriber.owner):
            # Nobody keeps it up to date: whoever comes next must not be sent places of long ago.
            self._queues.pop(subscriber.owner, None)

    def has_subscriber(self, owner: str) -> bool:
        """Tell whether anybody receives an owner's events here."""
        return self._positions.subscribed(owner)

    def subscribed_owners(self) -> list[str]:
        """Return the owners who have subscribers here."""
        return self._positions.subscribed_owners()

    async def skip_forgotten(self, owner: str) -> None:
        """Move on the position of an owner whom the store forgot, so that no cursor points to before that.

        Raises StorageUnavailable.
        """
        await self._positions.skip_forgotten(owner)

    def queue(self, owner: str) -> OwnerQueue | None:
        """Return the newest queue of an owner; None if nothing has been told since somebody watches."""
        return self._queues.get(owner)

    def position(self, owner: str) -> int:
        """Return the newest published seq of an owner who has a subscriber."""
        return self._positions.of_owner(owner)

    def newest(self, owner: str, uid: str) -> int | None:
        """Return the newest published seq of a task; None if only the store knows it, or if the task has ended."""
        return self._positions.of_task(owner, uid)

    def cursor(self, owner: str) -> str:
        """Return the position of an owner who has a subscriber, as a cursor."""
        return f"{self.epoch}:{self.position(owner)}"

    def running(self, owner: str) -> list[str]:
        """Return the uids of the owner's tasks that have snapshots."""
        return list(self._snapshots.get(owner, ()))

    def compacts(self, uid: str) -> bool:
        """Tell whether the deltas of a task are being deleted, or were lately: its whole text follows."""
        return uid in self._compacting

    def latest(self, owner: str, uid: str) -> list[Event]:
        """Return the newest snapshot of each output of an unfinished task, without places: the queue has them."""
        return [_without_place(event) for event in self._snapshots.get(owner, {}).get(uid, {}).values()]


def _traced(event: Event, write: Write) -> Event:
    """Return an event with the trace context of its task, which no replay of it has."""
    if isinstance(write, Charge) or write.task.traceparent is None:
        return event
    return replace(event, traceparent=write.task.traceparent)


def _without_place(event: Event) -> Event:
    """Return a snapshot without the place that it told when it was new."""
    message = event.message
    if not isinstance(message, Progress) or message.position is None:
        return event
    return replace(event, message=replace(message, position=None, estimated_time=None))
