"""OpenAI's image API, so that its clients work unchanged.

Formats: platform.openai.com/docs/api-reference/images/create and .../images-streaming.
"""

from http import HTTPStatus
from typing import Literal

import msgspec
import structlog
from aiohttp import web

from xinflight.errors import ShuttingDown, TaskCancelled, TokenExpired, UpstreamFailed, XinflightError, by_code
from xinflight.i18n import translate
from xinflight.model import Event
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
    OutputEvent,
    OutputRef,
    Result,
    from_json,
)
from xinflight.web.context import HttpContext, write_whole
from xinflight.web.rest import read_body
from xinflight.web.streams import EVENT_STREAM, KEEPALIVE, Reader, stream_headers

__all__ = ["OpenAi", "openai_error"]

log = structlog.stdlib.get_logger(__name__)


def openai_error(error: XinflightError, lang: str) -> bytes:
    """Encode an error in OpenAI's format, with the code of the protocol.

    Field and limit are part of the message, since OpenAI's clients show nothing else.
    """
    hints = ": ".join(hint for hint in (error.field, error.limit) if hint)
    problem = OpenAiProblem(
        message=translate(error.code, lang) + (f" ({hints})" if hints else ""),
        type=_error_type(error.status),
        param=error.field,
        code=error.code,
    )
    return msgspec.json.encode(OpenAiError(error=problem))


def _error_type(status: int) -> Literal["invalid_request_error", "rate_limit_error", "server_error"]:
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return "rate_limit_error"
    return "invalid_request_error" if status < HTTPStatus.INTERNAL_SERVER_ERROR else "server_error"


class _Streamed(msgspec.Struct):
    stream: bool | None = None


class OpenAi:
    """The handlers of `/v1/`."""

    def __init__(self, context: HttpContext) -> None:
        self._context = context
        self._gateway = context.gateway

    async def models(self, request: web.Request) -> web.StreamResponse:
        """Handle GET /v1/models: return the models that generate images from text."""
        await self._context.owner(request)
        models = [OpenAiModel(id=info.id) for info in self._gateway.upstream.infos()]
        body = msgspec.json.encode(OpenAiModels(data=models))
        return web.Response(body=body, content_type="application/json")

    async def generations(self, request: web.Request) -> web.StreamResponse:
        """Handle POST /v1/images/generations: return the images of one task, or stream them as they are completed.

        The request stands for the task: a client that closes its connection cancels it immediately.
        """
        context, gateway = self._context, self._gateway
        identity = await context.identity(request)
        body = await read_body(context, request)
        generate = _decode(body)
        inline = generate.response_format == "b64_json"
        # It applies to this response only; in the history the task has URLs.
        generate.response_format = "url"
        streamed = from_json(body, _Streamed).stream
        with context.stream(request, identity.id):
            subscriber = await gateway.subscribe(identity.id)
            reader = Reader(context, request, subscriber)
            started = None
            try:
                with reader.registered():
                    task, fresh = await gateway.submit(
                        generate, identity, subscriber, context.addresses.client(request)
                    )
                    if fresh:
                        started = task
                    if streamed:
                        return await _stream(reader, request, task.params.size or "")
                    return await _whole(reader, request, inline=inline)
            finally:
                gateway.unsubscribe(subscriber)
                if started is not None and not started.ended:
                    await gateway.cancel(identity.id, started.task_id)


def _decode(body: bytes) -> Generate:
    """Decode a request body, with the bounds of `generate`; fields that only OpenAI's models know are ignored."""
    given = from_json(body, dict[str, msgspec.Raw])
    known = Generate.__struct_fields__
    fields = {name: value for name, value in given.items() if name in known and bytes(value) != b"null"}
    if bytes(fields.get("size", b"")) == b'"auto"':
        del fields["size"]
    return JSON.decode_generate(msgspec.json.encode(fields))


async def _next(reader: Reader, *, ends_at_expiry: bool = True) -> Event | None:
    """Return the next event of the task, or None when there was none for KEEPALIVE seconds; URLs are ids of outputs.

    Raises:
        TokenExpired, Unauthorised: the client's credentials have expired or were revoked.
        ConnectionResetError: the client disconnected.
        ShuttingDown: the server is shutting down; this API has no way to resume.
    """
    while True:
        if reader.ended is not None and (ends_at_expiry or not isinstance(reader.ended, TokenExpired)):
            raise reader.ended
        item = await reader.subscriber.next_item()
        if isinstance(item, Event):
            return item
        if reader.gone:
            raise ConnectionResetError("the client disconnected")
        if reader.closing:
            raise ShuttingDown
        try:
            async with reader.context.gateway.clock.timeout(KEEPALIVE):
                await reader.subscriber.wake.wait()
        except TimeoutError:
            return None


async def _whole(reader: Reader, request: web.Request, *, inline: bool) -> web.StreamResponse:
    """Wait for the task's end and send all images; raise the error that it ended with.

    URLs are signed: OpenAI's clients send no credentials with a request for one.
    """
    render_context = reader.context.render_context(request, signed=True)
    while True:
        # A token that was valid for the request is valid for its only response.
        event = await _next(reader, ends_at_expiry=False)
        if event is None:
            continue
        message = event.message
        match message:
            case Result():
                data = [
                    OpenAiImage(b64_json=await _bytes(reader, output))
                    if inline
                    else OpenAiImage(url=render_context.output_url(output.url))
                    for output in message.data.data
                ]
                body = msgspec.json.encode(OpenAiImages(created=message.data.created, data=data))
                response = web.Response(body=body, content_type="application/json")
                if await write_whole(request, response, reader.context.cors(request)):
                    render_context.written(event, message)
                    for output in message.data.data if inline else ():
                        reader.context.gateway.deliveries.fetched(output.url)
                return response
            case Cancelled() | Error():
                raise _failure(message)


async def _stream(reader: Reader, request: web.Request, size: str) -> web.StreamResponse:
    """Stream each image when it is completed. An error becomes an event, since the status was sent before."""
    response = web.StreamResponse(headers=stream_headers(reader.context, request, EVENT_STREAM))
    await response.prepare(request)
    try:
        try:
            await _write_images(reader, response, size)
        except XinflightError as error:
            log.info("stream failed", code=error.code)
            await reader.write(response, b"event: error\ndata: %b\n\n" % openai_error(error, reader.lang))
        await response.write_eof()
    except ConnectionError:
        log.info("client disconnected", path=request.path)
    except Exception:
        log.exception("stream aborted")
        reader.abort()
    return response


async def _write_images(reader: Reader, response: web.StreamResponse, size: str) -> None:
    deliveries = reader.context.gateway.deliveries
    while True:
        event = await _next(reader)
        if event is None:
            await reader.write(response, b": keep-alive\n\n")
            continue
        message = event.message
        match message:
            case OutputEvent():
                completed = OpenAiCompleted(
                    b64_json=await _bytes(reader, message),
                    created_at=int(message.timestamp),
                    size=size,
                    output_format=message.media_type.removeprefix("image/"),
                )
                body = msgspec.json.encode(completed)
                await reader.write(response, b"event: image_generation.completed\ndata: %b\n\n" % body)
                deliveries.fetched(message.url)
            case Result():
                # What the response says of the end is that it ends itself.
                await response.write_eof()
                deliveries.written(event, message)
                return
            case Cancelled() | Error():
                raise _failure(message)


async def _bytes(reader: Reader, output: OutputRef | OutputEvent) -> bytes:
    """Return the bytes of an output; raise UpstreamFailed if it was deleted."""
    data = await reader.context.gateway.blobs.read(output.url)
    if data is None:
        raise UpstreamFailed(detail="the output was deleted")
    return data


def _failure(end: Cancelled | Error) -> XinflightError:
    return TaskCancelled() if isinstance(end, Cancelled) else by_code(end.code)(field=end.field, limit=end.limit)
