"""The spans that a test looks at, and the trace that they belong to."""

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

__all__ = ["PARENT", "TRACE", "TRACEPARENT", "Spans", "provide"]

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TRACEPARENT = f"00-{TRACE}-{PARENT}-01"
"""The example of the specification."""


class Spans:
    """The spans that have ended."""

    def __init__(self, exporter: InMemorySpanExporter) -> None:
        self._exporter = exporter

    def finished(self, name: str | None = None) -> list[ReadableSpan]:
        """Return them in the order of their ends, or those with a name."""
        return [span for span in self._exporter.get_finished_spans() if name in (None, span.name)]

    def one(self, name: str) -> ReadableSpan:
        """Return the only one with a name."""
        (found,) = self.finished(name)
        return found

    def names(self) -> list[str]:
        """Return their names, in the order of their ends."""
        return [span.name for span in self.finished()]

    def parent(self, name: str) -> str | None:
        """Return the id of the parent of the spans with a name."""
        (found,) = {None if span.parent is None else f"{span.parent.span_id:016x}" for span in self.finished(name)}
        return found

    def id(self, name: str) -> str:
        """Return the id of the only span with a name."""
        context = self.one(name).context
        assert context is not None
        return f"{context.span_id:016x}"

    def id_of(self, span: trace.Span) -> str:
        """Return the id of a span."""
        return f"{span.get_span_context().span_id:016x}"

    def trace_ids(self) -> set[str]:
        """Return the traces that they belong to."""
        return {f"{span.context.trace_id:032x}" for span in self.finished() if span.context is not None}


def provide(monkeypatch: pytest.MonkeyPatch, provider: trace.TracerProvider) -> None:
    """Set a provider up, to the end of the test; its own function does so once per process."""
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
