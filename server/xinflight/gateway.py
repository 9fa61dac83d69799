"""The parts put together, without HTTP: what `setup` returns, and what a host's own code talks to."""

import asyncio
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Any, Self

import structlog

from xinflight.clock import Clock
from xinflight.config import Settings
from xinflight.images import Images
from xinflight.journal import Journal
from xinflight.manager import Manager
from xinflight.protocol import Generate, Notice
from xinflight.render import Viewer, render
from xinflight.session import Session
from xinflight.store import EventMessage, Store
from xinflight.words import say
from xinflight.xinference import Xinference

__all__ = ["Gateway"]

log = structlog.stdlib.get_logger(__name__)


class Gateway:
    """One gateway between people and one Xinference. Open it before use; `setup` does that for an application."""

    def __init__(self, settings: Settings, store: Store, images: Images, clock: Clock) -> None:
        self.settings = settings
        self.images = images
        self.clock = clock
        self.journal = Journal(store)
        self.upstream = Xinference(settings, clock, on_change=self._upstream_changed)
        self.manager = Manager(settings, self.upstream, self.journal, images, clock)
        self.draining = False
        # Bounded by settings.connections.
        self._sessions: set[Session] = set()
        self._empty = asyncio.Event()

    async def __aenter__(self) -> Self:
        """Open the store, and look for Xinference."""
        await self.journal.open()
        await self.upstream.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End what is unfinished, then close everything."""
        await self.drain()
        await self.upstream.close()
        await self.journal.close()

    async def drain(self) -> None:
        """Refuse new work, tell everybody, end every task, and let the connections go; safe to call twice.

        Takes at most some 10 s, whatever clients and Xinference do.
        """
        if self.draining:
            return
        self.draining = True
        for session in self._sessions:
            session.tell(self._notice("draining", say("draining", session.lang)))
        await self.manager.close()
        self._empty.clear()
        for session in self._sessions:
            session.outbox.close()
        if self._sessions:
            try:
                async with self.clock.timeout(5.0):
                    await self._empty.wait()
            except TimeoutError:
                log.warning("connections did not take their last messages", count=len(self._sessions))

    async def generate(self, *, owner: str, lang: str | None = None, **fields: Any) -> AsyncIterator[EventMessage]:
        """Start a generation and yield its events, the end last. `fields` are those of a `generate` message.

        Breaking off leaves the generation to go on, unless `on_disconnect="cancel"`.

        Raises:
            XinflightError: it is refused; `code`, `field` and `limit` say why.
        """
        viewer = Viewer(lang=lang or self.settings.lang, picture_url=lambda picture_id: picture_id)
        follower = self.journal.follow(owner)
        self.manager.followed(owner)
        try:
            task, fresh = await self.manager.submit(
                Generate(**fields), owner, lambda task: follower.watch([task.uid], after=None)
            )
            if not fresh:
                follower.watch([task.uid], after=0)
            ended = False
            while not ended:
                await follower.wake.wait()
                event = await follower.take()
                if event is not None:
                    ended = event.message.stored and event.message.ends
                    yield render(event, viewer)
        finally:
            follower.close()
            self.manager.unfollowed(owner)

    async def notify(self, owner: str, text: str) -> None:
        """Tell every connection of an owner something, in the host's own words."""
        for session in self._sessions:
            if session.owner == owner:
                session.tell(self._notice("host", text))

    def _notice(self, kind: Any, text: str) -> Notice:
        return Notice(kind=kind, message=text, timestamp=self.clock.time())

    @property
    def full(self) -> bool:
        """Tell whether one more connection is one too many."""
        return len(self._sessions) >= self.settings.connections

    def joined(self, session: Session) -> None:
        """Take a connection in."""
        self._sessions.add(session)
        self.manager.followed(session.owner)

    def left(self, session: Session) -> None:
        """Let a connection go."""
        self._sessions.discard(session)
        self.manager.unfollowed(session.owner)
        if not self._sessions:
            self._empty.set()

    def _upstream_changed(self) -> None:
        self.manager.upstream_changed()
        for session in self._sessions:
            session.upstream_changed()
