"""From a checked request to a task: its kind, the values in effect, and what is drawn once and for all."""

import secrets
import uuid
from collections.abc import Iterator, Sequence

from xinflight.auth import Identity
from xinflight.errors import BadImage, ImageNotFound, ModelUnsuitable
from xinflight.i18n import choose_language
from xinflight.imaging import fitting_size
from xinflight.model import InputRole, Output, Task, TaskInput, Upload, digest
from xinflight.protocol import Chat, Generate, ImagePart, Params, TaskRequest
from xinflight.request_ids import choose_request_id
from xinflight.settings import Settings
from xinflight.storage import draw_id
from xinflight.tasks.admission import SIZE_MULTIPLE
from xinflight.tracing import current_traceparent
from xinflight.uploads import Uploads
from xinflight.upstream import KINDS, VIDEO, Kind, Model, Xinference, default_shape, fit_frames, fit_size, size_like

__all__ = ["Found", "adjusted", "choose_kind", "names_images", "new_task", "resolve_inputs"]


def choose_kind(request: TaskRequest, upstream: Xinference) -> Kind:
    """Return the kind that a request asks for: by name, by what is given, else by what the named model can.

    Raises:
        ModelUnsuitable: this server does not offer it.
    """
    name = "chat"
    if isinstance(request, Generate):
        name = request.kind or _kind_of(request, upstream)
    if name not in KINDS:
        raise ModelUnsuitable(field="kind", limit=", ".join(KINDS))
    return KINDS[name]


def _kind_of(request: Generate, upstream: Xinference) -> str:
    """Return the kind that follows from the fields of a request and from what its model can."""
    model = None if request.model is None else upstream.find(request.model, "text2image")
    abilities = frozenset() if model is None else model.abilities
    if request.frames is not None or request.fps is not None:
        return "video"
    if request.mask is not None:
        return "inpainting"
    if request.images:
        return "edit"
    if request.image is not None:
        if request.model is None:
            # Whatever is there that can start from an image.
            abilities = frozenset[str]().union(*(model.abilities for model in upstream.models.values()))
        # A model that is not known yet decides nothing: most can start from an image.
        others = [name for name, ability in (("edit", "edit"), ("video", "image2video")) if ability in abilities]
        return others[0] if others and "image2image" not in abilities else "image2image"
    return "video" if "text2video" in abilities and "text2image" not in abilities else "text2image"


Found = tuple[InputRole, Upload]
"""An image that a request starts from."""


async def resolve_inputs(request: TaskRequest, owner: str, uploads: Uploads) -> list[Found]:
    """Return the uploads that the image ids of a request stand for, in their order.

    Raises:
        ImageNotFound: one of them is not there, or not the owner's; `field` names it.
        BadImage, TooManyUploads, AccountBusy, StorageUnavailable: as `Uploads.resolve`.
    """
    inputs: list[Found] = []
    found: dict[str, Upload] = {}
    for field, role, image_id in _image_ids(request):
        if image_id not in found:
            try:
                found[image_id] = await uploads.resolve(owner, image_id)
            except (ImageNotFound, BadImage) as error:
                error.field = field
                raise
        inputs.append((role, found[image_id]))
    return inputs


def names_images(request: TaskRequest) -> bool:
    """Tell whether a request starts from images."""
    return next(_image_ids(request), None) is not None


def _image_ids(request: TaskRequest) -> Iterator[tuple[str, InputRole, str]]:
    """Yield field, role and id of the images of a request."""
    if isinstance(request, Generate):
        if request.image is not None:
            yield "image", "image", request.image
        for image_id in request.images:
            yield "images", "reference", image_id
        if request.mask is not None:
            yield "mask", "mask", request.mask
    elif isinstance(request, Chat):
        for message in request.messages:
            for part in message.content if isinstance(message.content, list) else ():
                if isinstance(part, ImagePart):
                    yield "messages", "reference", part.image


def new_task(
    request: TaskRequest,
    identity: Identity,
    kind: Kind,
    model: Model | None,
    inputs: Sequence[Found],
    pool: str,
    rank: float,
    settings: Settings,
    now: float,
) -> Task:
    """Make the task of a checked request: seed, output ids and first request ids are drawn here.

    `model` is None while none is known; `now` is Unix seconds.
    """
    params = _params(request, kind, model, inputs, settings)
    timeout = params.timeout
    outputs = [
        Output(
            index=index,
            seed=(params.seed or 0) + index,
            output_id=draw_id(),
            request_id=str(uuid.uuid4()),
            abortable=model is None or kind.route(true_cancel=model.true_cancel).true_cancel,
        )
        for index in range(params.n)
    ]
    return Task(
        uid=secrets.token_hex(8),
        owner=identity.id,
        task_id=request.task_id or str(uuid.uuid4()),
        digest=digest(request),
        kind=kind.name,
        pool=pool,
        params=params,
        created=now,
        deadline=now + timeout,
        outputs=outputs,
        inputs=[TaskInput(role=role, upload_id=upload.upload_id) for role, upload in inputs],
        weight=identity.weight,
        rank=rank,
        metadata=request.metadata,
        lang=request.lang and choose_language(request.lang, settings.lang),
        request_id=choose_request_id(),
        traceparent=current_traceparent(),
    )


def adjusted(request: TaskRequest, task: Task) -> list[str]:
    """Return the fields of a request whose values are others in its task."""
    if not isinstance(request, Generate):
        return []
    given = {"size": request.size, "frames": request.frames}
    return [name for name, value in given.items() if value is not None and value != getattr(task.params, name)]


def _params(
    request: TaskRequest, kind: Kind, model: Model | None, inputs: Sequence[Found], settings: Settings
) -> Params:
    """Return the parameters in effect: those of the request, else the model's defaults."""
    params = Params(
        kind=kind.name,
        model=request.model if model is None else model.uid,
        group=request.group,
        n=1,
        timeout=_default_timeout(kind, settings) if request.timeout is None else request.timeout,
        on_disconnect=request.on_disconnect,
        priority=request.priority,
        store=request.store,
    )
    if isinstance(request, Generate):
        _set_drawing(params, request, model, settings)
        _set_start(params, request, kind, inputs, settings)
        if kind.name == VIDEO.name:
            _set_video(params, request, model, inputs, settings)
    if isinstance(request, Chat):
        _set_chat(params, request)
    return params


def _default_timeout(kind: Kind, settings: Settings) -> float:
    return min(settings.video_timeout, settings.timeout_max) if kind.name == VIDEO.name else settings.timeout


def _set_chat(params: Params, request: Chat) -> None:
    """Set what chats have; what a request does not say is left to the engine. Messages are stored beside the task."""
    params.max_tokens = request.max_tokens
    params.temperature, params.top_p = request.temperature, request.top_p
    params.presence_penalty, params.frequency_penalty = request.presence_penalty, request.frequency_penalty
    params.stop = request.stop
    params.seed = request.seed


def _set_drawing(params: Params, request: Generate, model: Model | None, settings: Settings) -> None:
    """Set what images and videos have."""
    seed = request.seed
    params.prompt = request.prompt or ""
    params.negative_prompt = request.negative_prompt
    params.image, params.images, params.mask = request.image, request.images, request.mask
    params.n = request.n
    params.size = request.size or (model and model.size) or settings.default_size
    params.steps, params.guidance_scale = request.steps, request.guidance_scale
    if model is not None:
        params.steps = model.steps if request.steps is None else request.steps
        params.guidance_scale = model.guidance_scale if request.guidance_scale is None else request.guidance_scale
    params.seed = secrets.randbelow(2**32) if seed is None or seed == -1 else seed
    params.response_format = request.response_format


def _set_start(params: Params, request: Generate, kind: Kind, inputs: Sequence[Found], settings: Settings) -> None:
    """Set what only those have that start from an image, whose size is theirs if none is given."""
    params.image, params.images, params.mask = request.image, request.images, request.mask
    if "strength" in kind.fields:
        params.strength = kind.strength if request.strength is None else request.strength
    if kind.chooses_size:
        params.size = request.size
    elif request.size is None and inputs:
        start = next(upload for role, upload in inputs if role == "image")
        width, height = fitting_size(
            (start.width, start.height), least=settings.size_min, most=settings.size_max, multiple=SIZE_MULTIPLE
        )
        params.size = f"{width}x{height}"


def _set_video(
    params: Params, request: Generate, model: Model | None, inputs: Sequence[Found], settings: Settings
) -> None:
    """Set what videos alone have, rounded to what models can make."""
    default = default_shape(settings)
    size = fit_size(request.size or (model and model.size) or default.size, settings.size_max)
    params.size = size_like(size, inputs[0][1].width, inputs[0][1].height, settings.size_max) if inputs else size
    params.frames = fit_frames(request.frames or (model and model.frames) or default.frames, settings.frames)
    params.fps = request.fps or (model and model.fps) or default.fps
