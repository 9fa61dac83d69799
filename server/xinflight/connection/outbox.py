"""What goes out on one connection: answers first, then the subscriber's events. One writer; events never wait for it.

A peer that asks faster than it reads is not dropped for that: its requests are left unread until `room` is there, so
that what waits for it is bounded in count and bytes. It is dropped when it takes nothing at all.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from xinflight.clock import Clock
from xinflight.journal import Subscriber
from xinflight.model import Event
from xinflight.protocol import Codec, ServerMessage
from xinflight.render import RenderContext, render

__all__ = ["Outbox", "SlowReader"]

WAITING_ANSWERS = 256
"""Messages that may wait for a peer: notices come whether it reads or not."""
WAITING_BYTES = 2**20
"""Bytes of them that may wait before one more is too many."""
ROOM_ANSWERS = 64
"""Answers that wait before no further request is read: enough to keep a socket busy."""
ROOM_BYTES = 2**18
"""Bytes of answers that wait before no further request is read: one full page of `list`."""
ROOM_REPLAYS = 8
"""Replays that wait before no further request is read: each holds the ids of up to 1,000 tasks."""


class SlowReader(Exception):
    """The peer does not read; it can come back and resume."""


class Outbox:
    """Send messages in order. `send` awaits the transport; `run` is the one task that calls it.

    `patience` is the seconds that one frame may take to leave.
    """

    def __init__(
        self,
        send: Callable[[bytes], Awaitable[None]],
        subscriber: Subscriber,
        context: RenderContext,
        codec: Codec,
        clock: Clock,
        patience: float,
    ) -> None:
        self._send = send
        self._subscriber = subscriber
        self._context = context
        self._codec = codec
        self._clock = clock
        self._patience = patience
        # Encoded, so that their bytes can be counted. Bounded by WAITING_ANSWERS and WAITING_BYTES: one more, and the
        # peer is too slow.
        self._answers: deque[bytes] = deque()
        self._bytes = 0
        self._sent = asyncio.Event()
        self._over = False
        self._holds = 0
        self._overflow = False
        self._closing = False

    def put(self, message: ServerMessage) -> None:
        """Queue an answer or a notice; never waits."""
        if len(self._answers) >= WAITING_ANSWERS or self._bytes >= WAITING_BYTES:
            self._overflow = True
        else:
            frame = self._codec.encode(message)
            self._answers.append(frame)
            self._bytes += len(frame)
        self._subscriber.wake.set()

    async def room(self) -> bool:
        """Wait until there is room for the answer to one more request; return False when nothing is sent any more."""
        while not self._over and (
            len(self._answers) >= ROOM_ANSWERS
            or self._bytes >= ROOM_BYTES
            or self._subscriber.replays >= ROOM_REPLAYS
        ):
            self._sent.clear()
            await self._sent.wait()
        return not self._over

    @contextmanager
    def events_held(self) -> Iterator[None]:
        """Keep events back while an answer that must come before them is being made."""
        self._holds += 1
        try:
            yield
        finally:
            self._holds -= 1
            self._subscriber.wake.set()

    def close(self) -> None:
        """Let `run` return once everything that waits now is sent."""
        self._closing = True
        self._subscriber.wake.set()

    async def run(self) -> None:
        """Send until closed. Cancelling loses what waits.

        Raises:
            SlowReader: a frame did not leave in time, or too many answers wait.
        """
        try:
            while True:
                await self._subscriber.wake.wait()
                frame = await self._next()
                if frame is not None:
                    await self._leave(frame)
                elif self._closing:
                    return
                # Even without a frame: a replay may have ended.
                self._sent.set()
        finally:
            # Whoever waits for room would wait for ever.
            self._over = True
            self._sent.set()

    async def _leave(self, frame: bytes) -> None:
        try:
            async with self._clock.timeout(self._patience):
                await self._send(frame)
        except TimeoutError:
            raise SlowReader from None

    async def _next(self) -> bytes | None:
        if self._overflow:
            raise SlowReader
        if self._answers:
            frame = self._answers.popleft()
            self._bytes -= len(frame)
            return frame
        if self._holds:
            self._subscriber.wake.clear()
            return None
        item = await self._subscriber.next_item()
        if item is None:
            return None
        return self._codec.encode(await render(item, self._context) if isinstance(item, Event) else item)
