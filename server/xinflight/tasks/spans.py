"""The spans of a task: accept, wait, one per attempt, store, deliver.

Attributes have the names of OpenTelemetry's semantic conventions where there are some (`gen_ai`, `http`, `error`,
`file`). None has a text that a client wrote but its own id of the task: no prompts, no messages, no owner.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from xinflight.errors import UpstreamFailed, XinflightError
from xinflight.model import Event, Task
from xinflight.protocol import Cancelled, Error, OutputEvent, TaskRequest
from xinflight.tasks.runs import OutputRun
from xinflight.tracing import Attributes, Span, choose_parent, record, span
from xinflight.upstream import KINDS, Aborted, Answer, Made, RouteMissing

__all__ = ["accepted", "accepting", "answered", "attempting", "record_delivery", "record_wait", "storing"]


@contextmanager
def accepting(request: TaskRequest) -> Iterator[Span]:
    """Record the acceptance of a request, below its own trace context or that of the call. All else is below this."""
    with span("accept", choose_parent(request.traceparent), dict) as accept:
        try:
            yield accept
        except XinflightError as error:
            code = error.code
            accept.set(lambda: {"error.type": code})
            # What is refused for a mistake of the client's is no failure (as with HTTP's 4xx).
            if error.status >= 500:
                accept.fail(code)
            raise


def accepted(accept: Span, task: Task, *, fresh: bool) -> None:
    """Name the task that was accepted, or that was known already."""
    accept.set(lambda: {**_of_task(task), "gen_ai.request.choice.count": task.params.n, "xinflight.known": not fresh})


def record_wait(run: OutputRun, seconds: float, ended: str | None = None) -> None:
    """Record how long an output stood in the queue, until it got a slot or with `ended` came to that end."""
    end: Attributes = {} if ended is None else {"xinflight.state": ended}
    record("wait", run.task.traceparent, lambda: {**_of_run(run), "xinflight.pool": run.task.pool, **end}, seconds)


@contextmanager
def attempting(run: OutputRun, model: str) -> Iterator[Span]:
    """Record one request to Xinference, until it is known to have ended."""
    operation = "chat" if KINDS[run.task.kind].streams else "generate_content"
    with span(
        f"{operation} {model}", run.task.traceparent, lambda: _of_attempt(run, operation, model), client=True
    ) as attempt:
        try:
            yield attempt
        except Aborted:
            attempt.set(lambda: {"xinflight.cancelled": True})
            raise
        except RouteMissing:
            attempt.fail("route_missing")
            raise
        except XinflightError as error:
            status = error.upstream_status if isinstance(error, UpstreamFailed) else None
            if status is not None:
                attempt.set(lambda: {"http.response.status_code": status})
            attempt.fail(error.code)
            raise


def answered(attempt: Span, output: Made) -> None:
    """Add what is known of an answer."""
    attempt.set(lambda: {"http.response.status_code": 200, **_of_answer(output)})


@contextmanager
def storing(run: OutputRun, output: Made) -> Iterator[None]:
    """Record the storing of an output, until the event that tells of it is committed."""
    size: Attributes = {} if isinstance(output, Answer) else {"file.size": len(output)}
    with span("store", run.task.traceparent, lambda: {**_of_run(run), **size}) as store:
        try:
            yield
        except XinflightError as error:
            store.fail(error.code)
            raise


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
