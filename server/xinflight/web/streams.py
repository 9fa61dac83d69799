"""Events over plain HTTP: Server-Sent Events (WHATWG HTML section 9.2) and NDJSON, from the same journal.

A reader that stops reading stops its writer: what waits for it is read from the store when it goes on.
"""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from aiohttp import hdrs, web

from xinflight.errors import NotFound
from xinflight.gateway import Gateway
from xinflight.journal import Subscriber
from xinflight.model import Event, Task
from xinflight.protocol import JSON, Follow, Notice, Recovered, ServerMessage, from_texts
from xinflight.render import render, upstream_notice
from xinflight.web.context import HttpContext, choose_type, task_id_of
from xinflight.web.errors import Handler
from xinflight.web.protocol import connection_lost_callback

__all__ = [
    "EVENT_STREAM",
    "KEEPALIVE",
    "NDJSON",
    "Reader",
    "events_handler",
    "stream",
    "stream_headers",
    "task_events_handler",
]

log = structlog.stdlib.get_logger(__name__)

EVENT_STREAM = "text/event-stream"
NDJSON = "application/x-ndjson"
KEEPALIVE = 15.0
"""Seconds of silence after which a comment (SSE) or an empty line (NDJSON) is sent, for proxies that close."""
PATIENCE = 300.0
"""Seconds that a reader may take nothing; then it is let go, and can resume."""
WAITING_NOTICES = 64
"""Notices that wait for a reader, the newest: nothing is promised of them to who does not read."""


def task_events_handler(door: HttpContext) -> Handler:
    """Return the handler of the events of one task; it ends with the task."""

    async def handle(request: web.Request) -> web.StreamResponse:
        owner = await door.owner(request)
        kind = choose_type(request, (EVENT_STREAM, NDJSON))
        task = await door.gateway.find(owner, task_id_of(request))
        if task is None:
            raise NotFound(field="task_id")
        return await _follow(door, request, kind, owner, task)

    return handle


def events_handler(door: HttpContext) -> Handler:
    """Return the handler of the events of all of one's tasks; it goes on until the client leaves."""

    async def handle(request: web.Request) -> web.StreamResponse:
        owner = await door.owner(request)
        return await _follow(door, request, choose_type(request, (EVENT_STREAM, NDJSON)), owner, None)

    return handle


async def _follow(
    door: HttpContext, request: web.Request, kind: str, owner: str, task: Task | None
) -> web.StreamResponse:
    """Replay what came after the request's cursor, then stay live. Without a cursor a task is told from its start."""
    door.check_room()
    gateway = door.gateway
    # An EventSource that comes back repeats the `after` of its URL; what it has seen since is in the header.
    cursor = request.headers.get("Last-Event-ID") or request.query.get("after")
    subscriber = await gateway.subscribe(owner)
    try:
        after, recovered = await _position(gateway, owner, cursor, task)
        gap = None if recovered else Recovered(recovered=False, cursor=f"{gateway.journal.epoch}:{after}")
        if task is None:
            subscriber.subscribe_all(after=after if cursor is not None else None)
        elif not gateway.is_active(task) and await _is_over(gateway, task, after):
            # An EventSource stops coming back at 204, and only then.
            return web.Response(status=204)
        else:
            subscriber.subscribe([task.uid], [task.uid] if gateway.is_active(task) else [], after=after)
        return await stream(door, request, kind, subscriber, until_end=task is not None, first=gap)
    finally:
        gateway.unsubscribe(subscriber)


async def _position(gateway: Gateway, owner: str, cursor: str | None, task: Task | None) -> tuple[int, bool]:
    """Return the seq to replay from, and whether nothing is missing; raise OutOfBounds for what is no cursor."""
    if cursor is None:
        return 0, True
    from_texts({"after": cursor}, Follow)
    position = await gateway.resolve_cursor(owner, cursor, single=task is not None)
    if position.recovered:
        return position.after, True
    # All that is stored of one task can be told again; what a foreign cursor stands for can't be known.
    return 0 if task is not None else gateway.journal.position(owner), False


async def _is_over(gateway: Gateway, task: Task, after: int) -> bool:
    """Tell whether nothing of an ended task came after a seq."""
    upto = gateway.journal.position(task.owner)
    return not await gateway.journal.store.events_of_tasks([task.uid], after=after, upto=upto, limit=1)


def stream_headers(door: HttpContext, request: web.Request, kind: str) -> dict[str, str]:
    """Return the headers of an answer that goes on."""
    return {
        hdrs.CONTENT_TYPE: f"{kind}; charset=utf-8",
        hdrs.CACHE_CONTROL: "no-store",
        # nginx would collect it without this.
        "X-Accel-Buffering": "no",
        **door.cors(request),
    }


class Reader:
    """Whoever reads an answer that goes on, as the gateway sees it: told nothing, but closed in time."""

    def __init__(self, door: HttpContext, request: web.Request, subscriber: Subscriber) -> None:
        self.owner = subscriber.owner
        self.lang = door.lang(request)
        self.closing = False
        self.subscriber = subscriber
        self.door = door
        self._request = request

    def tell(self, notice: Notice) -> None:
        """Say nothing: notices belong to no task."""

    def upstream_changed(self) -> None:
        """Say nothing."""

    def close(self) -> None:
        """Let the answer end once all that waits now is written."""
        self.closing = True
        self.subscriber.wake.set()

    @property
    def gone(self) -> bool:
        """Tell whether the client has closed its connection."""
        return self._request.transport is None or self._request.transport.is_closing()

    async def write(self, response: web.StreamResponse, data: bytes) -> None:
        """Write, or raise ConnectionError when the reader takes nothing for PATIENCE seconds."""
        try:
            async with self.door.gateway.clock.timeout(PATIENCE):
                await response.write(data)
        except TimeoutError:
            self.abort()
            raise ConnectionResetError("the reader takes nothing") from None

    def abort(self) -> None:
        """Break the connection off, so that the client knows that this was not all."""
        if self._request.transport is not None:
            self._request.transport.abort()

    @contextmanager
    def joined(self) -> Iterator[None]:
        """Be one of the gateway's connections inside the block. `wake` is set, too, when the client leaves."""
        self.door.gateway.joined(self)
        try:
            with connection_lost_callback(self._request, self.subscriber.wake.set):
                yield
        finally:
            self.door.gateway.left(self)


async def stream(
    door: HttpContext,
    request: web.Request,
    kind: str,
    subscriber: Subscriber,
    *,
    until_end: bool,
    first: ServerMessage | None = None,
    headers: dict[str, str] | None = None,
) -> web.StreamResponse:
    """Write `first`, then what a subscriber has: until its client leaves, or with `until_end` to a task's end."""
    cursor = door.gateway.journal.cursor(subscriber.owner)
    response = web.StreamResponse(
        headers={**stream_headers(door, request, kind), "Xinflight-Cursor": cursor, **(headers or {})}
    )
    writer = _Writer(door, request, subscriber, kind, response, until_end=until_end)
    with writer.joined():
        await response.prepare(request)
        try:
            if first is not None:
                await writer.send(first)
            await writer.run()
            await response.write_eof()
        except ConnectionError:
            log.debug("reader left", kind=kind)
        except Exception:
            # The answer has begun, so it can't turn into an error; the client comes back with its cursor.
            log.exception("stream broken off", kind=kind)
            writer.abort()
    return response


class _Writer(Reader):
    """Writes what a subscriber has; where it is not of one task, also what its owner is told."""

    def __init__(
        self,
        door: HttpContext,
        request: web.Request,
        subscriber: Subscriber,
        kind: str,
        response: web.StreamResponse,
        *,
        until_end: bool,
    ) -> None:
        super().__init__(door, request, subscriber)
        self._until_end = until_end
        self._events = kind == EVENT_STREAM
        self._named = "named" in request.query
        self._response = response
        self._context = door.render_context(request)
        self._clock = door.gateway.clock
        self._told: deque[Notice] = deque(maxlen=WAITING_NOTICES)

    def tell(self, notice: Notice) -> None:
        """Say something that nobody asked for."""
        if not self._until_end:
            self._told.append(notice)
            self.subscriber.wake.set()

    def upstream_changed(self) -> None:
        """Tell that Xinference or its models changed."""
        upstream = self.door.gateway.upstream
        self.tell(upstream_notice(upstream.state, upstream.infos(), self.lang, self._clock.time()))

    async def run(self) -> None:
        """Write until closed, or to the task's end; raise ConnectionError when the reader left."""
        ended = False
        while not ended:
            try:
                async with self._clock.timeout(KEEPALIVE):
                    await self.subscriber.wake.wait()
            except TimeoutError:
                await self.write(self._response, b": keep-alive\n\n" if self._events else b"\n")
                continue
            item = self._told.popleft() if self._told else await self.subscriber.next_item()
            if item is not None:
                await self.send(item)
            elif self.gone:
                raise ConnectionResetError("the client left")
            elif self.closing:
                return
            ended = self._until_end and isinstance(item, Event) and item.ends

    async def send(self, item: Event | ServerMessage) -> None:
        """Write one message, with the cursor of those that a reader can resume after."""
        cursor = None
        if isinstance(item, Event) and item.stored:
            cursor = f"{self.door.gateway.journal.epoch}:{item.seq}"
        elif isinstance(item, Recovered):
            cursor = item.cursor
        message = await render(item, self._context) if isinstance(item, Event) else item
        data = JSON.encode(message)
        if self._events:
            number = b"" if cursor is None else b"id: %b\n" % cursor.encode()
            name = b"event: %b\n" % str(message.__struct_config__.tag).encode() if self._named else b""
            data = b"%b%bdata: %b\n" % (number, name, data)
        await self.write(self._response, data + b"\n")
