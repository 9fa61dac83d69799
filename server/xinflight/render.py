"""The last step before a frame: fill in what belongs to the follower, its language and its URLs."""

from collections.abc import Awaitable, Callable

from msgspec import Struct
from msgspec.structs import replace

from xinflight.errors import XinflightError
from xinflight.i18n import translate
from xinflight.model import Task
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
from xinflight.storage import Event, EventMessage, describe

__all__ = ["RenderContext", "error_message", "render", "render_task", "upstream_notice", "upstream_status"]


class RenderContext(Struct, frozen=True, kw_only=True):
    """Whom a message is written for.

    `picture_url` turns a picture's id into an URL that the viewer can load, `picture_bytes` reads one for who asked
    for base64; one message carries at most `inline_bytes` of them.
    """

    lang: str
    picture_url: Callable[[str], str]
    picture_bytes: Callable[[str], Awaitable[bytes | None]]
    inline_bytes: int


async def render(event: Event, viewer: RenderContext) -> EventMessage:
    """Return the event's message as its viewer gets it; the event itself stays as it is."""
    lang = event.lang or viewer.lang
    message = event.message
    match message:
        case Progress():
            of_state = message.state in (State.CANCELLING, State.FAILED, State.CANCELLED, State.EXPIRED)
            return replace(message, message=translate(message.state if of_state else message.step, lang))
        case Picture():
            b64_json, _ = await _inline(message, viewer, viewer.inline_bytes)
            url = viewer.picture_url(message.url)
            return replace(message, message=translate("picture", lang), url=url, b64_json=b64_json)
        case Accepted():
            return replace(message, message=translate("accepted", lang))
        case Result():
            data = replace(message.data, data=_with_urls(message.data.data, viewer))
            return replace(message, message=translate("completed", lang), data=data)
        case Cancelled():
            data_ = _with_urls(message.data, viewer)
            return replace(message, message=translate(message.upstream, lang), data=data_)
        case Error():
            return replace(message, message=translate(message.code, lang))


def _with_urls(pictures: list[PictureRef], viewer: RenderContext) -> list[PictureRef]:
    """Fill in the URLs of an end. Who asked for base64 had it in each `picture`: twice would double the traffic."""
    return [replace(picture, url=viewer.picture_url(picture.url), b64_json=None) for picture in pictures]


async def _with_bytes(pictures: list[PictureRef], viewer: RenderContext) -> list[PictureRef]:
    """Fill in the URLs, and the base64 where it was asked for, as long as there is room."""
    room = viewer.inline_bytes
    rendered = []
    for picture in pictures:
        b64_json, room = await _inline(picture, viewer, room)
        rendered.append(replace(picture, url=viewer.picture_url(picture.url), b64_json=b64_json))
    return rendered


async def _inline(picture: PictureRef | Picture, viewer: RenderContext, room: int) -> tuple[bytes | None, int]:
    """Return a picture's bytes and the room left; None when it was not asked for, or has no room."""
    if picture.b64_json is None or picture.bytes > room:
        return None, room
    data = await viewer.picture_bytes(picture.url)
    if data is None:
        return None, room
    return data, room - len(data)


async def render_task(task: Task, viewer: RenderContext) -> TaskInfo:
    """Describe a task of the history to a viewer."""
    info = describe(task)
    return replace(info, data=await _with_bytes(info.data, viewer))


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
