"""REST: the same tasks as over the WebSocket, one request at a time."""

import re

import msgspec
from aiohttp import hdrs, web
from msgspec.structs import replace

from xinflight.errors import BadTaskId, Forbidden, FrameTooLarge, NotFound, NotJson, UnsupportedType
from xinflight.model import Task
from xinflight.protocol import (
    JSON,
    CancelBody,
    Generate,
    ListTasks,
    Models,
    NoticeBody,
    TaskPage,
    from_json,
    from_texts,
)
from xinflight.render import render_task
from xinflight.tasks import FRAME_BYTES
from xinflight.web.context import HttpContext, body_in_time, choose_type, task_id_of
from xinflight.web.errors import Handler
from xinflight.web.streams import EVENT_STREAM, NDJSON, stream

__all__ = [
    "cancel_handler",
    "delete_handler",
    "list_handler",
    "models_handler",
    "notices_handler",
    "read_body",
    "submit_handler",
    "task_handler",
    "task_picture_handler",
]

PLAIN = "application/json"
NO_STORE: dict[str, str] = {hdrs.CACHE_CONTROL: "no-store"}
PAGING = ("cursor", "limit", "state")


async def read_body(door: HttpContext, request: web.Request) -> bytes:
    """Return a JSON body.

    Raises:
        BodyTimeout: it does not come within BODY_SECONDS.
        UnsupportedType: its Content-Type is another one.
        FrameTooLarge: it has more bytes than a frame may have.
        NotJson: it is not UTF-8, or its chunks are broken.
    """
    if request.content_type != PLAIN and request.body_exists:
        raise UnsupportedType(field="Content-Type", limit=PLAIN)
    body = bytearray()
    try:
        async with body_in_time(door.gateway.clock):
            async for chunk in request.content.iter_any():
                body += chunk
                if len(body) > FRAME_BYTES:
                    raise FrameTooLarge(limit=f"{FRAME_BYTES} bytes")
        # A decoder would pass over broken text in a field that it does not know.
        body.decode()
    except (UnicodeError, web.RequestPayloadError):
        raise NotJson from None
    return bytes(body)


def _answer(content: msgspec.Struct, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """Return a JSON answer."""
    headers = {**NO_STORE, **(headers or {})}
    return web.Response(body=msgspec.json.encode(content), status=status, content_type=PLAIN, headers=headers)


def submit_handler(door: HttpContext) -> Handler:
    """Return the handler that starts a generation; its answer is the task, or with Accept its events as they come."""

    async def handle(request: web.Request) -> web.StreamResponse:
        owner = await door.owner(request)
        kind = choose_type(request, (PLAIN, EVENT_STREAM, NDJSON))
        body = await read_body(door, request)
        generate = JSON.decode_generate(body)
        generate.task_id = _idempotency_key(request, generate)
        # Before the task is there: a refusal after it would be of a task that runs.
        ignored = JSON.unknown_fields(body, generate)
        if kind != PLAIN:
            door.check_room()
        gateway = door.gateway
        subscriber = await gateway.subscribe(owner)
        try:
            task, fresh = await gateway.submit(generate, subscriber)
            headers: dict[str, str] = {hdrs.LOCATION: door.url(request, "task", task_id=task.task_id)}
            if kind == PLAIN:
                info = await render_task(task, door.render_context(request))
                info.ignored = ignored
                return _answer(info, 202 if fresh else 200, headers)
            return await stream(door, request, kind, subscriber, until_end=True, headers=headers)
        finally:
            gateway.unsubscribe(subscriber)

    return handle


def _idempotency_key(request: web.Request, generate: Generate) -> str | None:
    """Return the task id that a request names, in its body or as Idempotency-Key; they must not differ."""
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return generate.task_id
    # The draft for the header writes it as a quoted string; most clients don't.
    key = key.strip().strip('"')
    if not re.fullmatch(r"[A-Za-z0-9._:~-]{1,64}", key) or generate.task_id not in (None, key):
        raise BadTaskId(
            field="Idempotency-Key", limit="1 to 64 of A-Z a-z 0-9 . _ : ~ -, as the task_id if there is one"
        )
    return key


async def _find(door: HttpContext, request: web.Request) -> Task:
    """Return the task of a request's path; raise NotFound for what is not the asker's."""
    task = await door.gateway.find(await door.owner(request), task_id_of(request))
    if task is None:
        raise NotFound(field="task_id")
    return task


def task_handler(door: HttpContext) -> Handler:
    """Return the handler of one task as it stands."""

    async def handle(request: web.Request) -> web.StreamResponse:
        choose_type(request, (PLAIN,))
        return _answer(await render_task(await _find(door, request), door.render_context(request)))

    return handle


def list_handler(door: HttpContext) -> Handler:
    """Return the handler of one's tasks, the newest first: a page of JSON, or NDJSON with the next page in Link."""

    async def handle(request: web.Request) -> web.StreamResponse:
        owner = await door.owner(request)
        kind = choose_type(request, (PLAIN, NDJSON))
        asked = from_texts({name: request.query[name] for name in PAGING if name in request.query}, ListTasks)
        cursor = await door.gateway.cursor(owner)
        tasks, following = await door.gateway.page(owner, cursor=asked.cursor, limit=asked.limit, state=asked.state)
        # A page is one message: with the bytes of all its pictures it would have no bound.
        context = replace(door.render_context(request), inline_bytes=0)
        infos = [await render_task(task, context) for task in tasks]
        headers: dict[str, str] = {"Xinflight-Cursor": cursor}
        if following is not None:
            # Relative (RFC 8288 section 3.1), so that it holds behind any proxy.
            headers[hdrs.LINK] = f'<?{request.rel_url.update_query(cursor=following).raw_query_string}>; rel="next"'
        if kind == PLAIN:
            return _answer(TaskPage(tasks=infos, next=following, cursor=cursor), headers=headers)
        lines = b"".join(msgspec.json.encode(info) + b"\n" for info in infos)
        return web.Response(body=lines, content_type=NDJSON, headers={**NO_STORE, **headers})

    return handle


def cancel_handler(door: HttpContext) -> Handler:
    """Return the handler that cancels a task, or one picture of it; idempotent, answers what it was."""

    async def handle(request: web.Request) -> web.StreamResponse:
        owner = await door.owner(request)
        choose_type(request, (PLAIN,))
        body = await read_body(door, request)
        index = from_json(body or b"{}", CancelBody).index
        cancelled = await door.gateway.cancel(owner, task_id_of(request), index)
        if cancelled.was == "unknown":
            known = index is not None and await door.gateway.find(owner, cancelled.task_id)
            raise NotFound(field="index" if known else "task_id")
        return _answer(cancelled)

    return handle


def delete_handler(door: HttpContext) -> Handler:
    """Return the handler that forgets an ended task and its pictures."""

    async def handle(request: web.Request) -> web.StreamResponse:
        owner = await door.owner(request)
        task_id = task_id_of(request)
        if await door.gateway.delete(owner, task_id) is None:
            raise NotFound(field="task_id")
        return web.Response(status=204)

    return handle


def task_picture_handler(door: HttpContext) -> Handler:
    """Return the handler that leads from a task's index to its picture."""

    async def handle(request: web.Request) -> web.StreamResponse:
        task = await _find(door, request)
        index = int(request.match_info["index"])
        for output in task.completed:
            if output.index == index:
                location = door.url(request, "picture", picture_id=output.output_id)
                return web.Response(status=303, headers={**NO_STORE, hdrs.LOCATION: location})
        raise NotFound(field="index")

    return handle


def models_handler(door: HttpContext) -> Handler:
    """Return the handler of the models that make pictures from text, with their defaults."""

    async def handle(request: web.Request) -> web.StreamResponse:
        await door.owner(request)
        choose_type(request, (PLAIN,))
        return _answer(Models(models=door.gateway.upstream.infos()))

    return handle


def notices_handler(door: HttpContext) -> Handler:
    """Return the handler through which an admin tells people something."""

    async def handle(request: web.Request) -> web.StreamResponse:
        identity = await door.identity(request)
        if not identity.admin:
            raise Forbidden
        notice = from_json(await read_body(door, request), NoticeBody)
        await door.gateway.notify(notice.owner, notice.text)
        return web.Response(status=204)

    return handle
