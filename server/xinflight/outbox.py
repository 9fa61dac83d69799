"""What goes out on one connection: answers first, then the follower's events. One writer, and nobody waits for it."""

from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from xinflight.clock import Clock
from xinflight.follower import Follower
from xinflight.protocol import Codec, ServerMessage
from xinflight.render import Viewer, render
from xinflight.store import Event

__all__ = ["Outbox", "SlowReader"]

WAITING_ANSWERS = 256
"""Answers that wait for a reader: far more than a client that reads its answers ever has open."""


class SlowReader(Exception):
    """The peer asks on but does not read; it can come back and resume."""


class Outbox:
    """Send messages in order. `send` awaits the transport; `run` is the one task that calls it.

    `patience` is the seconds that one frame may take to leave.
    """

    def __init__(
        self,
        send: Callable[[bytes], Awaitable[None]],
        follower: Follower,
        viewer: Viewer,
        codec: Codec,
        clock: Clock,
        patience: float,
    ) -> None:
        self._send = send
        self._follower = follower
        self._viewer = viewer
        self._codec = codec
        self._clock = clock
        self._patience = patience
        # Bounded by WAITING_ANSWERS: one more, and the reader is too slow.
        self._answers: deque[ServerMessage] = deque()
        self._holds = 0
        self._overflow = False
        self._closing = False

    def put(self, message: ServerMessage) -> None:
        """Queue an answer or a notice; never waits."""
        if len(self._answers) >= WAITING_ANSWERS:
            self._overflow = True
        else:
            self._answers.append(message)
        self._follower.wake.set()

    @contextmanager
    def events_held(self) -> Iterator[None]:
        """Keep events back while an answer that must come before them is being made."""
        self._holds += 1
        try:
            yield
        finally:
            self._holds -= 1
            self._follower.wake.set()

    def close(self) -> None:
        """Let `run` return once everything that waits now is sent."""
        self._closing = True
        self._follower.wake.set()

    async def run(self) -> None:
        """Send until closed. Cancelling loses what waits.

        Raises:
            SlowReader: a frame did not leave in time, or too many answers wait.
        """
        while True:
            await self._follower.wake.wait()
            message = await self._next()
            if message is None:
                if self._closing:
                    return
                continue
            try:
                async with self._clock.timeout(self._patience):
                    await self._send(self._codec.encode(message))
            except TimeoutError:
                raise SlowReader from None

    async def _next(self) -> ServerMessage | None:
        if self._overflow:
            raise SlowReader
        if self._answers:
            return self._answers.popleft()
        if self._holds:
            self._follower.wake.clear()
            return None
        item = await self._follower.take()
        return await render(item, self._viewer) if isinstance(item, Event) else item
