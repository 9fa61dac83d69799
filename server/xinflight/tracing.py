"""OpenTelemetry spans, and the W3C trace context by which they belong to the trace of whoever asked.

Spans are recorded where the host has set up an SDK, and nowhere else; then `opentelemetry.trace` is among the loaded
modules, so it is never imported here. The trace context is passed on in any case (https://www.w3.org/TR/trace-context/).
"""

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar, Token
from functools import lru_cache
from time import time_ns
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import structlog

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Tracer, TracerProvider

__all__ = ["Attributes", "Span", "accept_traceparent", "choose_parent", "current_traceparent", "record", "span"]

log = structlog.stdlib.get_logger(__name__)

Attributes = Mapping[str, str | bool | int | float | Sequence[str]]
OnError = Callable[["Span", BaseException], None]

# The parts that all versions have. A later one may have more, and is passed on as the version that this module knows.
_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_FLAGS = 0x03
"""The flags that are defined: sampled, and a random trace id."""
_traceparent: ContextVar[str | None] = ContextVar("xinflight.traceparent", default=None)


def accept_traceparent(text: str) -> None:
    """Let what happens in the current context belong to a client's trace. A malformed `traceparent` is ignored."""
    valid = _valid(text)
    if valid is not None:
        _traceparent.set(valid)


def choose_parent(text: str | None) -> str | None:
    """Return the parent of what a message asks for: its own `traceparent`, else that of the current context.

    None stands for the host's current span, of which more is known than a `traceparent` has, or for none.
    """
    valid = None if text is None else _valid(text)
    return valid or (None if _current() is not None else _traceparent.get())


def current_traceparent() -> str | None:
    """Return the `traceparent` of the current span, else that of the client, else None."""
    context = _current()
    return _traceparent.get() if context is None else _format(context)


def _current() -> Any:
    """Return the context of the current span of OpenTelemetry, or None."""
    trace = _api()
    context = None if trace is None else trace.get_current_span().get_span_context()
    return context if context is not None and context.is_valid else None


def _valid(text: str) -> str | None:
    match = _TRACEPARENT.fullmatch(text)
    if match is None or (text.startswith("00") and match[4]):
        return None
    return f"00-{match[1]}-{match[2]}-{int(match[3], 16) & _FLAGS:02x}"


class Span:
    """A span that is recorded, or without an SDK nothing; as a context manager, the host's current span to its end.

    `traceparent` is the context of what it leads to. With an exception, `on_error` may set attributes, or fail it.
    """

    __slots__ = ("_attached", "_on_error", "_recorded", "_token", "traceparent")

    def __init__(self, traceparent: str | None, recorded: Any = None, on_error: OnError | None = None) -> None:
        self.traceparent = traceparent
        self._recorded = recorded
        self._on_error = on_error
        self._token: Token[str | None] | None = None
        self._attached: Any = None

    def set(self, attributes: Callable[[], Attributes]) -> None:
        """Add attributes; the function is not called where nothing is recorded."""
        if self._recorded is not None:
            self._recorded.set_attributes(attributes())

    def fail(self, code: str) -> None:
        """Mark it as failed, with the code of an error."""
        if self._recorded is not None:
            from opentelemetry.trace import Status, StatusCode

            self._recorded.set_attribute("error.type", code)
            self._recorded.set_status(Status(StatusCode.ERROR, code))

    def end(self) -> None:
        """End it. A span processor of the host that fails is logged: no task may fail with it."""
        if self._recorded is not None:
            try:
                self._recorded.end()
            except Exception:
                log.exception("span not recorded")

    def __enter__(self) -> Self:
        if self.traceparent is not None:
            self._token = _traceparent.set(self.traceparent)
        if self._recorded is not None:
            from opentelemetry.context import attach
            from opentelemetry.trace import set_span_in_context

            self._attached = attach(set_span_in_context(self._recorded))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._recorded is not None:
            from opentelemetry.context import detach

            detach(self._attached)
            if error is not None and self._on_error is not None:
                self._on_error(self, error)
            self.end()
        if self._token is not None:
            _traceparent.reset(self._token)


def span(
    name: str,
    parent: str | None,
    attributes: Callable[[], Attributes],
    on_error: OnError | None = None,
    *,
    client: bool = False,
    started_at: int | None = None,
) -> Span:
    """Return a started span below a `traceparent`, or with None below the current span.

    `client` marks a call to another service; `started_at` is in nanoseconds of Unix time, by default now.
    """
    tracer = _tracer()
    if tracer is None:
        return Span(parent or current_traceparent())
    from opentelemetry.trace import SpanKind

    kind = SpanKind.CLIENT if client else SpanKind.INTERNAL
    try:
        recorded = tracer.start_span(name, _context(parent), kind, attributes(), start_time=started_at)
    except Exception:
        log.exception("span not recorded")
        return Span(parent or current_traceparent())
    context = recorded.get_span_context()
    # A provider that records nothing gives spans without an id.
    return Span(_format(context) if context.is_valid else parent, recorded, on_error)


def record(name: str, parent: str | None, attributes: Callable[[], Attributes], seconds: float) -> None:
    """Record what has taken `seconds` until now as a span below a `traceparent`."""
    if _tracer() is not None:
        span(name, parent, attributes, started_at=time_ns() - int(seconds * 1e9)).end()


def _context(parent: str | None) -> "Context | None":
    if parent is None:
        return None
    from opentelemetry.context import Context
    from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

    _, trace_id, span_id, flags = parent.split("-")
    context = SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=True, trace_flags=TraceFlags(int(flags, 16)))
    return set_span_in_context(NonRecordingSpan(context), Context())


def _api() -> Any:
    """Return the module `opentelemetry.trace`, or None if nobody has loaded it."""
    trace = sys.modules.get("opentelemetry.trace")
    # Another thread may just be loading it.
    return trace if hasattr(trace, "get_tracer_provider") else None


def _tracer() -> "Tracer | None":
    """Return the tracer of the host's SDK, or None if it has set none up."""
    trace = _api()
    if trace is None:
        return None
    provider = trace.get_tracer_provider()
    return None if isinstance(provider, trace.ProxyTracerProvider) else _tracer_of(provider)


@lru_cache(maxsize=1)  # a process has one provider
def _tracer_of(provider: "TracerProvider") -> "Tracer":
    return provider.get_tracer("xinflight")


def _format(context: Any) -> str:
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags & _FLAGS:02x}"
