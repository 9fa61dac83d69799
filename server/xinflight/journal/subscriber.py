"""One reader of the journal: replays what it asks for, then stays live, at its own speed.

What is buffered for a subscriber is bounded. One that falls behind loses nothing: its stored events are read from the
store again when it has room, and of its snapshots only the newest count.
"""

from collections import deque
from collections.abc import Collection, Iterable, Sequence
from typing import Protocol

import msgspec
from msgspec import Struct

from xinflight.journal.buffer import Buffer, SentTexts, buffer, merged
from xinflight.journal.bus import Bus
from xinflight.journal.wake import Wake
from xinflight.model import Event, OwnerQueue
from xinflight.protocol import Progress, Queue, ServerMessage
from xinflight.storage import Store

__all__ = ["QUEUED_OUTPUTS", "Source", "Subscriber"]

BUFFERED_EVENTS = 512
"""Events buffered for one subscriber before it reads from the store instead."""
BUFFERED_BYTES = 2**20
"""The same in bytes: events with long prompts take 40 KB each."""
QUEUED_OUTPUTS = 200
"""Waiting outputs in one message: more than people read, some 30 KB at the most."""
NOTHING_WAITS = (0, False, False)
"""What somebody takes for granted who was told of no queue."""
PAGE = 64
"""Stored events read at once: enough to keep a socket busy, small enough to be dropped."""
PAGE_BYTES = 2**18
"""Bytes of a page above which the rest of it is dropped and read again later."""


class Source(Protocol):
    """What a subscriber needs of the journal."""

    store: Store
    bus: Bus

    def position(self, owner: str) -> int:
        """Return the owner's newest published seq."""

    def newest(self, owner: str, uid: str) -> int | None:
        """Return the newest published seq of a task, if that is known."""

    def running(self, owner: str) -> list[str]:
        """Return the uids of the owner's tasks that have snapshots."""

    def latest(self, owner: str, uid: str) -> list[Event]:
        """Return the newest snapshots of a task."""

    def queue(self, owner: str) -> OwnerQueue | None:
        """Return what waits of an owner, if that is known."""

    def compacts(self, uid: str) -> bool:
        """Tell whether the deltas of a task are being deleted, or were lately: its whole text follows."""


class _Replay(Struct, eq=False):
    """Stored events to read again: after < seq <= upto, of `uids` or (None) of all that is subscribed.

    `upto` None is what was missed while this subscriber was behind; it ends when nothing new came meanwhile. At the
    end come the newest snapshots of `running`, then `done`. Events above the seq in `reached`, or for other tasks
    above `reached_all`, reach this subscriber by another way.
    """

    uids: tuple[str, ...] | None
    after: int
    upto: int | None
    running: tuple[str, ...] = ()
    done: ServerMessage | None = None
    reached: dict[str, int] = {}
    reached_all: int = 0


class Subscriber:
    """Receive the events of tasks of one owner. Not for use by two readers at once.

    `wake` is set whenever `next_item` may return something; a reader may use it for other sources of its own.
    """

    __slots__ = (
        "_behind",
        "_journal",
        "_live",
        "_live_bytes",
        "_page",
        "_reached",
        "_reached_all",
        "_replays",
        "_since",
        "_since_all",
        "_texts",
        "_told",
        "owner",
        "wake",
    )

    def __init__(self, journal: Source, owner: str) -> None:
        self.owner = owner
        self.wake = Wake()
        self._journal = journal
        # Live events in order; a newer snapshot takes its older one out, a newer delta extends one. Bounded by
        # BUFFERED_EVENTS and, in bytes of its stored events, by BUFFERED_BYTES.
        self._live: Buffer = {}
        self._live_bytes = 0
        self._texts = SentTexts(journal.compacts)
        # No events, only numbers. Bounded by who asks for replays: a connection asks for no more while many wait.
        self._replays: list[_Replay] = []
        # None while there is none: even an empty deque takes 760 bytes, and most subscribers are idle.
        self._page: deque[Event | ServerMessage] | None = None
        # The position at which a task, or all of them, became live.
        self._since: dict[str, int] = {}
        self._since_all: int | None = None
        # Per task, the seq above which every event reaches this subscriber, live or by replay. Replays stop there, so
        # nothing is sent twice.
        self._reached: dict[str, int] = {}
        self._reached_all = 0
        # What the newest queue message said: how many wait, and whether all is paused, or held.
        self._told = NOTHING_WAITS
        # Set while the buffer was dropped and what was in it has not been read from the store again.
        self._behind = False

    @property
    def replays(self) -> int:
        """Return how many replays were asked for and are not over."""
        return len(self._replays)

    @property
    def reads(self) -> bool:
        """Return whether `next_item` may have to read from the store."""
        return bool(self._replays) and not self._page

    def subscribe(
        self, uids: Sequence[str], running: Collection[str], *, after: int | None, done: ServerMessage | None = None
    ) -> None:
        """Receive the events of tasks from now on; with `after`, first replay their stored events above that seq.

        `running` are those of `uids` that have not ended. Of a task that is subscribed already only what did not come
        yet is replayed. `done` comes out of `next_item` after the replay and the newest snapshots.
        """
        upto = self._journal.position(self.owner)
        wanted = [uid for uid in uids if after is not None and after < self._reaches(uid, running, upto)]
        reached = {uid: self._reaches(uid, running, upto) for uid in wanted}
        started = [uid for uid in uids if uid in running and uid not in self._since and self._since_all is None]
        for uid in started:
            self._since[uid] = upto
            self._reached[uid] = upto
            self._journal.bus.attach(self, self.owner, uid)
            self._journal.bus.attach(self, self.owner, OwnerQueue.uid)
        if after is not None:
            self._reached.update({uid: after for uid in wanted if uid in running})
        if after is not None or done is not None:
            self._add(_Replay(tuple(wanted), after or 0, upto, tuple(started), done, reached, upto))
            # Not for a task that is just being accepted: the queue that is known does not have it yet, and whoever
            # submits hundreds would be sent the places of all before them each time.
            self._show_queue(started)

    def _reaches(self, uid: str, running: Collection[str], upto: int) -> int:
        """Return the seq above which every event of a task comes already; `upto` when it is not subscribed."""
        everything = self._since_all is not None and uid in running
        return self._reached.get(uid, self._reached_all if everything else upto)

    def subscribe_all(self, *, after: int | None, done: ServerMessage | None = None) -> None:
        """Receive the events of all of the owner's tasks from now on; otherwise as `subscribe`."""
        upto = self._journal.position(self.owner)
        fresh: tuple[str, ...] = ()
        if self._since_all is None:
            fresh = tuple(uid for uid in self._journal.running(self.owner) if uid not in self._since)
            self._since_all = self._reached_all = upto
            for uid in (*self._since, OwnerQueue.uid):
                self._journal.bus.detach(self, self.owner, uid)
            self._journal.bus.attach(self, self.owner, None)
            self._show_queue(fresh)
        uids = None if after is not None and after < self._reached_all else ()
        self._add(_Replay(uids, after or 0, upto, fresh, done, dict(self._reached), self._reached_all))
        if after is not None:
            self._reached_all = min(self._reached_all, after)
            self._reached = {uid: min(seq, after) for uid, seq in self._reached.items()}

    def unsubscribe(self, uid: str) -> None:
        """Receive nothing more of a task; what is buffered of it may still come."""
        self._forget(uid)
        if not self._since:
            self._told = NOTHING_WAITS
        self._leave_queue()

    def _forget(self, uid: str) -> None:
        self._texts.forget(uid)
        self._reached.pop(uid, None)
        if self._since.pop(uid, None) is not None:
            self._journal.bus.detach(self, self.owner, uid)

    def _leave_queue(self) -> None:
        """Receive no more queues if no task is subscribed, and the newest one did not say that something waits.

        Otherwise, whoever goes by queues alone would show the tasks that ended while they waited for ever.
        """
        if not self._since and self._told == NOTHING_WAITS:
            self._journal.bus.detach(self, self.owner, OwnerQueue.uid)

    def unsubscribe_all(self) -> None:
        """Receive nothing more."""
        for uid in list(self._since):
            self.unsubscribe(uid)
        self._reached.clear()
        self._since_all = None
        self._journal.bus.detach(self, self.owner, None)

    def close(self) -> None:
        """Receive nothing more and drop what is buffered."""
        self.unsubscribe_all()
        self._clear_live()
        self._replays.clear()
        self._page = None

    def _show_queue(self, uids: Collection[str], *, missed: bool = False) -> None:
        """Buffer the places of tasks that are subscribed from now on, or of which some were `missed`."""
        queue = self._journal.queue(self.owner)
        if queue is not None and (missed or queue.outputs or queue.paused or queue.held):
            self.deliver(msgspec.structs.replace(queue, news=frozenset(uids)))

    def deliver(self, event: Event | OwnerQueue) -> None:
        """Buffer an event or a snapshot of the bus; never waits."""
        if self._behind:
            return
        if isinstance(event, OwnerQueue):
            older = self._live.pop((event.uid, 0), None)
            news = older.news if isinstance(older, OwnerQueue) else frozenset()
            self._live[event.uid, 0] = msgspec.structs.replace(event, news=event.news | news)
            self.wake.set()
            return
        if event.stored and event.seq <= self._since.get(event.uid, self._since_all or 0):
            # The position was read from the store while this event waited to be published: replays bring it.
            return
        if isinstance(event.message, Progress):
            key = (event.uid, event.message.index)
            self._live.pop(key, None)
            self._live[key] = event
        else:
            self._live_bytes += buffer(self._live, event)
        if len(self._live) > BUFFERED_EVENTS or self._live_bytes > BUFFERED_BYTES:
            self._fall_behind()
        self.wake.set()

    def _fall_behind(self) -> None:
        """Drop the buffer; the stored events among it are read from the store again."""
        first = self._first_stored()
        after = self._journal.position(self.owner) if first is None else first.seq - 1
        self._clear_live()
        asked = [replay for replay in self._replays if replay.done is not None or replay.running]
        self._replays.append(_Replay(None, after, None))
        self._behind = True
        for replay in asked:
            # The cursor of its `done` may be above what was dropped: a client that is cut in between would skip that.
            self._replays.append(msgspec.structs.replace(replay, uids=()))
            replay.running, replay.done = (), None

    def _clear_live(self) -> None:
        self._live.clear()
        self._live_bytes = 0

    def _first_stored(self) -> Event | None:
        return next((event for event in self._live.values() if isinstance(event, Event) and event.stored), None)

    def _add(self, replay: _Replay) -> None:
        """Add a replay. While behind it goes before what was missed, which is newer; its `done` follows that."""
        if self._behind:
            missed = next(place for place, known in enumerate(self._replays) if known.upto is None)
            self._replays.insert(missed, msgspec.structs.replace(replay, running=(), done=None))
            replay = msgspec.structs.replace(replay, uids=())
        self._replays.append(replay)
        self.wake.set()

    async def next_item(self) -> Event | ServerMessage | None:
        """Return the next event, the `done` of a replay that is over, or None when nothing is there.

        `wake` is clear after None. Cancelling loses nothing. Raises StorageUnavailable; what is buffered stays.
        """
        while True:
            while not self._page and self._replays and not self._live_goes_first(self._replays[0]):
                await self._read_page(self._replays[0])
            if not self._page and not self._live:
                self._page = None
                self.wake.clear()
                return None
            item = self._page.popleft() if self._page else self._next_live()
            if item is not None:
                break
        if isinstance(item, Event) and item.ends:
            self._forget(item.uid)
            self._leave_queue()
        return item

    def _next_live(self) -> Event | Queue | None:
        """Return what is buffered first, or None for what must not be sent.

        That is a queue in which nothing has changed for this subscriber, and text behind a gap.
        """
        item = self._live.pop(next(iter(self._live)))
        if isinstance(item, OwnerQueue):
            return self._queue_message(item)
        self._live_bytes -= item.bytes if item.stored else 0
        return item if self._texts.note(item) else None

    def _queue_message(self, queue: OwnerQueue) -> Queue | None:
        """Return what waits of what is subscribed now; None if that has not changed."""
        waiting, outputs = len(queue.outputs), list(queue.outputs[:QUEUED_OUTPUTS])
        if self._since_all is None:
            if not self._since and self._told == NOTHING_WAITS:
                return None
            # Not a pass over all that waits: of thousands who come back at once each subscribes to its own.
            places = sorted(place for uid in self._since for place in queue.places.get(uid, ()))
            waiting, outputs = len(places), [queue.outputs[place] for place in places[:QUEUED_OUTPUTS]]
            concerned = not queue.news.isdisjoint(self._since)
            # What waited and has ended is subscribed no more, so it is not among the news.
            if not concerned and (waiting, queue.paused, queue.held) == self._told:
                return None
        self._told = waiting, queue.paused, queue.held
        self._leave_queue()
        return Queue(
            timestamp=queue.timestamp, outputs=outputs, waiting=waiting, paused=queue.paused, held=queue.held
        )

    def _live_goes_first(self, replay: _Replay) -> bool:
        """Tell whether a stored event is buffered that was published before the replay was asked for.

        It must be sent first: the cursor of whoever has seen the replay is above its seq.
        """
        first = self._first_stored()
        return first is not None and replay.upto is not None and first.seq <= replay.upto

    async def _read_page(self, replay: _Replay) -> None:
        """Read one page of a replay; after its last one come the newest snapshots and its `done`."""
        upto = self._journal.position(self.owner) if replay.upto is None else replay.upto
        read = await self._read(replay, upto)
        rows = _within(read, PAGE_BYTES)
        events = merged(row for row in rows if self._wants(replay, row))
        page = self._page = deque(event for event in events if self._texts.note(event))
        if len(rows) == PAGE or len(rows) < len(read):
            replay.after = rows[-1].seq
            return
        replay.after = upto
        if replay.upto is None:
            if self._journal.position(self.owner) > upto:
                return
            self._behind = False
            # An empty one, too: that nothing waits any more may be among what was missed.
            self._show_queue(tuple(self._since), missed=True)
            replay.running = tuple(self._since if self._since_all is None else self._journal.running(self.owner))
        # Not simply the first one: while the page was read, a newer replay may have been put before it.
        self._replays.remove(replay)
        # An end that is stored but not published yet still has its snapshots: none may follow it.
        ended = {row.uid for row in rows if row.ends}
        page.extend(self._snapshots(uid for uid in replay.running if uid not in ended))
        if replay.done is not None:
            page.append(replay.done)

    async def _read(self, replay: _Replay, upto: int) -> list[Event]:
        store, after = self._journal.store, replay.after
        if after >= upto:
            return []
        uids = replay.uids
        if uids is None and (self._since_all is not None or replay.upto is not None):
            return await store.events_of_owner(self.owner, after=after, upto=upto, limit=PAGE)
        if uids is None:
            uids = tuple(self._since)
        uids = tuple(uid for uid in uids if self._may_have_events(uid, after))
        return await store.events_of_tasks(uids, after=after, upto=upto, limit=PAGE) if uids else []

    def _may_have_events(self, uid: str, after: int) -> bool:
        """Return false if a task is known to have no published event above a seq: most who come back missed none."""
        newest = self._journal.newest(self.owner, uid)
        return newest is None or newest > after

    def _wants(self, replay: _Replay, event: Event) -> bool:
        """Leave out of what was missed what was not subscribed yet, and of a replay what was sent live."""
        if replay.upto is None:
            return event.seq > self._since.get(event.uid, self._since_all or 0)
        return event.seq <= replay.reached.get(event.uid, replay.reached_all)

    def _snapshots(self, uids: Iterable[str]) -> Iterable[Event]:
        for uid in uids:
            yield from self._journal.latest(self.owner, uid)


def _within(events: list[Event], most: int) -> list[Event]:
    """Return the first events up to and including the one that exceeds `most` bytes."""
    taken = 0
    for count, event in enumerate(events, 1):
        taken += event.bytes
        if taken > most:
            return events[:count]
    return events
