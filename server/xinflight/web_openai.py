"""The door for clients of OpenAI's image API, so that they work unchanged.

Shapes: platform.openai.com/docs/api-reference/images/create and .../images-streaming.
"""

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import structlog
from aiohttp import web

from xinflight.errors import (
    NotJson,
    OutOfBounds,
    ShuttingDown,
    TaskCancelled,
    UpstreamFailed,
    WrongShape,
    XinflightError,
    by_code,
)
from xinflight.follower import Follower
from xinflight.protocol import JSON, Cancelled, Error, Generate, Picture, PictureRef, Result
from xinflight.protocol_http import (
    OpenAiCompleted,
    OpenAiError,
    OpenAiImage,
    OpenAiImages,
    OpenAiModel,
    OpenAiModels,
    OpenAiProblem,
)
from xinflight.render import render
from xinflight.store import Event, EventMessage
from xinflight.web_common import Door
from xinflight.web_problem import Handler, failed_status
from xinflight.web_rest import read_body
from xinflight.words import say

__all__ = ["generations_handler", "openai_error", "openai_models_handler"]

log = structlog.stdlib.get_logger(__name__)

LEAVING = 0.25
"""Seconds between two looks whether the client is still there; aiohttp tells a handler nothing of its leaving."""


def openai_error(error: XinflightError, lang: str) -> bytes:
    """Write an error as OpenAI does, with our code."""
    problem = OpenAiProblem(
        message=say(error.code, lang),
        type="invalid_request_error" if failed_status(error) < 500 else "server_error",
        param=error.field,
        code=error.code,
    )
    return msgspec.json.encode(OpenAiError(error=problem))


def openai_models_handler(door: Door) -> Handler:
    """Return the handler of GET /v1/models."""

    async def handle(request: web.Request) -> web.StreamResponse:
        await door.owner(request)
        models = [OpenAiModel(id=info.id) for info in door.gateway.upstream.infos()]
        body = msgspec.json.encode(OpenAiModels(data=models))
        return web.Response(body=body, content_type="application/json")

    return handle


def generations_handler(door: Door) -> Handler:
    """Return the handler of POST /v1/images/generations. A client that closes its request cancels it at once."""

    async def handle(request: web.Request) -> web.StreamResponse:
        owner = await door.owner(request)
        generate, inline, streamed = _decode(await read_body(request))
        gateway = door.gateway
        follower = await gateway.follow(owner)
        task = None
        try:
            task, _ = await gateway.manager.submit(
                generate, owner, lambda task: follower.watch([task.uid], [task.uid], after=None)
            )
            events = _events(door, request, follower)
            if streamed:
                return await _stream(door, request, task.params.size, events)
            return await _whole(door, events, inline=inline)
        finally:
            gateway.unfollow(follower)
            if task is not None and not task.ended:
                await gateway.manager.cancel(owner, task.task_id)

    return handle


def _decode(body: bytes) -> tuple[Generate, bool, bool]:
    """Return the generation that is asked for, and whether as base64 and as a stream.

    Fields that only OpenAI's models know are left alone; the others have the bounds of `generate`.
    """
    try:
        asked = msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.ValidationError as error:
        raise WrongShape(limit=str(error)) from None
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise NotJson from None
    form = asked.pop("response_format", None) or "url"
    streamed = asked.pop("stream", None) or False
    if form not in ("url", "b64_json"):
        raise OutOfBounds(field="response_format", limit="url, b64_json")
    if not isinstance(streamed, bool):
        raise WrongShape(field="stream", limit="true or false")
    if asked.get("size") == "auto":
        del asked["size"]
    known = Generate.__struct_fields__
    fields = {name: value for name, value in asked.items() if name in known and value is not None}
    return JSON.decode_generate(msgspec.json.encode(fields)), form == "b64_json", streamed


async def _events(door: Door, request: web.Request, follower: Follower) -> AsyncIterator[EventMessage]:
    """Yield the events of the one task, its end last.

    Raises:
        ConnectionResetError: the client left.
        ShuttingDown: the server stops, and nobody could come back for the picture.
    """
    viewer = door.viewer(request)
    while True:
        try:
            async with door.gateway.clock.timeout(LEAVING):
                await follower.wake.wait()
        except TimeoutError:
            pass
        if request.transport is None or request.transport.is_closing():
            raise ConnectionResetError("the client left")
        if door.gateway.draining:
            raise ShuttingDown
        item = await follower.take()
        if isinstance(item, Event):
            yield await render(item, viewer)
            if item.message.stored and item.message.ends:
                return


async def _whole(door: Door, events: AsyncIterator[EventMessage], *, inline: bool) -> web.StreamResponse:
    async for message in events:
        match message:
            case Result():
                found = message.data.data
                data = [
                    OpenAiImage(b64_json=await _bytes(door, p)) if inline else OpenAiImage(url=p.url) for p in found
                ]
                body = msgspec.json.encode(OpenAiImages(created=message.data.created, data=data))
                return web.Response(body=body, content_type="application/json")
            case Cancelled() | Error():
                raise _failure(message)
    raise AssertionError("events end with an end")


async def _stream(
    door: Door, request: web.Request, size: str, events: AsyncIterator[EventMessage]
) -> web.StreamResponse:
    headers = {
        "Content-Type": "text/event-stream; charset=utf-8",
        "Cache-Control": "no-store",
        "X-Accel-Buffering": "no",
    }
    response = web.StreamResponse(headers=headers)
    await response.prepare(request)
    try:
        async for message in events:
            await _write_event(door, request, response, size, message)
        await response.write_eof()
    except ConnectionError:
        log.info("client left", path=request.path)
    return response


async def _write_event(
    door: Door, request: web.Request, response: web.StreamResponse, size: str, message: EventMessage
) -> None:
    match message:
        case Picture():
            completed = OpenAiCompleted(
                b64_json=await _bytes(door, message),
                created_at=int(message.timestamp),
                size=size,
                output_format=message.media_type.removeprefix("image/"),
            )
            body = msgspec.json.encode(completed)
            await response.write(b"event: image_generation.completed\ndata: %b\n\n" % body)
        case Cancelled() | Error():
            body = openai_error(_failure(message), door.lang(request))
            await response.write(b"event: error\ndata: %b\n\n" % body)


async def _bytes(door: Door, picture: PictureRef | Picture) -> bytes:
    """Return a picture's bytes; its rendered URL ends with its id."""
    data = await door.gateway.images.read(picture.url.rpartition("/")[2])
    if data is None:
        raise UpstreamFailed(detail="the picture is gone")
    return data


def _failure(end: Cancelled | Error) -> XinflightError:
    return TaskCancelled() if isinstance(end, Cancelled) else by_code(end.code)(field=end.field, limit=end.limit)
