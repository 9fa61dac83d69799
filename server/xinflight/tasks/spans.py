"""The spans of a task: accept, wait, one per attempt, store, deliver.

Attributes have the names of OpenTelemetry's semantic conventions where there are some (`gen_ai`, `http`, `error`,
`file`). None has a text that a client wrote but its own id of the task: no prompts, no messages, no owner.
"""

from xinflight.errors import UpstreamFailed, XinflightError
from xinflight.model import Event, Task
from xinflight.protocol import Cancelled, Error, OutputEvent, TaskRequest
from xinflight.tasks.runs import OutputRun
from xinflight.tracing import Attributes, Span, choose_parent, record, span
from xinflight.upstream import KINDS, Aborted, Answer, Made, RouteMissing

__all__ = ["accepted", "accepting", "answered", "attempting", "record_delivery", "record_wait", "storing"]


def accepting(request: TaskRequest) -> Span:
    """Record the acceptance of a request, below its own trace context or that of the call. All else is below this."""
    return span("accept", choose_parent(request.traceparent), dict, _refused)


def _refused(accept: Span, error: BaseException) -> None:
    if isinstance(error, XinflightError):
        code = error.code
        accept.set(lambda: {"error.type": code})
        # What is refused for a mistake of the client's is no failure (as with HTTP's 4xx).
        if error.status >= 500:
            accept.fail(code)


def accepted(accept: Span, task: Task, *, fresh: bool) -> None:
    """Name the task that was accepted, or that was known already."""
    accept.set(lambda: {**_of_task(task), "gen_ai.request.choice.count": task.params.n, "xinflight.known": not fresh})


def record_wait(run: OutputRun, seconds: float, ended: str | None = None) -> None:
    """Record how long an output stood in the queue, until it got a slot or with `ended` came to that end."""
    end: Attributes = {} if ended is None else {"xinflight.state": ended}
    record("wait", run.task.traceparent, lambda: {**_of_run(run), "xinflight.pool": run.task.pool, **end}, seconds)


def attempting(run: OutputRun, model: str) -> Span:
    """Record one request to Xinference, until it is known to have ended."""
    operation = "chat" if KINDS[run.task.kind].streams else "generate_content"
    return span(
        f"{operation} {model}",
        run.task.traceparent,
        lambda: _of_attempt(run, operation, model),
        _not_answered,
        client=True,
    )


def _not_answered(attempt: Span, error: BaseException) -> None:
    if isinstance(error, Aborted):
        attempt.set(lambda: {"xinflight.cancelled": True})
    elif isinstance(error, RouteMissing):
        attempt.fail("route_missing")
    elif isinstance(error, XinflightError):
        status = error.upstream_status if isinstance(error, UpstreamFailed) else None
        if status is not None:
            attempt.set(lambda: {"http.response.status_code": status})
        attempt.fail(error.code)


def answered(attempt: Span, output: Made) -> None:
    """Add what is known of an answer."""
    attempt.set(lambda: {"http.response.status_code": 200, **_of_answer(output)})


def storing(run: OutputRun, output: Made) -> Span:
    """Record the storing of an output, until the event that tells of it is committed."""
    size: Attributes = {} if isinstance(output, Answer) else {"file.size": len(output)}
    return span("store", run.task.traceparent, lambda: {**_of_run(run), **size}, _not_stored)


def _not_stored(store: Span, error: BaseException) -> None:
    if isinstance(error, XinflightError):
        store.fail(error.code)


def record_delivery(event: Event, now: float) -> None:
    """Record how long it took from an event until the socket of one client had taken it; `now` is Unix seconds.

    Of outputs and ends, and not of replays, which may come any time later.
    """
    message = event.message
    if event.traceparent is None or not (event.ends or isinstance(message, OutputEvent)):
        return
    about: dict[str, str | int] = {
        "xinflight.task.id": message.task_id or "",
        "xinflight.message": str(message.__struct_config__.tag),
    }
    if isinstance(message, OutputEvent):
        about["xinflight.output.index"] = message.index
    elif isinstance(message, Cancelled):
        about["xinflight.cancel.outcome"] = message.upstream
    elif isinstance(message, Error):
        about["xinflight.code"] = message.code
    record("deliver", event.traceparent, lambda: about, max(now - message.timestamp, 0.0))


def _of_task(task: Task) -> dict[str, str | int]:
    about: dict[str, str | int] = {"xinflight.task.id": task.task_id, "xinflight.kind": task.kind}
    if task.request_id is not None:
        about["xinflight.request_id"] = task.request_id
    if task.params.model is not None:
        about["gen_ai.request.model"] = task.params.model
    return about


def _of_run(run: OutputRun) -> dict[str, str | int]:
    return {**_of_task(run.task), "xinflight.output.index": run.output.index}


def _of_attempt(run: OutputRun, operation: str, model: str) -> Attributes:
    params = run.task.params
    known = {
        "gen_ai.request.max_tokens": params.max_tokens,
        "gen_ai.request.temperature": params.temperature,
        "gen_ai.request.top_p": params.top_p,
        "gen_ai.request.presence_penalty": params.presence_penalty,
        "gen_ai.request.frequency_penalty": params.frequency_penalty,
        "gen_ai.request.seed": run.output.seed if operation != "chat" else params.seed,
    }
    return {
        **_of_run(run),
        **{name: value for name, value in known.items() if value is not None},
        "gen_ai.operation.name": operation,
        "gen_ai.provider.name": "xinference",
        "gen_ai.request.model": model,
        "gen_ai.output.type": {"chat": "text", "video": "video"}.get(run.task.kind, "image"),
        "http.request.method": "POST",
        "xinflight.attempt": run.output.attempt,
        "xinflight.upstream.request_id": run.output.request_id,
    }


def _of_answer(output: Made) -> Attributes:
    if not isinstance(output, Answer):
        return {}
    about: dict[str, str | int | list[str]] = {}
    if output.end.finish_reason is not None:
        about["gen_ai.response.finish_reasons"] = [output.end.finish_reason]
    if output.end.usage is not None:
        about["gen_ai.usage.input_tokens"] = output.end.usage.prompt_tokens
        about["gen_ai.usage.output_tokens"] = output.end.usage.completion_tokens
    return about
