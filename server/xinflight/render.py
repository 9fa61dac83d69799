"""The last step before a frame: fill in what belongs to the subscriber, its language and its URLs."""

from collections.abc import Awaitable, Callable

from msgspec import Struct
from msgspec.structs import replace

from xinflight.errors import XinflightError
from xinflight.i18n import translate
from xinflight.model import Event, EventMessage, Task, output_ref
from xinflight.protocol import (
    Accepted,
    Cancelled,
    Error,
    ModelInfo,
    Notice,
    Picture,
    PictureRef,
    Progress,
    Result,
    State,
    TaskInfo,
    Upstream,
    UpstreamState,
)

__all__ = ["RenderContext", "error_message", "render", "render_task", "upstream_notice", "upstream_status"]


class RenderContext(Struct, frozen=True, kw_only=True):
    """What messages to one client are rendered with.

    `output_url` turns an output's id into an URL that the client can load, `output_bytes` reads one for who asked for
    base64; one message carries at most `inline_bytes` of them.
    """

    lang: str
    output_url: Callable[[str], str]
    output_bytes: Callable[[str], Awaitable[bytes | None]]
    inline_bytes: int


async def render(event: Event, context: RenderContext) -> EventMessage:
    """Return the event's message as its subscriber gets it; the event itself stays as it is."""
    lang = event.lang or context.lang
    message = event.message
    match message:
        case Progress():
            of_state = message.state in (State.CANCELLING, State.FAILED, State.CANCELLED, State.EXPIRED)
            return replace(message, message=translate(message.state if of_state else message.step, lang))
        case Picture():
            b64_json, _ = await _inline(message, context, context.inline_bytes)
            url = context.output_url(message.url)
            return replace(message, message=translate("picture", lang), url=url, b64_json=b64_json)
        case Accepted():
            return replace(message, message=translate("accepted", lang))
        case Result():
            data = replace(message.data, data=_with_urls(message.data.data, context))
            return replace(message, message=translate("completed", lang), data=data)
        case Cancelled():
            data_ = _with_urls(message.data, context)
            return replace(message, message=translate(message.upstream, lang), data=data_)
        case Error():
            return replace(message, message=translate(message.code, lang))


def _with_urls(pictures: list[PictureRef], context: RenderContext) -> list[PictureRef]:
    """Fill in the URLs of an end. Who asked for base64 had it in each `picture`: twice would double the traffic."""
    return [replace(picture, url=context.output_url(picture.url), b64_json=None) for picture in pictures]


async def _with_bytes(pictures: list[PictureRef], context: RenderContext) -> list[PictureRef]:
    """Fill in the URLs, and the base64 where it was asked for, as long as there is room."""
    room = context.inline_bytes
    rendered = []
    for picture in pictures:
        b64_json, room = await _inline(picture, context, room)
        rendered.append(replace(picture, url=context.output_url(picture.url), b64_json=b64_json))
    return rendered


async def _inline(picture: PictureRef | Picture, context: RenderContext, room: int) -> tuple[bytes | None, int]:
    """Return a picture's bytes and the room left; None when it was not asked for, or has no room."""
    if picture.b64_json is None or picture.bytes > room:
        return None, room
    data = await context.output_bytes(picture.url)
    if data is None:
        return None, room
    return data, room - len(data)


def _describe(task: Task) -> TaskInfo:
    """Return a task as clients see it; URLs are filled in for each."""
    failed = [output for output in task.outputs if output.state in (State.FAILED, State.EXPIRED)]
    return TaskInfo(
        task_id=task.task_id,
        state=task.state,
        created=task.created,
        ended=task.ended_at,
        params=task.params,
        data=[output_ref(task, output) for output in task.completed],
        failed=[output.index for output in failed],
        cancelled=[output.index for output in task.outputs if output.state is State.CANCELLED],
        code=failed[0].code if failed and task.state is not State.COMPLETED else None,
        metadata=task.metadata,
    )


async def render_task(task: Task, context: RenderContext) -> TaskInfo:
    """Describe a task of the history to a context."""
    info = _describe(task)
    return replace(info, data=await _with_bytes(info.data, context))


def error_message(
    error: XinflightError, lang: str, now: float, *, ref: str | None = None, task_id: str | None = None
) -> Error:
    """Turn an exception into the refusal that a client gets: the only place where that is done."""
    return Error(
        code=error.code,
        message=translate(error.code, lang),
        timestamp=now,
        ref=ref,
        task_id=task_id,
        field=error.field,
        limit=error.limit,
        retryable=error.retryable,
        retry_after=error.retry_after,
    )


def upstream_status(state: UpstreamState, lang: str) -> Upstream:
    """Describe the state of Xinference and its cure in a language."""
    return Upstream(state=state, message=translate(f"upstream.{state}", lang), cure=translate(f"cure.{state}", lang))


def upstream_notice(state: UpstreamState, models: list[ModelInfo], lang: str, now: float) -> Notice:
    """Return the notice that Xinference or its models changed."""
    upstream = upstream_status(state, lang)
    return Notice(kind="upstream", message=upstream.message, timestamp=now, upstream=upstream, models=models)
