"""Events over plain HTTP: Server-Sent Events (WHATWG HTML section 9.2) and NDJSON, from the same journal.

A reader that stops reading stops its writer: what waits for it is read from the store when it goes on.
"""

import structlog
from aiohttp import hdrs, web

from xinflight.errors import NotAcceptable, NotFound, OutOfBounds
from xinflight.follower import Follower
from xinflight.protocol import JSON, Recovered, parse_cursor
from xinflight.render import render
from xinflight.store import Event
from xinflight.task import Task
from xinflight.web_common import Door
from xinflight.web_problem import Handler

__all__ = [
    "EVENT_STREAM",
    "NDJSON",
    "choose_type",
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


def choose_type(request: web.Request, offered: tuple[str, ...]) -> str:
    """Return the type that a request prefers of those offered, the first of them for `*/*`.

    Raises:
        NotAcceptable: it wants none of them.
    """
    accept = request.headers.get(hdrs.ACCEPT, "*/*").lower()
    wanted = []
    for part in accept.split(","):
        name, _, weight = part.partition(";q=")
        try:
            weighed = float(weight or 1)
        except ValueError:
            weighed = 0.0
        wanted.append((-weighed, name.partition(";")[0].strip()))
    for weighed, name in sorted(wanted, key=lambda pair: pair[0]):
        for kind in offered:
            if weighed < 0 and name in (kind, "*/*", f"{kind.partition('/')[0]}/*"):
                return kind
    raise NotAcceptable(field="Accept", limit=", ".join(offered))


def task_events_handler(door: Door) -> Handler:
    """Return the handler of the events of one task; it ends with the task."""

    async def handle(request: web.Request) -> web.StreamResponse:
        owner = await door.owner(request)
        kind = choose_type(request, (EVENT_STREAM, NDJSON))
        task = await door.gateway.manager.find(owner, request.match_info["task_id"])
        if task is None:
            raise NotFound(field="task_id")
        return await _follow(door, request, kind, owner, task)

    return handle


def events_handler(door: Door) -> Handler:
    """Return the handler of the events of all of one's tasks; it goes on until the client leaves."""

    async def handle(request: web.Request) -> web.StreamResponse:
        owner = await door.owner(request)
        return await _follow(door, request, choose_type(request, (EVENT_STREAM, NDJSON)), owner, None)

    return handle


async def _follow(door: Door, request: web.Request, kind: str, owner: str, task: Task | None) -> web.StreamResponse:
    """Replay what came after the request's cursor, then stay live. Without a cursor a task is told from its start."""
    manager = door.gateway.manager
    cursor = request.query.get("after") or request.headers.get("Last-Event-ID")
    follower = await door.gateway.follow(owner)
    try:
        after, recovered = await _position(door, owner, cursor, task)
        gap = None if recovered else Recovered(recovered=False, cursor=manager.journal.cursor(owner))
        if task is not None:
            running = [task.uid] if manager.unfinished(owner, task.task_id) else []
            if not running and await _is_over(door, task, after):
                # An EventSource stops coming back at 204, and only then.
                return web.Response(status=204)
            follower.watch([task.uid], running, after=after, done=gap)
        else:
            follower.watch_all(manager.unfinished_uids(owner), after=after if cursor is not None else None, done=gap)
        return await stream(door, request, kind, follower, until_end=task is not None)
    finally:
        door.gateway.unfollow(follower)


async def _position(door: Door, owner: str, cursor: str | None, task: Task | None) -> tuple[int, bool]:
    """Return the seq to replay from, and whether nothing is missing."""
    journal = door.gateway.journal
    if cursor is None:
        return 0, True
    try:
        epoch, after = parse_cursor(cursor)
    except ValueError:
        raise OutOfBounds(field="after", limit="epoch:seq") from None
    here = epoch == journal.epoch and 0 <= after <= journal.position(owner)
    if task is not None:
        # All that is kept of one task can be told again; what a foreign cursor stands for can't be known.
        return (after if here else 0), here
    recovered = here and after >= await journal.store.floor(owner)
    return (after if recovered else journal.position(owner)), recovered


async def _is_over(door: Door, task: Task, after: int) -> bool:
    """Tell whether a task has ended and nothing of it came after a seq."""
    journal = door.gateway.journal
    upto = journal.position(task.owner)
    return not await journal.store.events(task.owner, after=after, upto=upto, uids=[task.uid], limit=1)


def stream_headers(kind: str) -> dict[str, str]:
    """Return the headers of an answer that goes on."""
    # nginx would collect it without the last one.
    return {"Content-Type": f"{kind}; charset=utf-8", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}


async def stream(
    door: Door, request: web.Request, kind: str, follower: Follower, *, until_end: bool
) -> web.StreamResponse:
    """Write what a follower has until its client leaves, or with `until_end` until a task's end is written."""
    headers = stream_headers(kind)
    headers["Xinflight-Cursor"] = door.gateway.journal.cursor(follower.owner)
    response = web.StreamResponse(headers=headers)
    await response.prepare(request)
    try:
        await _pump(door, request, response, kind, follower, until_end=until_end)
        await response.write_eof()
    except ConnectionError:
        log.debug("reader left", kind=kind)
    return response


async def _pump(
    door: Door,
    request: web.Request,
    response: web.StreamResponse,
    kind: str,
    follower: Follower,
    *,
    until_end: bool,
) -> None:
    epoch = door.gateway.journal.epoch
    viewer = door.viewer(request)
    named = "named" in request.query
    ended = False
    while not ended and not door.gateway.draining:
        try:
            async with door.gateway.clock.timeout(KEEPALIVE):
                await follower.wake.wait()
        except TimeoutError:
            await _write(door, response, b": keep-alive\n\n" if kind == EVENT_STREAM else b"\n")
            continue
        item = await follower.take()
        if item is None:
            continue
        message = await render(item, viewer) if isinstance(item, Event) else item
        data = JSON.encode(message)
        if kind == EVENT_STREAM:
            cursor = f"id: {epoch}:{item.seq}\n".encode() if isinstance(item, Event) else b""
            event = f"event: {message.__struct_config__.tag}\n".encode() if named else b""
            data = b"%b%bdata: %b\n" % (cursor, event, data)
        await _write(door, response, data + b"\n")
        ended = until_end and isinstance(item, Event) and item.message.stored and item.message.ends


async def _write(door: Door, response: web.StreamResponse, data: bytes) -> None:
    """Write, or raise ConnectionError when the reader takes nothing for PATIENCE seconds."""
    try:
        async with door.gateway.clock.timeout(PATIENCE):
            await response.write(data)
    except TimeoutError:
        raise ConnectionResetError("the reader takes nothing") from None
