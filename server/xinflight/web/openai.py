"""The door for clients of OpenAI's image API, so that they work unchanged.

Shapes: platform.openai.com/docs/api-reference/images/create and .../images-streaming.
"""

import msgspec
import structlog
from aiohttp import web

from xinflight.errors import ShuttingDown, TaskCancelled, UpstreamFailed, XinflightError, by_code
from xinflight.i18n import translate
from xinflight.model import Event, EventMessage
from xinflight.protocol import (
    JSON,
    Cancelled,
    Error,
    Generate,
    OpenAiCompleted,
    OpenAiError,
    OpenAiImage,
    OpenAiImages,
    OpenAiModel,
    OpenAiModels,
    OpenAiProblem,
    Picture,
    PictureRef,
    Result,
    from_json,
)
from xinflight.render import RenderContext, render
from xinflight.web.context import HttpContext
from xinflight.web.errors import Handler
from xinflight.web.rest import read_body
from xinflight.web.streams import EVENT_STREAM, KEEPALIVE, Reader, stream_headers

__all__ = ["generations_handler", "openai_error", "openai_models_handler"]

log = structlog.stdlib.get_logger(__name__)


def openai_error(error: XinflightError, lang: str) -> bytes:
    """Write an error as OpenAI does, with our code; its clients show nothing but the message."""
    hints = ": ".join(hint for hint in (error.field, error.limit) if hint)
    problem = OpenAiProblem(
        message=translate(error.code, lang) + (f" ({hints})" if hints else ""),
        type="invalid_request_error" if error.status < 500 else "server_error",
        param=error.field,
        code=error.code,
    )
    return msgspec.json.encode(OpenAiError(error=problem))


def openai_models_handler(door: HttpContext) -> Handler:
    """Return the handler of GET /v1/models."""

    async def handle(request: web.Request) -> web.StreamResponse:
        await door.owner(request)
        models = [OpenAiModel(id=info.id) for info in door.gateway.upstream.infos()]
        body = msgspec.json.encode(OpenAiModels(data=models))
        return web.Response(body=body, content_type="application/json")

    return handle


class _Streamed(msgspec.Struct):
    stream: bool | None = None


def generations_handler(door: HttpContext) -> Handler:
    """Return the handler of POST /v1/images/generations. A client that closes its request cancels it at once."""

    async def handle(request: web.Request) -> web.StreamResponse:
        owner = await door.owner(request)
        body = await read_body(door, request)
        generate = _decode(body)
        inline = generate.response_format == "b64_json"
        # Here it says how this one request is answered; the task keeps URLs.
        generate.response_format = "url"
        streamed = from_json(body, _Streamed).stream
        door.check_room()
        gateway = door.gateway
        subscriber = await gateway.subscribe(owner)
        reader = Reader(door, request, subscriber)
        started = None
        try:
            with reader.joined():
                task, fresh = await gateway.submit(generate, subscriber)
                if fresh:
                    started = task
                if streamed:
                    return await _stream(reader, request, task.params.size)
                return await _whole(reader, door.render_context(request), inline=inline)
        finally:
            gateway.unsubscribe(subscriber)
            if started is not None and not started.ended:
                await gateway.cancel(owner, started.task_id)

    return handle


def _decode(body: bytes) -> Generate:
    """Return the generation that is asked for.

    Fields that only OpenAI's models know are left alone; the others have the bounds of `generate`.
    """
    asked = from_json(body, dict[str, msgspec.Raw])
    known = Generate.__struct_fields__
    fields = {name: value for name, value in asked.items() if name in known and bytes(value) != b"null"}
    if bytes(fields.get("size", b"")) == b'"auto"':
        del fields["size"]
    return JSON.decode_generate(msgspec.json.encode(fields))


async def _next(reader: Reader, context: RenderContext) -> EventMessage | None:
    """Return the next event of the one task, or None when there was none for KEEPALIVE seconds.

    Raises:
        ConnectionResetError: the client left.
        ShuttingDown: the server stops, and nobody could come back for the picture.
    """
    clock = reader.door.gateway.clock
    while True:
        item = await reader.subscriber.next_item()
        if isinstance(item, Event):
            return await render(item, context)
        if reader.gone:
            raise ConnectionResetError("the client left")
        if reader.closing:
            raise ShuttingDown
        try:
            async with clock.timeout(KEEPALIVE):
                await reader.subscriber.wake.wait()
        except TimeoutError:
            return None


async def _whole(reader: Reader, context: RenderContext, *, inline: bool) -> web.StreamResponse:
    """Answer when the task has ended."""
    while True:
        message = await _next(reader, context)
        match message:
            case Result():
                found = message.data.data
                data = [
                    OpenAiImage(b64_json=await _bytes(reader, picture)) if inline else OpenAiImage(url=picture.url)
                    for picture in found
                ]
                body = msgspec.json.encode(OpenAiImages(created=message.data.created, data=data))
                return web.Response(body=body, content_type="application/json")
            case Cancelled() | Error():
                raise _failure(message)


async def _stream(reader: Reader, request: web.Request, size: str) -> web.StreamResponse:
    """Answer with each picture as it comes; what goes wrong is told in the stream, which has begun by then."""
    response = web.StreamResponse(headers=stream_headers(reader.door, request, EVENT_STREAM))
    await response.prepare(request)
    try:
        try:
            await _write_pictures(reader, request, response, size)
        except XinflightError as error:
            log.info("stream failed", code=error.code)
            await reader.write(response, b"event: error\ndata: %b\n\n" % openai_error(error, reader.lang))
        await response.write_eof()
    except ConnectionError:
        log.info("client left", path=request.path)
    except Exception:
        log.exception("stream broken off")
        reader.abort()
    return response


async def _write_pictures(reader: Reader, request: web.Request, response: web.StreamResponse, size: str) -> None:
    context = reader.door.render_context(request)
    while True:
        message = await _next(reader, context)
        match message:
            case None:
                await reader.write(response, b": keep-alive\n\n")
            case Picture():
                completed = OpenAiCompleted(
                    b64_json=await _bytes(reader, message),
                    created_at=int(message.timestamp),
                    size=size,
                    output_format=message.media_type.removeprefix("image/"),
                )
                body = msgspec.json.encode(completed)
                await reader.write(response, b"event: image_generation.completed\ndata: %b\n\n" % body)
            case Result():
                return
            case Cancelled() | Error():
                raise _failure(message)


async def _bytes(reader: Reader, picture: PictureRef | Picture) -> bytes:
    """Return a picture's bytes; its rendered URL ends with its id."""
    data = await reader.door.gateway.blobs.read(picture.url.rpartition("/")[2])
    if data is None:
        raise UpstreamFailed(detail="the picture is gone")
    return data


def _failure(end: Cancelled | Error) -> XinflightError:
    return TaskCancelled() if isinstance(end, Cancelled) else by_code(end.code)(field=end.field, limit=end.limit)
