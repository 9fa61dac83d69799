"""Events over plain HTTP: Server-Sent Events (WHATWG HTML section 9.2) and NDJSON, from the same journal.

A client that stops reading only blocks its own response: its events are read from the store once it reads again.
"""

import math
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from aiohttp import hdrs, web

from xinflight.errors import NotFound, TokenExpired, Unauthorised
from xinflight.gateway import Gateway
from xinflight.i18n import translate
from xinflight.journal import Subscriber
from xinflight.model import Event, Task
from xinflight.protocol import JSON, Follow, Notice, Recovered, ServerMessage, from_texts
from xinflight.render import render, upstream_notice
from xinflight.web.context import GRANT, HttpContext, choose_type, task_id_of
from xinflight.web.protocol import connection_lost_callback, takes_at_once

__all__ = ["EVENT_STREAM", "KEEPALIVE", "NDJSON", "PATIENCE", "Reader", "Streams", "stream", "stream_headers"]

log = structlog.stdlib.get_logger(__name__)

EVENT_STREAM = "text/event-stream"
NDJSON = "application/x-ndjson"
KEEPALIVE = 15.0
"""Seconds without data after which a comment (SSE) or an empty line (NDJSON) is sent, since proxies close idle
connections."""
PATIENCE = 300.0
"""Seconds that one write may block; then the connection is aborted. The client can resume."""
WAITING_NOTICES = 64
"""Notices buffered for one client. The oldest are dropped: delivery of notices is not guaranteed."""


class Streams:
    """The handlers of event streams."""

    def __init__(self, context: HttpContext) -> None:
        self._context = context
        self._gateway = context.gateway

    async def task_events(self, request: web.Request) -> web.StreamResponse:
        """Handle GET /tasks/{task_id}/events: stream the events of one task until its end."""
        owner = await self._context.owner(request)
        media_type = choose_type(request, (EVENT_STREAM, NDJSON))
        task = await self._gateway.find(owner, task_id_of(request))
        if task is None:
            raise NotFound(field="task_id")
        return await self._follow(request, media_type, owner, task)

    async def all_events(self, request: web.Request) -> web.StreamResponse:
        """Handle GET /events: stream the events of all tasks of the caller until the client disconnects."""
        owner = await self._context.owner(request)
        media_type = choose_type(request, (EVENT_STREAM, NDJSON))
        return await self._follow(request, media_type, owner, None)

    async def _follow(
        self, request: web.Request, media_type: str, owner: str, task: Task | None
    ) -> web.StreamResponse:
        """Replay what came after the request's cursor, then stream live. Without a cursor, replay a whole task."""
        with self._context.stream(request, owner):
            return await self._counted(request, media_type, owner, task)

    async def _counted(
        self, request: web.Request, media_type: str, owner: str, task: Task | None
    ) -> web.StreamResponse:
        gateway = self._gateway
        # A reconnecting EventSource repeats the `after` of its URL; the header has the newer position.
        cursor = request.headers.get("Last-Event-ID") or request.query.get("after")
        subscriber = await gateway.subscribe(owner)
        try:
            after, recovered = await self._position(owner, cursor, task)
            gap = None if recovered else Recovered(recovered=False, cursor=f"{gateway.journal.epoch}:{after}")
            if task is None:
                subscriber.subscribe_all(after=after if cursor is not None else None)
            elif not gateway.is_active(task) and await _is_over(gateway, task, after):
                # An EventSource reconnects after any other end of the response.
                return web.Response(status=204)
            else:
                subscriber.subscribe([task.uid], [task.uid] if gateway.is_active(task) else [], after=after)
            return await stream(self._context, request, media_type, subscriber, until_end=task is not None, first=gap)
        finally:
            gateway.unsubscribe(subscriber)

    async def _position(self, owner: str, cursor: str | None, task: Task | None) -> tuple[int, bool]:
        """Return the seq to replay after, and whether nothing is missing; raise OutOfBounds for a bad cursor."""
        if cursor is None:
            return 0, True
        from_texts({"after": cursor}, Follow)
        position = await self._gateway.resolve_cursor(owner, cursor, single=task is not None)
        if position.recovered:
            return position.after, True
        # The events of one task can be replayed from its start; for all tasks only what comes from now on is certain.
        return 0 if task is not None else self._gateway.journal.position(owner), False


async def _is_over(gateway: Gateway, task: Task, after: int) -> bool:
    """Return whether an ended task has no stored event above a seq."""
    upto = gateway.journal.position(task.owner)
    return not await gateway.journal.store.events_of_tasks([task.uid], after=after, upto=upto, limit=1)


def stream_headers(context: HttpContext, request: web.Request, media_type: str) -> dict[str, str]:
    """Return the headers of a streaming response."""
    return {
        hdrs.CONTENT_TYPE: f"{media_type}; charset=utf-8",
        hdrs.CACHE_CONTROL: "no-store",
        # nginx buffers responses without this.
        "X-Accel-Buffering": "no",
        **context.cors(request),
    }


class Reader:
    """The client of a streaming response, as one of the gateway's connections. Ignores notices."""

    def __init__(self, context: HttpContext, request: web.Request, subscriber: Subscriber) -> None:
        self.owner = subscriber.owner
        self.lang = context.lang(request)
        self.closing = False
        self.ended: TokenExpired | Unauthorised | None = None
        self.subscriber = subscriber
        self.context = context
        self._request = request

    def notify(self, notice: Notice) -> None:
        """Do nothing: the response is about one task, and notices belong to none."""

    def upstream_changed(self) -> None:
        """Do nothing: what it means for the task is reported by its events."""

    def access_expires(self, seconds: float) -> None:
        """Notify the client that its credentials expire soon; only another request can bring new ones."""
        message, now = translate("expiring", self.lang), self.context.gateway.clock.time()
        self.notify(Notice(kind="expiring", message=message, timestamp=now, seconds=math.floor(seconds)))

    def access_ended(self, error: TokenExpired | Unauthorised) -> None:
        """End the response after the message that is being written; the client resumes with other credentials."""
        self.ended = error
        self.subscriber.wake.set()

    def close(self) -> None:
        """End the response once everything that waits now is written."""
        self.closing = True
        self.subscriber.wake.set()

    @property
    def gone(self) -> bool:
        """Whether the client has closed its connection."""
        return self._request.transport is None or self._request.transport.is_closing()

    async def write(self, response: web.StreamResponse, data: bytes) -> None:
        """Write, or raise ConnectionError when the client reads nothing for PATIENCE seconds."""
        if takes_at_once(self._request, len(data)):
            await response.write(data)
            return
        try:
            async with self.context.gateway.clock.timeout(PATIENCE):
                await response.write(data)
        except TimeoutError:
            self.context.gateway.telemetry.slow_reader("stream")
            self.abort()
            raise ConnectionResetError("the client does not read") from None

    def abort(self) -> None:
        """Abort the connection, so that the client can tell this from the end of the response."""
        if self._request.transport is not None:
            self._request.transport.abort()

    @contextmanager
    def registered(self) -> Iterator[None]:
        """Be one of the gateway's connections inside the block. `wake` is also set when the client disconnects.

        The same goes for the end of the client's access, after which `ended` is the reason.
        """
        access = self.context.access(self._request, self._request[GRANT])
        self.context.gateway.connections.register(self)
        try:
            with connection_lost_callback(self._request, self.subscriber.wake.set), access.watched(self):
                yield
        finally:
            self.context.gateway.connections.unregister(self)


async def stream(
    context: HttpContext,
    request: web.Request,
    media_type: str,
    subscriber: Subscriber,
    *,
    until_end: bool,
    first: ServerMessage | None = None,
    headers: dict[str, str] | None = None,
) -> web.StreamResponse:
    """Send `first`, then a subscriber's events: until the client disconnects, or with `until_end` to a task's end."""
    cursor = context.gateway.journal.cursor(subscriber.owner)
    response = web.StreamResponse(
        headers={**stream_headers(context, request, media_type), "Xinflight-Cursor": cursor, **(headers or {})}
    )
    writer = _Writer(context, request, subscriber, media_type, response, until_end=until_end)
    with writer.registered():
        await response.prepare(request)
        try:
            if first is not None:
                await writer.send(first)
            await writer.run()
            await response.write_eof()
        except ConnectionError:
            log.debug("client disconnected", media_type=media_type)
        except Exception:
            # The status is already sent, so this can't become an error response; the client resumes with its cursor.
            log.exception("stream aborted", media_type=media_type)
            writer.abort()
    return response


class _Writer(Reader):
    """Writes a subscriber's events; a stream of all tasks also carries notices."""

    def __init__(
        self,
        context: HttpContext,
        request: web.Request,
        subscriber: Subscriber,
        media_type: str,
        response: web.StreamResponse,
        *,
        until_end: bool,
    ) -> None:
        super().__init__(context, request, subscriber)
        self._until_end = until_end
        self._sse = media_type == EVENT_STREAM
        self._named = "named" in request.query
        self._response = response
        self._render_context = context.render_context(request)
        self._clock = context.gateway.clock
        self._notices: deque[Notice] = deque(maxlen=WAITING_NOTICES)

    def notify(self, notice: Notice) -> None:
        """Queue a notice, unless the stream is about one task."""
        if not self._until_end:
            self._notices.append(notice)
            self.subscriber.wake.set()

    def upstream_changed(self) -> None:
        """Queue the notice that Xinference or its models changed."""
        upstream = self.context.gateway.upstream
        self.notify(upstream_notice(upstream.state, upstream.infos(), self.lang, self._clock.time()))

    async def run(self) -> None:
        """Write until closed, or to the task's end; raise ConnectionError when the client disconnected."""
        ended = False
        while not ended:
            try:
                async with self._clock.timeout(KEEPALIVE):
                    await self.subscriber.wake.wait()
            except TimeoutError:
                await self.write(self._response, b": keep-alive\n\n" if self._sse else b"\n")
                continue
            if self.ended is not None:
                return
            item = self._notices.popleft() if self._notices else await self.subscriber.next_item()
            if item is not None:
                await self.send(item)
            elif self.gone:
                raise ConnectionResetError("the client disconnected")
            elif self.closing:
                return
            ended = self._until_end and isinstance(item, Event) and item.ends

    async def send(self, item: Event | ServerMessage) -> None:
        """Write one message; SSE has an `id:` for those that a client can resume after."""
        cursor = None
        if isinstance(item, Event) and item.stored:
            cursor = f"{self.context.gateway.journal.epoch}:{item.seq}"
        elif isinstance(item, Recovered):
            cursor = item.cursor
        message = await render(item, self._render_context) if isinstance(item, Event) else item
        data = JSON.encode(message)
        if self._sse:
            number = b"" if cursor is None else b"id: %b\n" % cursor.encode()
            name = b"event: %b\n" % str(message.__struct_config__.tag).encode() if self._named else b""
            data = b"%b%bdata: %b\n" % (number, name, data)
        await self.write(self._response, data + b"\n")
        if isinstance(item, Event):
            self._render_context.written(item, message)
