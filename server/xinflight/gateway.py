"""The gateway without HTTP: what transports use, what `setup` returns, and what a host's own code calls."""

import asyncio
import contextvars
from collections.abc import AsyncIterable, AsyncIterator, Callable
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec
import structlog

from xinflight.account import Account
from xinflight.auth import Identity, UrlSigner, audit
from xinflight.clock import Clock
from xinflight.connection_registry import ConnectionRegistry
from xinflight.errors import StorageUnavailable, StoreUnusable
from xinflight.host_reader import HostReader, encode_request
from xinflight.journal import Bus, Journal, Position, Subscriber
from xinflight.model import EventMessage, Task, Upload, without_outputs
from xinflight.protocol import (
    JSON,
    CancelledTask,
    Chat,
    ChatContent,
    Generate,
    ListTasks,
    OutputEvent,
    Queue,
    TaskRequest,
    parse_cursor,
)
from xinflight.refusals import RefusalLog
from xinflight.render import RenderContext
from xinflight.request_limits import RequestLimits, address_key
from xinflight.settings import Settings
from xinflight.storage import Blobs, FoundTask, Retention, Sharing, Store
from xinflight.supervise import Supervisor
from xinflight.tasks import Deliveries, Front, Marking, PoolLoad, Pools, QueueCommands, accepted, accepting
from xinflight.telemetry import UNCOUNTED, Telemetry
from xinflight.thumbnails import Thumbnails
from xinflight.uploads import Uploads
from xinflight.upstream import Xinference

__all__ = ["Gateway"]
log = structlog.stdlib.get_logger(__name__)


class Gateway:
    """A gateway to one Xinference. An async context manager; `setup` opens and closes it with an application."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        bus: Bus,
        blobs: Blobs,
        clock: Clock,
        telemetry: Telemetry = UNCOUNTED,
    ) -> None:
        self.settings = settings
        self.blobs = blobs
        self.clock = clock
        self.telemetry = telemetry
        self.supervisor = Supervisor(clock, telemetry)
        self.connections = ConnectionRegistry(clock)
        self.journal = Journal(store, bus, clock, self.supervisor, telemetry)
        self.upstream = Xinference(settings, clock, self.supervisor, self._upstream_changed, telemetry)
        self._retention = Retention(store, blobs, settings, clock, self.supervisor)
        self.uploads = Uploads(store, blobs, settings, clock, self.supervisor)
        self._pools = Pools(
            settings, self.upstream, self.journal, blobs, self.uploads, clock, self.supervisor, telemetry
        )
        tell = self.connections.notify
        self.deliveries = Deliveries(
            store, self._retention, self.uploads, clock, self.supervisor, partial(tell, kind="deleted")
        )
        self._front = Front(settings, self.upstream, self.journal, self._pools, self._retention, self.uploads, clock)
        self.queue = QueueCommands(self._front, self._pools, clock)
        self.marking = Marking(
            self._front, self.journal, self._retention, clock, self.supervisor, partial(tell, kind="deleted")
        )
        self.account = Account(
            self._front, self.journal, self._retention, blobs, self.uploads, self.marking, clock, tell
        )
        self.signer = UrlSigner(None if settings.data_dir is None else Path(settings.data_dir), clock)
        self.sharing = Sharing(store, clock)
        self.thumbnails = Thumbnails(blobs, settings)
        self.refusals = RefusalLog(clock, telemetry)
        self.limits = RequestLimits(settings, clock)
        self.draining = False
        self._draining: asyncio.Task[None] | None = None
        # Whether there is a log-in: the default limits per owner and address depend on it.
        self.owners_differ = False
        self.on_drain: Callable[[], None] = lambda: None
        # Whether the demo engine draws the images, as the page then says.
        self.demo = False
        self._opened = AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Open the store, query Xinference, and recover the unfinished tasks of an earlier process.

        Raises:
            StoreUnusable: the data folder can't be used; the text says what to do.
        """
        async with AsyncExitStack() as stack:
            # Registered before each part opens: when opening fails half-way or is cancelled, a lock, threads and an
            # HTTP session would otherwise stay behind in the host's process.
            stack.callback(self.blobs.close)
            stack.push_async_callback(self.supervisor.close)
            stack.push_async_callback(self.journal.close)
            await self.journal.open()
            await self.signer.open()
            stack.push_async_callback(self.uploads.close)
            stack.push_async_callback(self.upstream.close)
            await self.upstream.start()
            stack.push_async_callback(self.drain)
            try:
                await self.blobs.open()
                await self._retention.sweep()
                await self.uploads.open()
                await self._front.open()
                await self.deliveries.open()
                await self.marking.open()
            except (StorageUnavailable, OSError, msgspec.DecodeError) as error:
                raise StoreUnusable(
                    f"What the data folder {self.settings.data_dir} keeps can't be read ({error}). "
                    "Look at its permissions and its disk, or choose another with --data-dir."
                ) from None
            self._retention.start()
            self._opened = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End what is unfinished, then close everything."""
        await self._opened.aclose()

    async def drain(self) -> None:
        """Refuse new work, notify all clients, wait up to `drain` seconds for running outputs, close all connections.

        Unfinished tasks resume after the next start, or fail with `shutting_down` without a data folder. Idempotent:
        a second call waits for the same end. Takes at most `drain` plus some 10 s, whatever others do.
        """
        self.start_drain()
        draining = self._draining
        assert draining is not None  # started
        try:
            await asyncio.shield(draining)
        except asyncio.CancelledError:
            # Whoever stops waiting closes the rest: the drain must not go on meanwhile.
            draining.cancel()
            await asyncio.wait([draining])
            raise

    def start_drain(self) -> None:
        """Start what `drain` does, unless it has started; `drain` waits for its end.

        Calls `on_drain`, by which a standalone server stops.
        """
        if self._draining is None:
            self.draining = True
            self._draining = asyncio.create_task(self._drain(), name="drain", context=contextvars.Context())
            self.on_drain()

    async def _drain(self) -> None:
        self.connections.notify(None, kind="draining")
        await self.account.close()
        await self._front.drain(self.settings.drain)
        if self.journal.store.durable:
            await self.connections.close()
            await self._front.close()
        else:
            await self._front.close()
            await self.connections.close()
        await self.deliveries.close()
        await self.marking.close()
        await self._retention.close()

    @property
    def storing(self) -> bool:
        """Whether events and files can be stored now."""
        return self.journal.storing and not self._pools.unsaved.bytes

    def load(self) -> list[PoolLoad]:
        """Return how busy each pool is. Costs as much as there are models, however many tasks wait."""
        return [runner.load() for runner in self._pools.runners()]

    def reload(self, settings: Settings) -> list[str]:
        """Apply new settings as far as they can change while the gateway runs: limits, and the time of a drain.

        `settings` are all settings, as for `setup`; what needs a restart is left as it is, logged, and returned by
        name. Accepted tasks keep what they were accepted with. Connected clients learn new limits when they connect
        again.
        """
        changed, fixed = self.settings.take_over(settings.limited(by_owner=self.owners_differ))
        self.limits.reload()
        self.upstream.polls.set_rate(self.settings.polls_per_second)
        log.info("settings reloaded", changed=changed)
        if fixed:
            log.warning("settings that change with the next start only", settings=fixed)
        return fixed

    # Tasks

    async def submit(
        self, request: TaskRequest, identity: Identity, subscriber: Subscriber, address: str | None
    ) -> tuple[Task, bool]:
        """Accept a request of the subscriber's owner from an address, or find the task that its id stands for.

        Returns the stored task and whether it is new. All its events reach the subscriber. Cancelling undoes nothing.

        Raises:
            PromptMissing, OutOfBounds, WrongShape, LoraTag, ModelNotFound, ModelUnsuitable: the request is invalid.
            ImageNotFound, BadImage, TooManyUploads: an image of the request can't be used.
            UpstreamAuth: Xinference rejects the server's API key.
            TaskIdConflict: the id is already used by a request with different content.
            TooManyTasks, QuotaExceeded, AccountBusy, ShuttingDown, StorageUnavailable: it may be accepted later.
        """
        with accepting(request) as span:
            task, fresh = await self._front.accept(request, identity, subscriber, address_key(address))
            accepted(span, task, fresh=fresh)
        if fresh:
            self.deliveries.add(task)
        return task, fresh

    async def find(self, owner: str, task_id: str) -> Task | None:
        """Return a task of an owner, finished or not, or None; may raise StorageUnavailable.

        Outputs that were deleted are marked as such, though they may be restored.
        """
        task = await self._front.find(owner, task_id)
        return None if task is None else without_outputs(task, self.marking.hidden(task.uid))

    async def content(self, task: Task) -> ChatContent | None:
        """Return the messages and tools of a chat, None for other tasks; may raise StorageUnavailable."""
        stored = await self.journal.store.content(task.uid)
        return None if stored is None else msgspec.msgpack.decode(stored, type=ChatContent)

    def is_active(self, task: Task) -> bool:
        """Return whether events of a task may still come."""
        return self._front.is_active(task)

    async def cancel(self, owner: str, task_id: str, index: int | None = None) -> CancelledTask:
        """Cancel a task or one of its outputs; return its state before, `unknown` for an unknown id. Idempotent."""
        return await self._front.cancel(owner, task_id, index)

    async def cancel_all(self, owner: str, keep: set[str], group: str | None = None) -> list[CancelledTask]:
        """Cancel an owner's unfinished tasks, or a group's, but those in `keep`; return their states before."""
        return await self._front.cancel_all(owner, keep, group)

    async def delete(self, owner: str, task_id: str) -> Task | None:
        """Delete an ended task and its files, notify the owner's connections, and return it; None for an unknown id.

        Raises:
            TaskUnfinished: it has not ended; cancel it first.
            StorageUnavailable: the store can't be read or written now.
        """
        task = await self._front.delete(owner, task_id)
        if task is not None:
            self.connections.notify(owner, task_id, kind="deleted")
        return task

    async def page(self, owner: str, wanted: ListTasks) -> tuple[list[FoundTask], str | None]:
        """Return a page of an owner's tasks, newest first, and the cursor of the next page or None."""
        rows, following = await self._front.page(owner, wanted)
        return [row for row in rows if self.marking.visible(row.task) is not None], following

    # Events

    async def subscribe(self, owner: str) -> Subscriber:
        """Return a subscriber without any subscription; `unsubscribe` it when done. May raise StorageUnavailable."""
        return await self._front.subscribe(owner)

    def unsubscribe(self, subscriber: Subscriber) -> None:
        """End all subscriptions of a subscriber."""
        self._front.unsubscribe(subscriber)

    async def resolve_cursor(self, owner: str, cursor: str, *, single: bool) -> Position:
        """Return where a cursor points. The owner must have a subscriber.

        With `single` the cursor is for one task, all of whose events are stored as long as it exists. Otherwise it
        must not be older than the newest deleted event.
        """
        epoch, after = parse_cursor(cursor)
        recovered = epoch == self.journal.epoch and after <= self.journal.position(owner)
        if recovered and not single:
            try:
                recovered = after >= await self.journal.store.trimmed_to(owner)
            except StorageUnavailable:
                self.telemetry.resumed("unavailable")
                raise
        self.telemetry.resumed("recovered" if recovered else "gap")
        return Position(after, recovered)

    async def cursor(self, owner: str) -> str:
        """Return the newest position of an owner as a cursor; may raise StorageUnavailable."""
        return f"{self.journal.epoch}:{await self.journal.store.last_seq(owner)}"

    def generate(self, *, owner: str, lang: str | None = None, **fields: Any) -> AsyncIterator[EventMessage | Queue]:
        """Start a generation and yield its events up to its end. `fields` are those of a `generate` message.

        Leaving the loop early doesn't cancel the generation, unless `on_disconnect="cancel"`.

        Raises:
            ShuttingDown: the gateway closes before the end; with a data folder the generation resumes after the next
                start, and the same call with the same `task_id` finds it.
            ValueError: the id of the owner is too long, or not printable.
            XinflightError: the request is refused; see `code`, `field` and `limit`.
        """
        # msgspec checks bounds only when it decodes, and `fields` must have the same bounds as a message.
        request = JSON.decode_generate(encode_request(Generate(**fields)))
        return self._events(request, owner, lang)

    def chat(self, *, owner: str, lang: str | None = None, **fields: Any) -> AsyncIterator[EventMessage | Queue]:
        """Start a chat completion and yield its events up to its end. `fields` are those of a `chat` message.

        `messages` may be dicts. New text arrives in `Delta` events, and all of it in the `OutputEvent`. Otherwise as
        `generate`.
        """
        request = JSON.decode_chat(encode_request(Chat(**fields)))
        return self._events(request, owner, lang)

    async def _events(
        self, request: TaskRequest, owner: str, lang: str | None
    ) -> AsyncIterator[EventMessage | Queue]:
        """Start a task and yield its events up to its end."""
        render_context = self.render_context(lang or self.settings.lang, lambda output_id: output_id)
        identity = Identity(id=owner)
        subscriber = await self.subscribe(identity.id)
        reader = HostReader(subscriber, render_context)
        self.connections.register(reader)
        try:
            await self.submit(request, identity, subscriber, None)
            while not reader.ended:
                yield await reader.next_message()
        finally:
            self.connections.unregister(reader)
            self.unsubscribe(subscriber)

    async def upload(self, data: bytes | AsyncIterable[bytes], *, owner: str) -> Upload:
        """Store an image, whole or in parts, for tasks of an owner to start from; its `upload_id` is for `image`.

        Raises:
            ValueError: the id of the owner is too long, or not printable.
            XinflightError: as `Uploads.add`.
        """
        upload, _ = await self.uploads.add(Identity(id=owner).id, _parts(data) if isinstance(data, bytes) else data)
        return upload

    async def read(self, output: OutputEvent) -> bytes | None:
        """Return the bytes of an output that `generate` yielded; None once it was deleted."""
        data = await self.blobs.read(output.url)
        if data is not None:
            self.deliveries.fetched(output.url)
        return data

    async def may_read(self, identity: Identity, output_id: str) -> bool:
        """Return whether an output is the caller's, or anybody's for an admin; may raise StorageUnavailable."""
        owner = await self.journal.store.output_owner(output_id)
        if owner != identity.id:
            if owner is None or not identity.admin:
                return False
            audit(identity, "read output", owner=owner, output=output_id)
        return True

    def render_context(
        self, lang: str, output_url: Callable[[str], str], thumbnail_url: Callable[[str], str] | None = None
    ) -> RenderContext:
        """Return what messages to one client are rendered with."""
        return RenderContext(
            lang=lang,
            output_url=output_url,
            thumbnail_url=thumbnail_url,
            output_bytes=self.blobs.read,
            inline_bytes=self.settings.inline_bytes,
            hidden=self.marking.hidden,
            written=self.deliveries.written,
        )

    # Connections

    async def notify(self, owner: str | None, text: str) -> None:
        """Send a text of the host to all connections of an owner, or with None to all connections."""
        self.connections.notify(owner, kind="host", text=text)

    def _upstream_changed(self) -> None:
        self._pools.upstream_changed()
        for connection in self.connections.all():
            connection.upstream_changed()


async def _parts(data: bytes) -> AsyncIterator[bytes]:
    yield data
