"""From a request to a task: what is refused, which values are in effect, what is drawn once and for all."""

import secrets
import uuid

import msgspec

from xinflight.auth import Identity
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
from xinflight.model import Output, Task, digest
from xinflight.protocol import Generate, Limits, Params, UpstreamState, parse_size
from xinflight.settings import Settings
from xinflight.storage import draw_id
from xinflight.upstream import TEXT2IMAGE, Model, Xinference

__all__ = ["FRAME_BYTES", "check", "check_metadata", "choose_model", "limits", "new_task"]

SIZE_MULTIPLE = 16
"""Z-Image needs multiples of 16; other models need 8, which these are too."""
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
    _at_most("n", generate.n, settings.outputs)
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


def choose_model(wanted: str | None, upstream: Xinference) -> Model | None:
    """Return the model that a request is for, or None while none is there to ask.

    Raises:
        UpstreamAuth: Xinference refuses our key, so nothing can be drawn.
        ModelNotFound: there is no such model.
        ModelUnsuitable: it can't make images from text.
    """
    if upstream.state is UpstreamState.UNAUTHORISED:
        raise UpstreamAuth
    found = upstream.find(wanted)
    if wanted is None:
        return found
    if found is None and wanted in upstream.vanished:
        return upstream.vanished[wanted]
    if found is None and wanted in upstream.unsuitable:
        raise ModelUnsuitable(field="model", limit=", ".join(upstream.models))
    if found is None and upstream.state in (UpstreamState.READY, UpstreamState.NO_MODEL):
        raise ModelNotFound(field="model", limit=", ".join(upstream.models))
    return found


def new_task(
    request: Generate,
    identity: Identity,
    model: Model | None,
    pool: str,
    rank: float,
    settings: Settings,
    now: float,
) -> Task:
    """Make the task of a checked request: seed, output ids and first request ids are drawn here.

    `model` is None while none is known; `now` is Unix seconds.
    """
    seed = request.seed
    if seed is None or seed == -1:
        seed = secrets.randbelow(2**32)
    timeout = settings.timeout if request.timeout is None else request.timeout
    outputs = [
        Output(
            index=index,
            seed=seed + index,
            output_id=draw_id(),
            request_id=str(uuid.uuid4()),
            abortable=model is None or model.true_cancel,
        )
        for index in range(request.n)
    ]
    return Task(
        uid=secrets.token_hex(8),
        owner=identity.id,
        task_id=request.task_id or str(uuid.uuid4()),
        digest=digest(request),
        kind=TEXT2IMAGE.name,
        pool=pool,
        params=_params(request, model, seed, timeout, settings),
        created=now,
        deadline=now + timeout,
        outputs=outputs,
        weight=identity.weight,
        rank=rank,
        metadata=request.metadata,
        lang=request.lang and choose_language(request.lang, settings.lang),
    )


def _params(request: Generate, model: Model | None, seed: int, timeout: float, settings: Settings) -> Params:
    """Return the parameters in effect: those of the request, else the model's defaults."""
    steps, guidance_scale = request.steps, request.guidance_scale
    if model is not None:
        steps = model.steps if steps is None else steps
        guidance_scale = model.guidance_scale if guidance_scale is None else guidance_scale
    return Params(
        prompt=request.prompt or "",
        negative_prompt=request.negative_prompt,
        model=request.model if model is None else model.uid,
        n=request.n,
        size=request.size or (model.size if model is not None else settings.default_size),
        steps=steps,
        guidance_scale=guidance_scale,
        seed=seed,
        timeout=timeout,
        on_disconnect=request.on_disconnect,
        priority=request.priority,
        response_format=request.response_format,
        store=request.store,
    )
