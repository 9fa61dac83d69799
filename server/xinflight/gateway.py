"""The parts put together, without HTTP: what `setup` returns, and what a host's own code talks to."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, Protocol, Self

import msgspec
import structlog

from xinflight.clock import Clock
from xinflight.errors import ShuttingDown, StorageUnavailable, StoreUnusable
from xinflight.i18n import translate
from xinflight.journal import Bus, Follower, Journal
from xinflight.protocol import JSON, Generate, Notice, Picture
from xinflight.refusals import RefusalLog
from xinflight.render import RenderContext, render
from xinflight.settings import Settings
from xinflight.storage import Blobs, Event, EventMessage, Store
from xinflight.supervise import Supervisor
from xinflight.tasks import Manager
from xinflight.upstream import Xinference

__all__ = ["Connection", "Gateway"]

log = structlog.stdlib.get_logger(__name__)


class Connection(Protocol):
    """Whoever is connected: a WebSocket, or an answer over HTTP that goes on."""

    owner: str
    lang: str

    def tell(self, notice: Notice) -> None:
        """Say something that nobody asked for; never waits."""

    def upstream_changed(self) -> None:
        """Say that Xinference or its models changed; never waits."""

    def close(self) -> None:
        """End once everything that waits now is sent; never waits."""


class _Reader:
    """Host's own code that reads a generation's events: told nothing else, but ended when the gateway closes."""

    def __init__(self, follower: Follower, lang: str) -> None:
        self.owner = follower.owner
        self.lang = lang
        self.closing = False
        self._follower = follower

    def tell(self, notice: Notice) -> None:
        """Do nothing: notices are for people."""

    def upstream_changed(self) -> None:
        """Do nothing: what it means for the generation is told by its events."""

    def close(self) -> None:
        """End once everything that waits now is read."""
        self.closing = True
        self._follower.wake.set()


class Gateway:
    """One gateway between people and one Xinference. Open it before use; `setup` does that for an application."""

    def __init__(self, settings: Settings, store: Store, bus: Bus, images: Blobs, clock: Clock) -> None:
        self.settings = settings
        self.images = images
        self.clock = clock
        self.supervisor = Supervisor(clock)
        self.journal = Journal(store, bus, clock, self.supervisor)
        self.upstream = Xinference(settings, clock, self.supervisor, on_change=self._upstream_changed)
        self.manager = Manager(
            settings, self.upstream, self.journal, images, clock, self.supervisor, runner_id=secrets.token_hex(8)
        )
        self.refusals = RefusalLog(clock)
        self.draining = False
        self.closing = False
        # Bounded by settings.connections.
        self._connections: set[Connection] = set()
        self._empty = asyncio.Event()
        self._opened = AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Open the store, look for Xinference, and take up what an earlier process left.

        Raises:
            StoreUnusable: the data folder can't be used; the text says what to do.
        """
        async with AsyncExitStack() as stack:
            # Each part is closed also when its own opening fails half way, or is cancelled: a folder's lock, threads
            # and a session would stay behind in the host's process.
            stack.push_async_callback(self.supervisor.close)
            stack.push_async_callback(self.journal.close)
            await self.journal.open()
            stack.push_async_callback(self.upstream.close)
            await self.upstream.start()
            stack.push_async_callback(self.drain)
            try:
                await self.manager.start()
            except (StorageUnavailable, OSError, msgspec.DecodeError) as error:
                raise StoreUnusable(
                    f"What the data folder {self.settings.data_dir} keeps can't be read ({error}). "
                    "Look at its permissions and its disk, or choose another with --data-dir."
                ) from None
            self._opened = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End what is unfinished, then close everything."""
        await self._opened.aclose()

    async def drain(self) -> None:
        """Refuse new work, tell everybody, let what runs go on for a while, then let the connections go.

        Unfinished tasks go on after the next start, or fail with `shutting_down` where nothing is kept. Safe to call
        twice. Takes at most the setting `drain` and some 10 s, whatever clients and Xinference do.
        """
        if self.draining:
            return
        self.draining = True
        for connection in self._connections:
            connection.tell(self._notice("draining", translate("draining", connection.lang)))
        await self.manager.drain(self.settings.drain)
        if self.journal.store.durable:
            await self._close_connections()
            await self.manager.stop()
        else:
            await self.manager.stop()
            await self._close_connections()

    async def _close_connections(self) -> None:
        """Let every connection take what it was told, then close it."""
        self.closing = True
        self._empty.clear()
        for connection in self._connections:
            connection.close()
        if self._connections:
            try:
                async with self.clock.timeout(5.0):
                    await self._empty.wait()
            except TimeoutError:
                log.warning("connections did not take their last messages", count=len(self._connections))

    async def generate(self, *, owner: str, lang: str | None = None, **fields: Any) -> AsyncIterator[EventMessage]:
        """Start a generation and yield its events, the end last. `fields` are those of a `generate` message.

        Breaking off leaves the generation to go on, unless `on_disconnect="cancel"`.

        Raises:
            ShuttingDown: the gateway closes before the end; with a data folder the generation goes on after the next
                start, and the same call with the same `task_id` finds it.
            XinflightError: it is refused; `code`, `field` and `limit` say why.
        """
        # A struct made by code has seen no bounds yet; the wire's hold here, too.
        message = JSON.decode_generate(JSON.encode(Generate(**fields)))
        viewer = self.viewer(lang or self.settings.lang, lambda picture_id: picture_id)
        follower = await self.follow(owner)
        reader = _Reader(follower, viewer.lang)
        self.joined(reader)
        try:
            task, fresh = await self.manager.submit(
                message, owner, lambda task: follower.watch([task.uid], [task.uid], after=None)
            )
            if not fresh:
                running = [task.uid] if self.manager.unfinished(owner, task.task_id) else []
                follower.watch([task.uid], running, after=0)
            ended = False
            while not ended:
                await follower.wake.wait()
                item = await follower.take()
                if isinstance(item, Event):
                    ended = item.message.stored and item.message.ends
                    yield await render(item, viewer)
                elif reader.closing:
                    raise ShuttingDown
        finally:
            self.left(reader)
            self.unfollow(follower)

    async def read(self, picture: Picture) -> bytes | None:
        """Return the bytes of a picture that `generate` yielded, wherever it is stored; None once it was deleted."""
        return await self.images.read(picture.url)

    async def follow(self, owner: str) -> Follower:
        """Return a follower that watches nothing yet; `unfollow` it when done. May raise StorageUnavailable."""
        await self.journal.load(owner)
        self.manager.followed(owner)
        return self.journal.follow(owner)

    def unfollow(self, follower: Follower) -> None:
        """Let a follower go."""
        follower.close()
        self.manager.unfollowed(follower.owner)

    def viewer(self, lang: str, picture_url: Callable[[str], str]) -> RenderContext:
        """Return whom messages are written for."""
        return RenderContext(
            lang=lang,
            picture_url=picture_url,
            picture_bytes=self.images.read,
            inline_bytes=self.settings.inline_bytes,
        )

    async def notify(self, owner: str | None, text: str) -> None:
        """Tell every connection of an owner, or with None everybody, something in the host's own words."""
        for connection in self._connections:
            if owner in (None, connection.owner):
                connection.tell(self._notice("host", text))

    def deleted(self, owner: str, task_id: str) -> None:
        """Tell every connection of an owner that a task is gone."""
        for connection in self._connections:
            if connection.owner == owner:
                connection.tell(self._notice("deleted", translate("deleted", connection.lang), task_id))

    def _notice(self, kind: Any, text: str, task_id: str | None = None) -> Notice:
        return Notice(kind=kind, message=text, timestamp=self.clock.time(), task_id=task_id)

    @property
    def full(self) -> bool:
        """Tell whether one more connection is one too many."""
        return len(self._connections) >= self.settings.connections

    def joined(self, connection: Connection) -> None:
        """Take a connection in; while the gateway closes it is closed at once."""
        self._connections.add(connection)
        if self.closing:
            connection.close()

    def left(self, connection: Connection) -> None:
        """Let a connection go."""
        self._connections.discard(connection)
        if not self._connections:
            self._empty.set()

    def _upstream_changed(self) -> None:
        self.manager.upstream_changed()
        for connection in self._connections:
            connection.upstream_changed()
