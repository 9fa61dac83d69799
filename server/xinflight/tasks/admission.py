"""What is refused of a request: values beyond the settings, and models that are not there."""

from collections.abc import Iterator, Sequence

import msgspec

from xinflight.errors import (
    BadImage,
    LoraTag,
    ModelNotFound,
    ModelUnsuitable,
    OutOfBounds,
    PromptMissing,
    UpstreamAuth,
    WrongShape,
)
from xinflight.imaging import check_pillow
from xinflight.model import UNDO_SECONDS, InputRole, Upload, encode_content
from xinflight.protocol import (
    Chat,
    ChatContent,
    ChatPart,
    Generate,
    ImagePart,
    Limits,
    TaskRequest,
    TextPart,
    UpstreamState,
    parse_size,
)
from xinflight.settings import Settings
from xinflight.upstream import SPECIAL_FIELDS, VIDEO, Kind, Model, Xinference, most_tokens

__all__ = [
    "FRAME_BYTES",
    "SIZE_MULTIPLE",
    "check",
    "check_content",
    "check_context",
    "check_inputs",
    "check_metadata",
    "choose_model",
    "limits",
]

SIZE_MULTIPLE = 16
"""Z-Image needs multiples of 16; other models need 8, which these are too."""
CHAT_IMAGES = 16
"""Uploads and outputs in one chat: all of them are decoded, and sent as up to 16 MB of base64 each."""
METADATA_BYTES = 1024
FRAME_BYTES = 64 * 1024


def limits(settings: Settings) -> Limits:
    """Return what this server accepts, for `welcome`."""
    return Limits(
        prompt_length=settings.prompt_length,
        outputs=settings.outputs,
        size_min=settings.size_min,
        size_max=settings.size_max,
        size_multiple=SIZE_MULTIPLE,
        frames=settings.frames,
        steps=settings.steps,
        guidance_scale=settings.guidance_scale,
        timeout=settings.timeout_max,
        tasks_per_owner=settings.tasks_per_owner,
        tasks_per_address=settings.tasks_per_address or None,
        requests_per_minute=settings.requests_per_minute or None,
        requests_per_minute_per_address=settings.requests_per_minute_per_address or None,
        connections_per_owner=settings.connections_per_owner or None,
        connections_per_address=settings.connections_per_address or None,
        seconds_per_day=settings.seconds_per_day,
        pending_bytes=settings.pending_bytes,
        history_bytes=settings.history_bytes,
        history_tasks=settings.history_tasks,
        undo_seconds=UNDO_SECONDS,
        history_age=settings.history_age,
        upload_bytes=settings.upload_bytes,
        upload_pixels=settings.upload_pixels,
        uploads_per_owner=settings.uploads_per_owner,
        uploads_bytes=settings.uploads_bytes,
        chat_bytes=settings.chat_bytes,
        chat_messages=settings.chat_messages,
        inline_bytes=settings.inline_bytes,
        frame_bytes=FRAME_BYTES,
        metadata_bytes=METADATA_BYTES,
    )


def check(request: TaskRequest, kind: Kind, settings: Settings) -> None:
    """Hold a message against its kind and the settings.

    Raises:
        WrongShape: its kind needs another field, or takes one of them not.
        ImagesUnsupported: there is an image, and no Pillow.
        PromptMissing: there is no prompt, or only white space.
        OutOfBounds: a value is beyond a setting; `field` and `limit` say which.
        LoraTag: a prompt has a `<lora:` tag, which most models would draw as text.
    """
    _at_most("timeout", request.timeout, settings.timeout_max)
    if isinstance(request, Generate):
        _check_fields(request, kind)
        _check_drawing(request, kind, settings)
    if isinstance(request, Chat):
        if not 1 <= len(request.messages) <= settings.chat_messages:
            raise OutOfBounds(field="messages", limit=f"1 to {settings.chat_messages} messages")
        images = sum(isinstance(part, ImagePart) for part in _parts(request))
        if images > CHAT_IMAGES:
            raise OutOfBounds(field="messages", limit=f"{CHAT_IMAGES} images")
        if images:
            check_pillow()


def _parts(chat: Chat) -> Iterator[ChatPart]:
    for message in chat.messages:
        if isinstance(message.content, list):
            yield from message.content


def _check_fields(generate: Generate, kind: Kind) -> None:
    """Hold the fields that only some kinds have against a kind."""
    for name in SPECIAL_FIELDS:
        given = getattr(generate, name) not in (None, [])
        if given and name not in kind.fields:
            raise WrongShape(field=name, limit=f"not with the kind {kind.name}")
        if name in kind.required and not given:
            raise WrongShape(field=name, limit=f"required for the kind {kind.name}")
    if generate.image is not None:
        check_pillow()


def check_inputs(inputs: Sequence[tuple[InputRole, Upload]]) -> None:
    """Raise BadImage for a mask of another size than the image to which it belongs."""
    sizes = {role: (upload.width, upload.height) for role, upload in inputs if role != "reference"}
    if "mask" in sizes and sizes["mask"] != sizes["image"]:
        width, height = sizes["image"]
        raise BadImage(field="mask", limit=f"the size of image: {width}x{height}")


def _check_drawing(generate: Generate, kind: Kind, settings: Settings) -> None:
    if "prompt" in kind.required and not (generate.prompt or "").strip():
        raise PromptMissing(field="prompt", limit="1 character or more")
    for field, text in (("prompt", generate.prompt or ""), ("negative_prompt", generate.negative_prompt or "")):
        if len(text) > settings.prompt_length:
            raise OutOfBounds(field=field, limit=f"{settings.prompt_length} characters")
        if "<lora:" in text.lower():
            raise LoraTag(field=field, limit="no <lora: tag")
    _at_most("n", generate.n, settings.outputs)
    _at_most("steps", generate.steps, settings.steps)
    _at_most("guidance_scale", generate.guidance_scale, settings.guidance_scale)
    _at_most("frames", generate.frames, settings.frames)
    for side in parse_size(generate.size) if generate.size is not None else ():
        # The size of a video is rounded.
        if not settings.size_min <= side <= settings.size_max or (side % SIZE_MULTIPLE and kind.name != VIDEO.name):
            raise OutOfBounds(
                field="size", limit=f"{settings.size_min} to {settings.size_max}, multiples of {SIZE_MULTIPLE}"
            )


def check_metadata(metadata: object) -> None:
    """Hold metadata against what can be kept and compared, whatever the settings.

    Raises:
        OutOfBounds: it is too long, or has integers of more than 64 bits.
        WrongShape: it is more than JSON can write.
    """
    _check_json("metadata", metadata, METADATA_BYTES)


def check_content(content: ChatContent, settings: Settings) -> bytes:
    """Hold what is stored of a chat against what can be kept and compared; return it as it is stored.

    Raises:
        OutOfBounds: it is too long, or has integers of more than 64 bits.
        WrongShape: it is more than JSON can write.
    """
    for message in content.messages:
        _check_json("messages", message.tool_calls, settings.chat_bytes)
    _check_json("tools", content.tools, settings.chat_bytes)
    _check_json("tool_choice", content.tool_choice, settings.chat_bytes)
    stored = encode_content(content)
    if len(stored) > settings.chat_bytes:
        raise OutOfBounds(field="messages", limit=f"{settings.chat_bytes} bytes with tools")
    return stored


def check_context(request: TaskRequest, model: Model) -> None:
    """Hold a chat against what its model can read; Xinference would say nothing of use, or nothing at all.

    Raises:
        OutOfBounds: it asks for more tokens than the context has.
        ModelUnsuitable: it has images, which a model for texts leaves out.
    """
    if not isinstance(request, Chat):
        return
    most = most_tokens(model.context_length)
    if most is not None:
        _at_most("max_tokens", request.max_tokens, most)
    images = any(not isinstance(part, TextPart) for part in _parts(request))
    if images and "vision" not in model.abilities:
        raise ModelUnsuitable(field="messages", limit="no images: the model reads texts only")


def _check_json(field: str, value: object, most: int) -> None:
    """Raise OutOfBounds or WrongShape for a value that is no JSON of at most so many bytes."""
    written: bytes | None = None
    try:
        written = msgspec.json.encode(value)
        # The store keeps it, and MessagePack has no larger integers.
        msgspec.msgpack.encode(value)
    except OverflowError:
        raise OutOfBounds(field=field, limit="integers of at most 64 bits") from None
    except (TypeError, ValueError):
        pass
    if written is not None and len(written) > most:
        raise OutOfBounds(field=field, limit=f"{most} bytes")
    # MessagePack can carry what JSON can't: bytes, dates, NaN, keys that are no text.
    if written is None or msgspec.json.decode(written) != value:
        raise WrongShape(field=field, limit="what JSON can write")


def _at_most(field: str, value: float | None, most: float) -> None:
    if value is not None and value > most:
        raise OutOfBounds(field=field, limit=f"<= {most:g}")


def choose_model(wanted: str | None, ability: str, upstream: Xinference) -> Model | None:
    """Return the model that a request is for, which has an ability, or None while none is there to ask.

    Raises:
        UpstreamAuth: Xinference refuses our key, so nothing can be drawn.
        ModelNotFound: there is no such model.
        ModelUnsuitable: it lacks the ability.
    """
    if upstream.state is UpstreamState.UNAUTHORISED:
        raise UpstreamAuth
    found = upstream.find(wanted, ability)
    able = ", ".join(model.uid for model in upstream.models.values() if ability in model.abilities)
    if wanted is None:
        if found is None and upstream.models and upstream.state is UpstreamState.READY:
            raise ModelNotFound(field="model", limit=f"no model here has the ability {ability}")
        return found
    if found is None:
        found = upstream.vanished.get(wanted)
    if wanted in upstream.unsuitable or (found is not None and ability not in found.abilities):
        raise ModelUnsuitable(field="model", limit=able)
    if found is None and upstream.state in (UpstreamState.READY, UpstreamState.NO_MODEL):
        raise ModelNotFound(field="model", limit=able)
    return found
