"""The last step before a frame: fill in what belongs to the follower, its language and its URLs."""

from collections.abc import Callable

from msgspec import Struct
from msgspec.structs import replace

from xinflight.errors import XinflightError
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
    Upstream,
    UpstreamState,
)
from xinflight.store import Event, EventMessage
from xinflight.words import say

__all__ = ["Viewer", "error_message", "render", "upstream_notice", "upstream_status"]


class Viewer(Struct, frozen=True, kw_only=True):
    """Whom a message is written for. `picture_url` turns a picture's id into an URL that the viewer can load."""

    lang: str
    picture_url: Callable[[str], str]


def render(event: Event, viewer: Viewer) -> EventMessage:
    """Return the event's message as its viewer gets it; the event itself stays as it is."""
    lang = event.lang or viewer.lang
    message = event.message
    match message:
        case Progress():
            cancelling = message.state in (State.CANCELLING, State.FAILED, State.CANCELLED, State.EXPIRED)
            return replace(message, message=say(message.state if cancelling else message.step, lang))
        case Picture():
            return replace(message, message=say("picture", lang), url=viewer.picture_url(message.url))
        case Accepted():
            return replace(message, message=say("accepted", lang))
        case Result():
            data = replace(message.data, data=_with_urls(message.data.data, viewer))
            return replace(message, message=say("completed", lang), data=data)
        case Cancelled():
            return replace(message, message=say(message.upstream, lang), data=_with_urls(message.data, viewer))
        case Error():
            return replace(message, message=say(message.code, lang))


def _with_urls(pictures: list[PictureRef], viewer: Viewer) -> list[PictureRef]:
    return [replace(picture, url=viewer.picture_url(picture.url)) for picture in pictures]


def error_message(
    error: XinflightError, lang: str, now: float, *, ref: str | None = None, task_id: str | None = None
) -> Error:
    """Turn an exception into the refusal that a client gets: the only place where that is done."""
    return Error(
        code=error.code,
        message=say(error.code, lang),
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
    return Upstream(state=state, message=say(f"upstream.{state}", lang), cure=say(f"cure.{state}", lang))


def upstream_notice(state: UpstreamState, models: list[ModelInfo], lang: str, now: float) -> Notice:
    """Return the notice that Xinference or its models changed."""
    upstream = upstream_status(state, lang)
    return Notice(kind="upstream", message=upstream.message, timestamp=now, upstream=upstream, models=models)
