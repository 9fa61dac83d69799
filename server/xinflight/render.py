"""The last step before encoding: fill in what depends on the client, its language and its URLs."""

from collections.abc import Awaitable, Callable, Collection, Sequence

from msgspec import Struct
from msgspec.structs import replace

from xinflight.errors import XinflightError
from xinflight.i18n import translate
from xinflight.model import Event, EventMessage, Marks, Task, failures_of, output_ref, without_output, without_outputs
from xinflight.protocol import (
    Accepted,
    Cancelled,
    Delta,
    Error,
    Marked,
    ModelInfo,
    Notice,
    OutputEvent,
    OutputRef,
    Progress,
    Result,
    ServerMessage,
    State,
    TaskInfo,
    Upstream,
    UpstreamState,
)
from xinflight.thumbnails import worth_a_thumbnail

__all__ = ["RenderContext", "error_message", "render", "render_task", "upstream_notice", "upstream_status"]


_READY = {"video/mp4": "output.video", "text/plain": "output.text"}
"""What is said when an output is ready, by its media type; of all others, that an image is."""


class RenderContext(Struct, frozen=True, kw_only=True):
    """What messages to one client are rendered with.

    `output_url` returns the URL of an output's id, `thumbnail_url` that of its thumbnail, and is None where there are
    no thumbnails; `output_bytes` returns the bytes for requests with `b64_json`, of which a message contains at most
    `inline_bytes`. `hidden` returns the indices of the outputs of a task, by its uid, that were deleted: nothing
    tells of them. `written` must be called with an event and what was rendered of it, once the client's socket has
    taken it.
    """

    lang: str
    output_url: Callable[[str], str]
    output_bytes: Callable[[str], Awaitable[bytes | None]]
    inline_bytes: int
    hidden: Callable[[str], Collection[int]]
    written: Callable[[Event, ServerMessage], None]
    thumbnail_url: Callable[[str], str] | None = None


async def render(event: Event, render_context: RenderContext) -> EventMessage:
    """Return the event's message for one client. The event is shared between subscribers and is not changed."""
    lang = event.lang or render_context.lang
    message = event.message
    for index in render_context.hidden(event.uid):
        message = without_output(message, index) or message
    match message:
        case Progress():
            by_state = message.state in (State.CANCELLING, State.FAILED, State.CANCELLED, State.EXPIRED)
            return replace(message, message=translate(message.state if by_state else message.step, lang))
        case OutputEvent():
            b64_json, _ = await _inline(message, render_context, render_context.inline_bytes)
            word = _READY.get(message.media_type, "output")
            urls = _urls(message, render_context)
            return replace(message, message=translate(word, lang), **urls, b64_json=b64_json)
        case Delta():
            return message
        case Marked():
            return replace(message, message=translate("marked", lang))
        case Accepted():
            return replace(message, message=translate("accepted", lang))
        case Result():
            data = replace(message.data, data=_with_urls(message.data.data, render_context))
            return replace(message, message=translate("completed", lang), data=data)
        case Cancelled():
            data_ = _with_urls(message.data, render_context)
            return replace(message, message=translate(message.upstream, lang), data=data_)
        case Error():
            data_ = _with_urls(message.data, render_context)
            return replace(message, message=translate(message.code, lang), data=data_)


def _with_urls(outputs: list[OutputRef], render_context: RenderContext) -> list[OutputRef]:
    """Fill in the URLs of an end; bytes are left out, since each `output` carried them to whoever requested them."""
    return [replace(output, **_urls(output, render_context), b64_json=None) for output in outputs]


async def _with_bytes(outputs: list[OutputRef], render_context: RenderContext) -> list[OutputRef]:
    """Fill in the URLs and, where `b64_json` was requested, the bytes, in order and within `inline_bytes`."""
    room = render_context.inline_bytes
    rendered = []
    for output in outputs:
        b64_json, room = await _inline(output, render_context, room)
        rendered.append(replace(output, **_urls(output, render_context), b64_json=b64_json))
    return rendered


def _urls(output: OutputRef | OutputEvent, render_context: RenderContext) -> dict[str, str | None]:
    """Return the URLs of an output's file and thumbnail. A text has neither."""
    if not output.url:
        return {}
    thumbnail_url = render_context.thumbnail_url
    if thumbnail_url is None or not worth_a_thumbnail(output.media_type, output.width, output.height, output.bytes):
        return {"url": render_context.output_url(output.url)}
    return {"url": render_context.output_url(output.url), "thumbnail_url": thumbnail_url(output.url)}


async def _inline(
    output: OutputRef | OutputEvent, render_context: RenderContext, room: int
) -> tuple[bytes | None, int]:
    """Return an output's bytes and the bytes left in the message; None if not requested, too large, or deleted."""
    if output.b64_json is None or output.bytes > room:
        return None, room
    data = await render_context.output_bytes(output.url)
    if data is None:
        return None, room
    return data, room - len(data)


def _describe(task: Task, marks: Sequence[Marks]) -> TaskInfo:
    """Return a task as in the protocol, with ids of outputs in place of URLs."""
    marked = {each.index: each for each in marks}
    failed = [output for output in task.outputs if output.state in (State.FAILED, State.EXPIRED)]
    return TaskInfo(
        task_id=task.task_id,
        state=task.state,
        created=task.created,
        ended=task.ended_at,
        params=task.params,
        data=[_noted(output_ref(task, output), marked.get(output.index)) for output in task.shown],
        failed=[output.index for output in failed],
        failures=failures_of(task),
        cancelled=[output.index for output in task.outputs if output.state is State.CANCELLED],
        deleted=[output.index for output in task.outputs if output.deleted],
        code=failed[0].code if failed and task.state is not State.COMPLETED else None,
        paused=task.paused and not task.ended,
        metadata=task.metadata,
    )


def _noted(output: OutputRef, marks: Marks | None) -> OutputRef:
    return output if marks is None else replace(output, starred=marks.starred, tags=marks.tags)


async def render_task(task: Task, render_context: RenderContext, marks: Sequence[Marks] = ()) -> TaskInfo:
    """Return the description of a task for one client, with the marks of its outputs."""
    info = _describe(without_outputs(task, render_context.hidden(task.uid)), marks)
    return replace(info, data=await _with_bytes(info.data, render_context))


def error_message(
    error: XinflightError, lang: str, now: float, *, ref: str | None = None, task_id: str | None = None
) -> Error:
    """Return the `error` message for an exception. `detail` is never part of it."""
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
    """Describe the state of Xinference, and what to do about it, in a language."""
    return Upstream(state=state, message=translate(f"upstream.{state}", lang), cure=translate(f"cure.{state}", lang))


def upstream_notice(state: UpstreamState, models: list[ModelInfo], lang: str, now: float) -> Notice:
    """Return the notice that Xinference or its models changed."""
    upstream = upstream_status(state, lang)
    return Notice(kind="upstream", message=upstream.message, timestamp=now, upstream=upstream, models=models)
