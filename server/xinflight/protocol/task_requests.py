"""The request for images or a video, and what it shares with `chat`."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from xinflight.protocol.fields import Metadata, NegativePrompt
from xinflight.protocol.requests import ClientMessage, Group, TaskId
from xinflight.protocol.terms import GenerateKind

__all__ = ["Generate", "ImageId", "TaskRequest"]

MAX_SEED = 2**53 - 64 - 1
"""Largest seed. `seed + index` of the last of 64 outputs is still an exact number in JavaScript."""

SIZE = r"^[1-9][0-9]{1,4}x[1-9][0-9]{1,4}\Z"
IMAGE_ID = r"^[A-Za-z0-9_-]{8,64}\Z"

ImageId = Annotated[str, Meta(pattern=IMAGE_ID)]
"""The id of an upload or of an output of the caller. Never a URL: fetching one would be somebody else's errand."""


class TaskRequest(ClientMessage, kw_only=True):
    """What every request that starts a task has."""

    model: Annotated[
        Annotated[str, Meta(min_length=1, max_length=200)] | None,
        Meta(description="A `welcome.models[].id` or a pool of the server. Default: the default model of the kind."),
    ] = None
    task_id: Annotated[
        TaskId | None,
        Meta(description="Id of the task, which makes the message safe to repeat. Default: chosen by the server."),
    ] = None
    group: Annotated[Group | None, Meta(description="Name for several tasks, which `cancel` and `list` accept.")] = (
        None
    )
    timeout: Annotated[
        Annotated[float, Meta(gt=0, le=604800)] | None,
        Meta(description="Seconds from acceptance until the task expires. Default: the server's setting."),
    ] = None
    on_disconnect: Annotated[
        Literal["continue", "cancel"],
        Meta(description="What to do once the owner has been disconnected for a while: finish or cancel the task."),
    ] = "continue"
    priority: Annotated[
        int, Meta(ge=-100, le=100, description="Higher priorities go first, equal priorities in order of acceptance.")
    ] = 0
    metadata: Metadata = None
    lang: Annotated[
        Annotated[str, Meta(max_length=35)] | None,
        Meta(description="Language of the texts about this task: `en` or `zh-CN`. Default: the connection's."),
    ] = None
    traceparent: Annotated[
        str | None,
        Meta(
            description="Trace that the task belongs to (W3C Trace Context). Ignored if malformed. Default: that of "
            "the HTTP request."
        ),
    ] = None
    store: Annotated[
        bool,
        Meta(description="False: delete the task and what was made once its end and all outputs were delivered."),
    ] = True


class Generate(TaskRequest, tag="generate", kw_only=True):
    """Start to generate images or a video. Bounds here are those of the protocol; settings may be narrower."""

    prompt: Annotated[
        str | None,
        Meta(
            description="What the output should show, or how to change `image`. Required, except for `image2image` "
            "and in a `generate` without any field."
        ),
    ] = None
    negative_prompt: NegativePrompt = None
    kind: Annotated[
        GenerateKind | None,
        Meta(description="What to do. Default: follows from the other fields and from what the model can."),
    ] = None
    image: Annotated[
        ImageId | None, Meta(description="Image to start from: id of an upload, or of an output of the caller.")
    ] = None
    images: Annotated[
        list[ImageId],
        Meta(max_length=8, description="Further reference images, for edit models that accept several."),
    ] = msgspec.field(default_factory=list)
    mask: Annotated[
        ImageId | None,
        Meta(description="What to repaint of `image`: where this image is transparent, or if opaque, white."),
    ] = None
    strength: Annotated[
        Annotated[float, Meta(gt=0, le=1)] | None,
        Meta(description="How much to change `image`. 1 keeps nothing. Default: 0.6, with a mask 1."),
    ] = None
    n: Annotated[int, Meta(ge=1, le=64, description="Number of outputs.")] = 1
    size: Annotated[
        Annotated[str, Meta(pattern=SIZE)] | None,
        Meta(
            description="`WIDTHxHEIGHT` in pixels, multiples of `limits.size_multiple`; for a video it is rounded. "
            "Default: that of `image`, else the model's."
        ),
    ] = None
    frames: Annotated[
        Annotated[int, Meta(ge=1, le=10000)] | None,
        Meta(description="Video: number of frames, rounded to 4k + 1. Default: the model's."),
    ] = None
    fps: Annotated[
        Annotated[int, Meta(ge=1, le=120)] | None, Meta(description="Video: frames per second. Default: the model's.")
    ] = None
    steps: Annotated[
        Annotated[int, Meta(ge=1, le=1000)] | None,
        Meta(description="Number of inference steps. Default: the model's."),
    ] = None
    guidance_scale: Annotated[
        Annotated[float, Meta(ge=0, le=100)] | None,
        Meta(description="How closely to follow the prompt. Default: the model's."),
    ] = None
    seed: Annotated[
        Annotated[int, Meta(ge=-1, le=MAX_SEED)] | None,
        Meta(description="Seed of output 0. -1 or absent: the server chooses one and returns it in `ack.params`."),
    ] = None
    response_format: Annotated[
        Literal["url", "b64_json"],
        Meta(description="`b64_json`: each `output` also contains its file, up to `limits.inline_bytes`."),
    ] = "url"
