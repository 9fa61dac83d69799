"""OpenAI's image API, so that its clients work unchanged.

Formats: platform.openai.com/docs/api-reference/images/create and .../images-streaming.
"""

from functools import partial

import msgspec
from aiohttp import web

from xinflight.errors import ModelNotFound, UpstreamFailed
from xinflight.protocol import (
    JSON,
    Cancelled,
    Error,
    Generate,
    OpenAiCompleted,
    OpenAiImage,
    OpenAiImages,
    OpenAiModel,
    OpenAiModels,
    OutputEvent,
    OutputRef,
    Result,
    from_json,
)
from xinflight.web.bodies import read_body
from xinflight.web.context import HttpContext, write_whole
from xinflight.web.openai_reader import OpenAiReader, failure

__all__ = ["OpenAi"]


class _Streamed(msgspec.Struct):
    stream: bool | None = None


class OpenAi:
    """The handlers of `/v1/`."""

    def __init__(self, context: HttpContext) -> None:
        self._context = context
        self._gateway = context.gateway

    async def models(self, request: web.Request) -> web.StreamResponse:
        """Handle GET /v1/models: return the models."""
        await self._context.owner(request)
        models = [OpenAiModel(id=info.id) for info in self._gateway.upstream.infos()]
        body = msgspec.json.encode(OpenAiModels(data=models))
        return web.Response(body=body, content_type="application/json")

    async def model(self, request: web.Request) -> web.StreamResponse:
        """Handle GET /v1/models/{model}: return one model."""
        await self._context.owner(request)
        wanted = request.match_info["model"]
        if all(info.id != wanted for info in self._gateway.upstream.infos()):
            raise ModelNotFound(field="model")
        return web.Response(body=msgspec.json.encode(OpenAiModel(id=wanted)), content_type="application/json")

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
            reader = OpenAiReader(context, request, subscriber)
            started = None
            try:
                with reader.registered():
                    task, fresh = await gateway.submit(
                        generate, identity, subscriber, context.addresses.client(request)
                    )
                    if fresh:
                        started = task
                    if streamed:
                        return await reader.stream(partial(_write_images, reader, task.params.size or ""))
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


async def _whole(reader: OpenAiReader, request: web.Request, *, inline: bool) -> web.StreamResponse:
    """Wait for the task's end and send all images; raise the error that it ended with.

    URLs are signed: OpenAI's clients send no credentials with a request for one.
    """
    render_context = reader.context.render_context(request, signed=True)
    while True:
        # A token that was valid for the request is valid for its only response.
        event = await reader.next_event(ends_at_expiry=False)
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
                raise failure(message)


async def _write_images(reader: OpenAiReader, size: str, response: web.StreamResponse) -> None:
    """Write each image when it is completed."""
    deliveries = reader.context.gateway.deliveries
    while True:
        event = await reader.next_event()
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
                raise failure(message)


async def _bytes(reader: OpenAiReader, output: OutputRef | OutputEvent) -> bytes:
    """Return the bytes of an output; raise UpstreamFailed if it was deleted."""
    data = await reader.context.gateway.blobs.read(output.url)
    if data is None:
        raise UpstreamFailed(detail="the output was deleted")
    return data
