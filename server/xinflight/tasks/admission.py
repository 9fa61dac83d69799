"""From a `generate` to a task: what is refused, which values are in effect, what is drawn once and for all."""

import secrets
import uuid

import msgspec

from xinflight.errors import (
    LoraTag,
    ModelNotFound,
    ModelUnsuitable,
    OutOfBounds,
    PromptMissing,
    UpstreamAuth,
    WrongShape,
)
from xinflight.i18n import choose_language
from xinflight.model import Job, Task, digest
from xinflight.protocol import Generate, Limits, Params, UpstreamState, parse_size
from xinflight.settings import Settings
from xinflight.storage import draw_id
from xinflight.upstream import Model, Xinference

__all__ = ["FRAME_BYTES", "accept", "check", "check_metadata", "limits"]

SIZE_MULTIPLE = 16
"""Z-Image needs multiples of 16; other models need 8, which these are too."""
METADATA_BYTES = 1024
FRAME_BYTES = 64 * 1024


def limits(settings: Settings) -> Limits:
    """Return what this server accepts, for `welcome`."""
    return Limits(
        prompt_length=settings.prompt_length,
        pictures=settings.pictures,
        size_min=settings.size_min,
        size_max=settings.size_max,
        size_multiple=SIZE_MULTIPLE,
        steps=settings.steps,
        guidance_scale=settings.guidance_scale,
        timeout=settings.timeout_max,
        tasks_per_owner=settings.tasks_per_owner,
        history_bytes=settings.history_bytes,
        history_tasks=settings.history_tasks,
        history_age=settings.history_age,
        inline_bytes=settings.inline_bytes,
        frame_bytes=FRAME_BYTES,
        metadata_bytes=METADATA_BYTES,
    )


def check(generate: Generate, settings: Settings) -> None:
    """Hold a message against the settings.

    Raises:
        PromptMissing: there is no prompt, or only white space.
        OutOfBounds: a value is beyond a setting; `field` and `limit` say which.
        LoraTag: a prompt has a `<lora:` tag, which most models would draw as text.
    """
    if generate.prompt is None or not generate.prompt.strip():
        raise PromptMissing(field="prompt", limit="1 character or more")
    for field, text in (("prompt", generate.prompt), ("negative_prompt", generate.negative_prompt or "")):
        if len(text) > settings.prompt_length:
            raise OutOfBounds(field=field, limit=f"{settings.prompt_length} characters")
        if "<lora:" in text.lower():
            raise LoraTag(field=field, limit="no <lora: tag")
    _at_most("n", generate.n, settings.pictures)
    _at_most("steps", generate.steps, settings.steps)
    _at_most("guidance_scale", generate.guidance_scale, settings.guidance_scale)
    _at_most("timeout", generate.timeout, settings.timeout_max)
    for side in parse_size(generate.size) if generate.size is not None else ():
        if not settings.size_min <= side <= settings.size_max or side % SIZE_MULTIPLE:
            raise OutOfBounds(
                field="size", limit=f"{settings.size_min} to {settings.size_max}, multiples of {SIZE_MULTIPLE}"
            )


def check_metadata(metadata: object) -> None:
    """Hold metadata against what can be kept and compared, whatever the settings.

    Raises:
        OutOfBounds: it is too long, or has integers of more than 64 bits.
        WrongShape: it is more than JSON can write.
    """
    written: bytes | None = None
    try:
        written = msgspec.json.encode(metadata)
        # The store keeps it, and MessagePack has no larger integers.
        msgspec.msgpack.encode(metadata)
    except OverflowError:
        raise OutOfBounds(field="metadata", limit="integers of at most 64 bits") from None
    except (TypeError, ValueError):
        pass
    if written is not None and len(written) > METADATA_BYTES:
        raise OutOfBounds(field="metadata", limit=f"{METADATA_BYTES} bytes")
    # MessagePack can carry what JSON can't: bytes, dates, NaN, keys that are no text.
    if written is None or msgspec.json.decode(written) != metadata:
        raise WrongShape(field="metadata", limit="what JSON can write")


def _at_most(field: str, value: float | None, most: float) -> None:
    if value is not None and value > most:
        raise OutOfBounds(field=field, limit=f"<= {most:g}")


def _choose_model(wanted: str | None, upstream: Xinference) -> Model | None:
    """Return the model that will draw, or None while none is there to ask.

    Raises:
        UpstreamAuth: Xinference refuses our key, so nothing can be drawn.
        ModelNotFound: there is no such model.
        ModelUnsuitable: it can't make pictures from text.
    """
    if upstream.state is UpstreamState.UNAUTHORISED:
        raise UpstreamAuth
    if wanted is None:
        return upstream.default()
    found = upstream.models.get(wanted) or next((m for m in upstream.models.values() if m.pool == wanted), None)
    if found is None and wanted in upstream.vanished:
        return upstream.vanished[wanted]
    if found is None and wanted in upstream.unsuitable:
        raise ModelUnsuitable(field="model", limit=", ".join(upstream.models))
    if found is None and upstream.state in (UpstreamState.READY, UpstreamState.NO_MODEL):
        raise ModelNotFound(field="model", limit=", ".join(upstream.models))
    return found


def accept(generate: Generate, owner: str, settings: Settings, upstream: Xinference, now: float) -> Task:
    """Make the task of a checked message: seed, ids of pictures and first request ids are drawn here.

    Raises what `choose_model` raises.
    """
    model = _choose_model(generate.model, upstream)
    seed = generate.seed
    if seed is None or seed == -1:
        seed = secrets.randbelow(2**32)
    timeout = settings.timeout if generate.timeout is None else generate.timeout
    params = Params(
        prompt=generate.prompt or "",
        negative_prompt=generate.negative_prompt,
        model=generate.model if model is None else model.uid,
        n=generate.n,
        size=generate.size or (model.size if model is not None else settings.default_size),
        steps=model.steps if generate.steps is None and model is not None else generate.steps,
        guidance_scale=(
            model.guidance_scale if generate.guidance_scale is None and model is not None else generate.guidance_scale
        ),
        seed=seed,
        timeout=timeout,
        on_disconnect=generate.on_disconnect,
        priority=generate.priority,
        response_format=generate.response_format,
    )
    jobs = [
        Job(
            index=i,
            seed=seed + i,
            picture_id=draw_id(),
            request_id=str(uuid.uuid4()),
            stoppable=model is None or model.true_cancel,
        )
        for i in range(generate.n)
    ]
    return Task(
        uid=secrets.token_hex(8),
        owner=owner,
        task_id=generate.task_id or str(uuid.uuid4()),
        digest=digest(generate),
        params=params,
        created=now,
        deadline=now + timeout,
        jobs=jobs,
        metadata=generate.metadata,
        lang=generate.lang and choose_language(generate.lang, settings.lang),
    )
