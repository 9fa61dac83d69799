"""The open connections of all clients, and the notices that are sent to them."""

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from typing import Literal, Protocol

import structlog

from xinflight.clock import Clock
from xinflight.i18n import translate
from xinflight.protocol import Notice
from xinflight.storage import StoredPreferences

__all__ = ["Connection", "ConnectionRegistry"]

log = structlog.stdlib.get_logger(__name__)

NoticeKind = Literal["host", "draining", "deleted", "erased", "preferences", "presets"]
CLOSE_SECONDS = 5.0
"""Seconds within which clients must read their last messages."""


class Connection(Protocol):
    """A connected client: a WebSocket, a streaming response over HTTP, or a loop of the host's own code."""

    owner: str
    lang: str

    def notify(self, notice: Notice) -> None:
        """Queue a notice; never waits."""

    def upstream_changed(self) -> None:
        """Note that Xinference or its models changed; never waits."""

    def close(self) -> None:
        """Close the connection once everything that is queued now is sent; never waits."""


class ConnectionRegistry:
    """Register connections by owner, notify them, and close them all."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._closing = False
        # By owner, so that a notice to one owner doesn't visit all connections. Bounded by settings.connections.
        self._by_owner: defaultdict[str, set[Connection]] = defaultdict(set)
        self.count = 0
        self._empty = asyncio.Event()

    def register(self, connection: Connection) -> None:
        """Register a connection, or close it right away if all are being closed."""
        self._by_owner[connection.owner].add(connection)
        self.count += 1
        if self._closing:
            connection.close()

    def unregister(self, connection: Connection) -> None:
        """Remove a connection; does nothing if it is not registered."""
        connections = self._by_owner[connection.owner]
        if connection in connections:
            connections.remove(connection)
            self.count -= 1
        if not connections:
            del self._by_owner[connection.owner]
        if not self.count:
            self._empty.set()

    def all(self) -> Iterator[Connection]:
        """Yield all connections that are open now."""
        return (connection for connections in tuple(self._by_owner.values()) for connection in tuple(connections))

    def of_owner(self, owner: str) -> tuple[Connection, ...]:
        """Return the connections of an owner."""
        return tuple(self._by_owner.get(owner, ()))

    def notify(
        self,
        owner: str | None,
        task_id: str | None = None,
        *,
        kind: NoticeKind,
        text: str | None = None,
        preferences: StoredPreferences | None = None,
        version: int | None = None,
    ) -> None:
        """Notify the connections of an owner, or with None all; without `text` in the language of each."""
        for connection in self.all() if owner is None else self.of_owner(owner):
            message = translate(kind, connection.lang) if text is None else text
            notice = Notice(
                kind=kind, message=message, timestamp=self._clock.time(), task_id=task_id, version=version
            )
            if preferences is not None:
                notice.version, notice.preferences = preferences.version, preferences.preferences
            connection.notify(notice)

    async def close(self) -> None:
        """Close every connection once what it has queued is sent, waiting up to CLOSE_SECONDS."""
        self._closing = True
        self._empty.clear()
        for connection in self.all():
            connection.close()
        if self.count:
            try:
                async with self._clock.timeout(CLOSE_SECONDS):
                    await self._empty.wait()
            except TimeoutError:
                log.warning("connections did not read their last messages", count=self.count)
