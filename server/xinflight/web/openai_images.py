"""OpenAI's image API, so that its clients work unchanged: generations, edits and variations.

Formats: platform.openai.com/docs/api-reference/images and .../images-streaming.
"""

import re
from collections.abc import Mapping
from contextlib import aclosing
from functools import partial

import msgspec
from aiohttp import web

from xinflight.auth import Identity
from xinflight.errors import BadImage, ModelUnsuitable, OutOfBounds, PromptMissing, UpstreamFailed, WrongShape
from xinflight.protocol import (
    JSON,
    Cancelled,
    Error,
    Generate,
    OpenAiCompleted,
    OpenAiEdited,
    OpenAiImage,
    OpenAiImages,
    OutputEvent,
    OutputRef,
    Result,
    from_json,
    from_texts,
)
from xinflight.web.bodies import read_body
from xinflight.web.context import HttpContext, write_whole
from xinflight.web.openai_reader import OpenAiReader, failure
from xinflight.web.upload_bodies import form_parts

__all__ = ["OpenAiImagesApi"]

MOST_IMAGES = 9
"""Images of an edit: `image` and `images` of a `generate`."""

_FILE = re.compile(r"(image|mask)(\[\d*\])?")
"""Names of files in a form; clients number those of a list, or don't."""


class _Streamed(msgspec.Struct):
    stream: bool | None = None


class OpenAiImagesApi:
    """The handlers of `/v1/images/`. A request stands for a task: closing its connection cancels it immediately."""

    def __init__(self, context: HttpContext) -> None:
        self._context = context
        self._gateway = context.gateway

    async def generations(self, request: web.Request) -> web.StreamResponse:
        """Handle POST /v1/images/generations: return the images of one task, or stream them as they are completed."""
        identity = await self._context.identity(request)
        body = await read_body(self._context, request)
        generate = _decode(body)
        streamed = from_json(body, _Streamed).stream or False
        return await self._answer(request, identity, generate, OpenAiCompleted if streamed else None)

    async def edits(self, request: web.Request) -> web.StreamResponse:
        """Handle POST /v1/images/edits: change images by a prompt, as `generations`; with a mask only inside it."""
        identity = await self._context.identity(request)
        form = await self._form(request, identity)
        if not str(form.get("prompt", "")).strip():
            raise PromptMissing(field="prompt", limit="1 character or more")
        streamed = from_texts(form, _Streamed).stream or False
        return await self._answer(request, identity, _generate(form), OpenAiEdited if streamed else None)

    async def variations(self, request: web.Request) -> web.StreamResponse:
        """Handle POST /v1/images/variations: return images that start from one, without a prompt."""
        identity = await self._context.identity(request)
        form = await self._form(request, identity)
        if "images" in form or "mask" in form:
            raise WrongShape(field="image", limit="one image and no mask")
        return await self._answer(request, identity, _generate(form), None)

    async def _form(self, request: web.Request, identity: Identity) -> dict[str, object]:
        """Return the fields of a form; a file becomes an upload of the caller while it arrives, and its field the id.

        Raises:
            WrongShape, OutOfBounds: it has no image, too many, several masks, or other files.
            What `form_parts` and `Uploads.add` raise.
        """
        fields: dict[str, object] = {}
        images: list[str] = []
        async with aclosing(form_parts(request, self._gateway.clock)) as parts:
            async for part in parts:
                named = _FILE.fullmatch(part.name)
                if not part.is_file:
                    fields[part.name] = await part.text()
                    continue
                if named is None or (named[1] == "mask" and "mask" in fields):
                    raise WrongShape(field=part.name, limit="files named image or image[], and one mask")
                if named[1] == "image" and len(images) == MOST_IMAGES:
                    raise OutOfBounds(field="image", limit=f"at most {MOST_IMAGES}")
                try:
                    async with aclosing(part.pieces()) as pieces:
                        upload, _ = await self._gateway.uploads.add(identity.id, pieces)
                except BadImage as error:
                    error.field = named[1]
                    raise
                if named[1] == "mask":
                    fields["mask"] = upload.upload_id
                else:
                    images.append(upload.upload_id)
        if images:
            fields["image"], rest = images[0], images[1:]
            if rest:
                fields["images"] = rest
        if not fields.get("image"):
            raise WrongShape(field="image", limit="a file")
        return fields

    def _refuse_videos(self, generate: Generate) -> None:
        """Raise ModelUnsuitable for what would make a video, of which OpenAI's clients for images know nothing."""
        models = self._gateway.upstream.infos()
        makes_videos = [model.id for model in models if model.kinds == ["video"]]
        if generate.kind == "video" or generate.frames or generate.fps or generate.model in makes_videos:
            able = [model.id for model in models if "text2image" in model.kinds]
            raise ModelUnsuitable(field="model", limit=", ".join(able))

    async def _answer(
        self,
        request: web.Request,
        identity: Identity,
        generate: Generate,
        streamed: type[OpenAiCompleted | OpenAiEdited] | None,
    ) -> web.StreamResponse:
        """Start a task and return its images once it has ended, or `streamed` as events of this type."""
        context, gateway = self._context, self._gateway
        self._refuse_videos(generate)
        inline = generate.response_format == "b64_json"
        # It applies to this response only; in the history the task has URLs.
        generate.response_format = "url"
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
                    if streamed is not None:
                        return await reader.stream(partial(_write_images, reader, streamed))
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


def _generate(form: Mapping[str, object]) -> Generate:
    """Return the request of a form; as `_decode`, but its numbers are texts."""
    known = Generate.__struct_fields__
    fields = {name: value for name, value in form.items() if name in known and value != ""}
    if fields.get("size") == "auto":
        del fields["size"]
    return from_texts(fields, Generate)


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


async def _write_images(
    reader: OpenAiReader, completed: type[OpenAiCompleted | OpenAiEdited], response: web.StreamResponse
) -> None:
    """Write each image when it is completed, as an event of the type `completed`."""
    deliveries = reader.context.gateway.deliveries
    while True:
        event = await reader.next_event()
        if event is None:
            await reader.write(response, b": keep-alive\n\n")
            continue
        message = event.message
        match message:
            case OutputEvent():
                image = completed(
                    b64_json=await _bytes(reader, message),
                    created_at=int(message.timestamp),
                    size=f"{message.width}x{message.height}",
                    output_format=message.media_type.removeprefix("image/"),
                )
                name = str(completed.__struct_config__.tag).encode()
                await reader.write(response, b"event: %b\ndata: %b\n\n" % (name, msgspec.json.encode(image)))
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
