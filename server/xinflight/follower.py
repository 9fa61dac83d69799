"""One reader of the journal: replays what it asks for, then stays live, at its own speed.

What waits for a reader is bounded. A reader that falls behind loses nothing: its stored events are read from the
store again when it has room, and of its snapshots only the newest count.
"""

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Protocol

import msgspec

from xinflight.store import Event, Store

__all__ = ["Follower", "Source"]

WAITING_EVENTS = 512
"""Events that wait for one reader before it reads from the store instead: some 250 KB at the most."""

PAGE = 64
"""Stored events read at once: enough to keep a socket busy, small enough to be forgotten at a drop."""


class Source(Protocol):
    """What a follower needs of the journal."""

    store: Store

    def position(self, owner: str) -> int:
        """Return the owner's newest published seq."""

    def latest(self, uid: str) -> list[Event]:
        """Return the newest snapshots of a task."""

    def watch_task(self, uid: str, follower: "Follower") -> None:
        """Start publishing a task's events to a follower."""

    def unwatch_task(self, uid: str, follower: "Follower") -> None:
        """Stop that."""

    def watch_owner(self, owner: str, follower: "Follower") -> None:
        """Start publishing all of an owner's events to a follower."""

    def unwatch_owner(self, owner: str, follower: "Follower") -> None:
        """Stop that."""


class _Span(msgspec.Struct):
    """Stored events to replay: after < seq <= upto, of `uids` or (None) of all. `upto` None ends when live."""

    uids: tuple[str, ...] | None
    after: int
    upto: int | None


class Follower:
    """Follow tasks of one owner. Not for use by two readers at once.

    `wake` is set whenever `take` may have something; a reader may pass one that it shares with other sources.
    """

    def __init__(self, journal: Source, owner: str) -> None:
        self.owner = owner
        self.wake = asyncio.Event()
        self._journal = journal
        # Live events in order; a newer snapshot takes its older one out. Bounded by WAITING_EVENTS.
        self._live: dict[tuple[str, int], Event] = {}
        # Bounded by what a connection may watch; each holds no events, only numbers.
        self._spans: deque[_Span] = deque()
        self._page: deque[Event] = deque()
        self._since: dict[str, int] = {}
        self._since_all: int | None = None
        self._behind = False

    def watch(self, uids: Sequence[str], after: int | None) -> None:
        """Follow tasks from now on; with `after`, first replay their stored events above that seq.

        Tasks that are followed already are left as they are: everyone gets each event once.
        """
        fresh = tuple(uid for uid in uids if uid not in self._since and self._since_all is None)
        upto = self._journal.position(self.owner)
        for uid in fresh:
            self._since[uid] = upto
            self._journal.watch_task(uid, self)
        if after is not None and fresh:
            self._replay(_Span(fresh, after, upto))

    def unwatch(self, uid: str) -> None:
        """Follow a task no more; what waits of it may still come."""
        if self._since.pop(uid, None) is not None:
            self._journal.unwatch_task(uid, self)

    def close(self) -> None:
        """Follow nothing any more and forget what waits."""
        for uid in list(self._since):
            self.unwatch(uid)
        self._live.clear()
        self._spans.clear()
        self._page.clear()

    def push(self, event: Event) -> None:
        """Take an event from the journal; never waits."""
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
        self._behind = True
        self._replay(_Span(None, after, None))

    def _replay(self, span: _Span) -> None:
        self._spans.append(span)
        self.wake.set()

    async def take(self) -> Event | None:
        """Return the next event, or None when nothing waits (`wake` is clear then). Cancelling loses nothing."""
        while not self._page and self._spans:
            await self._read_page(self._spans[0])
        if self._page:
            event = self._page.popleft()
        elif self._live:
            event = self._live.pop(next(iter(self._live)))
        else:
            self.wake.clear()
            return None
        if event.message.stored and event.message.ends:
            self.unwatch(event.uid)
        return event

    async def _read_page(self, span: _Span) -> None:
        upto = self._journal.position(self.owner) if span.upto is None else span.upto
        rows = await self._journal.store.events(
            self.owner, after=span.after, upto=upto, uids=self._uids(span), limit=PAGE
        )
        self._page.extend(row for row in rows if span.upto is not None or row.seq > self._start(row.uid))
        if len(rows) == PAGE:
            span.after = rows[-1].seq
            return
        span.after = upto
        # A replay of what went by while this reader was behind goes on until nothing new came meanwhile.
        if span.upto is None and self._journal.position(self.owner) > upto:
            return
        self._spans.popleft()
        self._behind = self._behind and span.upto is not None
        self._page.extend(self._snapshots(self._uids(span) or (), upto))

    def _uids(self, span: _Span) -> tuple[str, ...] | None:
        return tuple(self._since) if span.uids is None else span.uids

    def _start(self, uid: str) -> int:
        return self._since.get(uid, 0)

    def _snapshots(self, uids: Iterable[str], seq: int) -> Iterable[Event]:
        """Yield the newest snapshots, numbered with the position they were taken at to keep the order."""
        for uid in uids:
            for event in self._journal.latest(uid):
                message = msgspec.structs.replace(event.message, seq=seq)
                yield msgspec.structs.replace(event, seq=seq, message=message)
