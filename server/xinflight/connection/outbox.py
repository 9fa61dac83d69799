"""The outgoing messages of one connection: replies first, then the subscriber's events, sent by a single writer.

What waits when the writer has its turn is sent together: a write is a system call, and wakes up the client.

A peer that sends requests faster than it reads replies isn't disconnected for that: its requests are left unread
until there is room, so the queue is bounded in count and bytes. It is disconnected when it reads nothing at all.
"""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple, Protocol

from xinflight.clock import Clock
from xinflight.journal import Subscriber
from xinflight.model import Event
from xinflight.protocol import Codec, ServerMessage
from xinflight.render import RenderContext, render

__all__ = ["Outbox", "Sender", "SlowReader"]

WAITING_ANSWERS = 256
"""Messages that may be queued. Notices are queued whether the peer reads or not, so `room` can't bound them."""
WAITING_BYTES = 2**20
"""Bytes of queued messages above which one more is too many."""
TOGETHER_BYTES = 2**15
"""Bytes above which what waits is not sent together any more: a copy of it costs more than another write."""
ROOM_ANSWERS = 64
"""Queued replies above which no further request is read: enough to keep a socket busy."""
ROOM_BYTES = 2**18
"""Bytes of queued replies above which no further request is read: one full page of `list`."""
ROOM_REPLAYS = 8
"""Pending replays above which no further request is read: each holds the ids of up to 1,000 tasks."""


class Sender(Protocol):
    """A transport of messages."""

    def takes(self, size: int) -> bool:
        """Return whether so many bytes are certainly sent without waiting for the client to read."""

    async def send(self, messages: Sequence[bytes]) -> None:
        """Send one message, waiting while the client does not read, or several that are taken at once."""


class SlowReader(Exception):
    """The peer keeps the connection open without reading. It may reconnect and resume."""


class _Frame(NamedTuple):
    """An encoded message, and the event that it was rendered of, if it is one, with what was rendered."""

    data: bytes
    rendered: tuple[Event, ServerMessage] | None = None


class Outbox:
    """Send messages in order, by `run` alone. One may take `patience` seconds; most are taken at once."""

    __slots__ = (
        "_answers",
        "_bytes",
        "_clock",
        "_closing",
        "_codec",
        "_events",
        "_holds",
        "_over",
        "_overflow",
        "_patience",
        "_render_context",
        "_sender",
        "_sent",
        "_subscriber",
    )

    def __init__(
        self,
        sender: Sender,
        subscriber: Subscriber,
        render_context: RenderContext,
        codec: Codec,
        clock: Clock,
        patience: float,
    ) -> None:
        self._sender = sender
        self._subscriber = subscriber
        self._render_context = render_context
        self._codec = codec
        self._clock = clock
        self._patience = patience
        # Encoded when queued, so that their bytes can be counted. Bounded by WAITING_ANSWERS and WAITING_BYTES: with
        # one more, the peer counts as a slow reader.
        self._answers: list[bytes] = []
        self._bytes = 0
        # While a reader waits for room.
        self._sent: asyncio.Event | None = None
        self._over = False
        self._holds = 0
        self._overflow = False
        self._closing = False
        self._events = True

    def put(self, message: ServerMessage) -> None:
        """Queue a reply or a notice; never waits."""
        if len(self._answers) >= WAITING_ANSWERS or self._bytes >= WAITING_BYTES:
            self._overflow = True
        else:
            frame = self._codec.encode(message)
            self._answers.append(frame)
            self._bytes += len(frame)
        self._subscriber.wake.set()

    async def room(self) -> bool:
        """Wait until there is room for the reply to one more request; return False once nothing is sent any more."""
        while not self._over and (
            len(self._answers) >= ROOM_ANSWERS
            or self._bytes >= ROOM_BYTES
            or self._subscriber.replays >= ROOM_REPLAYS
        ):
            self._sent = asyncio.Event()
            await self._sent.wait()
        return not self._over

    @contextmanager
    def events_held(self) -> Iterator[None]:
        """Hold back events inside the block, so that a reply queued in it is sent before them."""
        self._holds += 1
        try:
            yield
        finally:
            self._holds -= 1
            self._subscriber.wake.set()

    def close(self, *, events: bool = True) -> None:
        """Make `run` return once everything that is queued now is sent; with `events` false, replies and notices."""
        self._closing = True
        self._events = self._events and events
        self._subscriber.wake.set()

    async def run(self) -> None:
        """Send until closed. Cancellation discards what is queued.

        Raises:
            SlowReader: a frame could not be sent in time, or too many messages are queued.
            StorageUnavailable: a replay can't be read.
        """
        try:
            while True:
                if not (self._closing or self._subscriber.wake.is_set()):
                    await self._subscriber.wake.wait()
                if not await self._send_next() and self._closing:
                    return
                # Even without a frame: the end of a replay makes room, too.
                self._tell_sent()
        finally:
            # Otherwise a reader that waits for room would wait for ever.
            self._over = True
            self._tell_sent()

    def _tell_sent(self) -> None:
        if self._sent is not None:
            self._sent.set()
            self._sent = None

    async def _send_next(self) -> bool:
        """Send what goes next; return whether there was anything.

        Not part of `run`, whose variables would keep the last message of each idle connection.
        """
        frames = await self._next_together()
        if frames:
            await self._transmit(frames)
        return bool(frames)

    async def _transmit(self, frames: list[_Frame]) -> None:
        if self._sender.takes(sum(len(frame.data) for frame in frames)):
            await self._sender.send([frame.data for frame in frames])
            self._note_written(frames)
            return
        for frame in frames:
            try:
                async with self._clock.timeout(self._patience):
                    await self._sender.send([frame.data])
            except TimeoutError:
                raise SlowReader from None
            self._note_written([frame])

    def _note_written(self, frames: list[_Frame]) -> None:
        for frame in frames:
            if frame.rendered is not None:
                self._render_context.written(*frame.rendered)

    async def _next_together(self) -> list[_Frame]:
        """Return the next frame, and those behind it that go with it; none if there is nothing to send."""
        frames: list[_Frame] = []
        size = 0
        while (frame := await self._next()) is not None:
            frames.append(frame)
            size += len(frame.data)
            # What is there must not wait for a look at the store, or for the client to read.
            if size >= TOGETHER_BYTES or self._subscriber.reads or not self._sender.takes(size):
                break
        return frames

    async def _next(self) -> _Frame | None:
        if self._overflow:
            raise SlowReader
        if self._answers:
            frame = self._answers.pop(0)
            self._bytes -= len(frame)
            return _Frame(frame)
        if not self._events:
            return None
        if self._holds:
            self._subscriber.wake.clear()
            return None
        item = await self._subscriber.next_item()
        if item is None:
            return None
        if not isinstance(item, Event):
            return _Frame(self._codec.encode(item))
        message = await render(item, self._render_context)
        return _Frame(self._codec.encode(message), (item, message))
