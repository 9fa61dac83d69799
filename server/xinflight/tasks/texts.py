"""The texts of chats on their way: what arrives is stored and published in batches, as deltas."""

import asyncio
from itertools import groupby
from operator import attrgetter
from typing import Literal

from xinflight.clock import Clock, Timer
from xinflight.journal import Journal
from xinflight.model import Output, Task
from xinflight.protocol import Delta
from xinflight.storage import Outcome, Store
from xinflight.tasks.runs import OutputRun
from xinflight.upstream import Piece

__all__ = ["Texts", "restore_text"]

FLUSH_SECONDS = 0.02
"""Seconds from the first new text to its delta: 50 commits a second at most, and far less than people notice."""
PAGE = 500
"""Deltas that are read at once after a start."""


class Texts:
    """New text of the chats of one pool. `fence` is that of the pool's lease.

    One batch is being stored at a time. While the store is slow or accepts nothing, new text waits here and becomes
    fewer, longer deltas: no more than one per chat and channel waits to be stored, and none of it is published.
    """

    def __init__(self, journal: Journal, clock: Clock, fence: int) -> None:
        self._journal = journal
        self._clock = clock
        self._fence = fence
        # By run, in order. Bounded by what a reader of responses lets through.
        self._new: dict[OutputRun, list[Piece]] = {}
        self._timer: Timer | None = None
        # The last delta of the batch that is being stored.
        self._storing: asyncio.Future[Outcome] | None = None

    def add(self, run: OutputRun, piece: Piece) -> None:
        """Add new text, which is stored within a moment. Called for every token."""
        pieces = self._new.get(run)
        if pieces is None:
            self._new[run] = [piece]
            self._flush_soon()
        else:
            pieces.append(piece)

    def flush(self, run: OutputRun) -> None:
        """Store what is new of one text, before its end."""
        pieces = self._new.pop(run, None)
        if pieces is not None:
            _ = self._store(run, pieces)

    def flush_all(self) -> None:
        """Store what is new of all texts."""
        new, self._new = self._new, {}
        for run, pieces in new.items():
            self._storing = self._store(run, pieces)
        if new and self._storing is not None:
            self._storing.add_done_callback(self._stored)

    def _flush_soon(self) -> None:
        if self._timer is None and self._storing is None:
            self._timer = self._clock.call_later(FLUSH_SECONDS, self._flush_now)

    def _flush_now(self) -> None:
        self._timer = None
        self.flush_all()

    def _stored(self, _: asyncio.Future[Outcome]) -> None:
        self._storing = None
        if self._new:
            self._flush_soon()

    def _store(self, run: OutputRun, pieces: list[Piece]) -> asyncio.Future[Outcome]:
        """Append a delta for each channel; return the future of the last one."""
        by_channel = groupby(pieces, key=attrgetter("channel"))
        stored = [
            self._extend(run, channel, "".join([piece.text for piece in group])) for channel, group in by_channel
        ]
        return stored[-1]

    def _extend(self, run: OutputRun, channel: Literal["text", "reasoning"], text: str) -> asyncio.Future[Outcome]:
        """Append one delta to the text of its output."""
        delta = Delta(
            task_id=run.task.task_id,
            timestamp=self._clock.time(),
            index=run.output.index,
            offset=_append(run.output, channel, text),
            text=text,
            channel=channel,
        )
        return self._journal.extend(run.task, delta, self._fence)


def _append(output: Output, channel: str, text: str) -> int:
    """Append to the text or the reasoning of an output; return where it belongs, in code points."""
    known = (output.text if channel == "text" else output.reasoning) or ""
    if channel == "text":
        output.text = known + text
    else:
        output.reasoning = known + text
        # Of a task with something to show there is a text, even if it has not begun.
        output.text = output.text or ""
    return len(known)


async def restore_text(store: Store, task: Task) -> None:
    """Give the outputs of a task of the process's last life the text of its stored deltas.

    They are what subscribers have been sent, while a task is not stored with each of them. May raise
    StorageUnavailable.
    """
    unfinished = {output.index: output for output in task.outputs if not output.ended}
    for output in unfinished.values():
        output.text = output.reasoning = None
    after = 0
    while events := await store.events_of_tasks([task.uid], after=after, upto=2**62, limit=PAGE):
        for event in events:
            if isinstance(event.message, Delta) and event.message.index in unfinished:
                _append(unfinished[event.message.index], event.message.channel, event.message.text)
        after = events[-1].seq
