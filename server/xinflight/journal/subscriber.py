"""One reader of the journal: replays what it asks for, then stays live, at its own speed.

What waits for a reader is bounded. A reader that falls behind loses nothing: its stored events are read from the
store again when it has room, and of its snapshots only the newest count.
"""

import asyncio
from collections import deque
from collections.abc import Collection, Iterable, Sequence
from typing import Protocol

import msgspec

from xinflight.journal.bus import Bus
from xinflight.protocol import ServerMessage
from xinflight.storage import Event, Store

__all__ = ["Follower", "Source"]

WAITING_EVENTS = 512
"""Events that wait for one reader before it reads from the store instead: some 250 KB at the most."""
PAGE = 64
"""Stored events read at once: enough to keep a socket busy, small enough to be forgotten at a drop."""


class Source(Protocol):
    """What a follower needs of the journal."""

    store: Store
    bus: Bus

    def position(self, owner: str) -> int:
        """Return the owner's newest published seq."""

    def stored_position(self, owner: str) -> int:
        """Return the owner's newest published seq of a stored event."""

    def running(self, owner: str) -> tuple[str, ...]:
        """Return the uids of the owner's tasks that have snapshots."""

    def latest(self, uid: str) -> list[Event]:
        """Return the newest snapshots of a task."""


class _Span(msgspec.Struct, eq=False):
    """Stored events to replay: after < seq <= upto, of `uids` or (None) of all that is watched.

    `upto` None is what was missed while this reader was behind; it ends when nothing new came meanwhile. At the end
    come the newest snapshots of `running`, then `done`. Events above the seq in `covered`, or for other tasks above
    `covered_all`, come to this reader by another way.
    """

    uids: tuple[str, ...] | None
    after: int
    upto: int | None
    running: tuple[str, ...] = ()
    done: ServerMessage | None = None
    covered: dict[str, int] = {}
    covered_all: int = 0


class Follower:
    """Follow tasks of one owner. Not for use by two readers at once.

    `wake` is set whenever `take` may have something; a reader may use it for other sources of its own.
    """

    def __init__(self, journal: Source, owner: str) -> None:
        self.owner = owner
        self.wake = asyncio.Event()
        self._journal = journal
        # Live events in order; a newer snapshot takes its older one out. Bounded by WAITING_EVENTS.
        self._live: dict[tuple[str, int], Event] = {}
        # No events, only numbers. Bounded by who asks for replays: a connection asks for no more while many wait.
        self._spans: deque[_Span] = deque()
        self._page: deque[Event | ServerMessage] = deque()
        # From which seq on tasks, or all, are sent live.
        self._since: dict[str, int] = {}
        self._since_all: int | None = None
        # Above which seq everything of them comes, live or by a replay: nothing comes twice, nothing is left out.
        self._covered: dict[str, int] = {}
        self._covered_all = 0
        self._behind = False

    @property
    def replays(self) -> int:
        """Return how many replays were asked for and are not over."""
        return len(self._spans)

    def watch(
        self, uids: Sequence[str], running: Collection[str], *, after: int | None, done: ServerMessage | None = None
    ) -> None:
        """Follow tasks from now on; with `after`, first replay their stored events above that seq.

        `running` are those of `uids` that have not ended. Of a task that is followed already only what did not come
        yet is replayed. `done` comes out of `take` after the replay and the newest snapshots.
        """
        upto = self._journal.position(self.owner)
        wanted = [uid for uid in uids if after is not None and after < self._covers(uid, running, upto)]
        covered = {uid: self._covers(uid, running, upto) for uid in wanted}
        started = [uid for uid in uids if uid in running and uid not in self._since and self._since_all is None]
        for uid in started:
            self._since[uid] = upto
            self._covered[uid] = upto
            self._journal.bus.attach(self, self.owner, uid)
        if after is not None:
            self._covered.update({uid: after for uid in wanted if uid in running})
        if after is not None or done is not None:
            self._replay(_Span(tuple(wanted), after or 0, upto, tuple(started), done, covered, upto))

    def _covers(self, uid: str, running: Collection[str], upto: int) -> int:
        """Return the seq above which everything of a task comes already; `upto` when it is not followed."""
        everything = self._since_all is not None and uid in running
        return self._covered.get(uid, self._covered_all if everything else upto)

    def watch_all(self, running: Sequence[str], *, after: int | None, done: ServerMessage | None = None) -> None:
        """Follow every task of the owner from now on; with `after`, first replay what came after that seq.

        `running` are the unfinished ones, whose newest snapshots are wanted. Otherwise as `watch`.
        """
        upto = self._journal.position(self.owner)
        fresh: tuple[str, ...] = ()
        if self._since_all is None:
            fresh = tuple(uid for uid in running if uid not in self._since)
            self._since_all = self._covered_all = upto
            for uid in self._since:
                self._journal.bus.detach(self, self.owner, uid)
            self._journal.bus.attach(self, self.owner, None)
        uids = None if after is not None and after < self._covered_all else ()
        self._replay(_Span(uids, after or 0, upto, fresh, done, self._covered, self._covered_all))
        if after is not None:
            self._covered_all = min(self._covered_all, after)
            self._covered = {uid: min(seq, after) for uid, seq in self._covered.items()}

    def unwatch(self, uid: str) -> None:
        """Follow a task no more; what waits of it may still come."""
        self._covered.pop(uid, None)
        if self._since.pop(uid, None) is not None:
            self._journal.bus.detach(self, self.owner, uid)

    def unwatch_all(self) -> None:
        """Follow nothing any more."""
        for uid in list(self._since):
            self.unwatch(uid)
        self._covered.clear()
        self._since_all = None
        self._journal.bus.detach(self, self.owner, None)

    def close(self) -> None:
        """Follow nothing any more and forget what waits."""
        self.unwatch_all()
        self._live.clear()
        self._spans.clear()
        self._page.clear()

    def push(self, event: Event) -> None:
        """Take an event from the bus; never waits."""
        if self._behind:
            return
        if event.message.stored:
            self._live[event.uid, -event.seq] = event
        else:
            key = (event.uid, event.message.index)  # type: ignore[union-attr]  # only Progress is not stored
            self._live.pop(key, None)
            self._live[key] = event
        if len(self._live) > WAITING_EVENTS:
            self._fall_behind()
        self.wake.set()

    def _fall_behind(self) -> None:
        """Drop what waits; the stored events of it are read from the store again."""
        first = next((event for event in self._live.values() if event.message.stored), None)
        after = self._journal.position(self.owner) if first is None else first.seq - 1
        self._live.clear()
        self._spans.append(_Span(None, after, None))
        self._behind = True

    def _replay(self, span: _Span) -> None:
        """Add a replay. Who is behind gets it before what was missed, which is newer, and its `done` after that."""
        if self._behind:
            missed = next(place for place, known in enumerate(self._spans) if known.upto is None)
            self._spans.insert(missed, msgspec.structs.replace(span, running=(), done=None))
            span = msgspec.structs.replace(span, uids=())
        self._spans.append(span)
        self.wake.set()

    async def take(self) -> Event | ServerMessage | None:
        """Return the next event, the `done` of a replay that is over, or None when nothing waits.

        `wake` is clear after None. Cancelling loses nothing. Raises StorageUnavailable; what waits is kept.
        """
        item: Event | ServerMessage
        while not self._page and self._spans and not self._before(self._spans[0]):
            await self._read_page(self._spans[0])
        if self._page:
            item = self._page.popleft()
        elif self._live:
            item = self._live.pop(next(iter(self._live)))
        else:
            self.wake.clear()
            return None
        if isinstance(item, Event) and item.message.stored and item.message.ends:
            self.unwatch(item.uid)
        return item

    def _before(self, span: _Span) -> bool:
        """Tell whether events wait that were published before a replay was asked for.

        They go first: the cursor of whoever has seen the replay is above theirs.
        """
        first = next(iter(self._live.values()), None)
        return first is not None and span.upto is not None and first.seq <= span.upto

    async def _read_page(self, span: _Span) -> None:
        """Read one page of a replay; after its last one come the snapshots and what it is done with."""
        upto = self._journal.position(self.owner) if span.upto is None else span.upto
        rows: list[Event] = []
        if span.uids != () and span.after < upto:
            watched = None if self._since_all is not None else tuple(self._since)
            uids = watched if span.uids is None and span.upto is None else span.uids
            rows = await self._journal.store.events(self.owner, after=span.after, upto=upto, uids=uids, limit=PAGE)
        self._page.extend(row for row in rows if self._wanted(span, row))
        if len(rows) == PAGE:
            span.after = rows[-1].seq
            return
        span.after = upto
        if span.upto is None:
            if self._journal.stored_position(self.owner) > upto:
                return
            self._behind = False
            span.running = tuple(self._since) if self._since_all is None else self._journal.running(self.owner)
        # Not simply the first one: while the page was read, a newer replay may have been put before it.
        self._spans.remove(span)
        self._page.extend(self._snapshots(span.running, upto))
        if span.done is not None:
            self._page.append(span.done)

    def _wanted(self, span: _Span, event: Event) -> bool:
        """Leave out of what was missed what was not watched yet, and of a replay what was sent live."""
        if span.upto is None:
            return event.seq > self._since.get(event.uid, self._since_all or 0)
        return event.seq <= span.covered.get(event.uid, span.covered_all)

    def _snapshots(self, uids: Iterable[str], seq: int) -> Iterable[Event]:
        """Yield the newest snapshots, numbered with the position they were taken at to keep the order."""
        for uid in uids:
            for event in self._journal.latest(uid):
                message = msgspec.structs.replace(event.message, seq=seq)
                yield msgspec.structs.replace(event, seq=seq, message=message)
