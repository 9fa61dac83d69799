"""An SDK of OpenTelemetry as a host sets one up, that keeps its spans in memory.

A test module takes it with `pytest_plugins = ["trace_fixtures"]`.
"""

from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from trace_kit import Spans, provide


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[Spans]:
    """Set an SDK up, to the end of the test, and give its spans."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    provide(monkeypatch, provider)
    yield Spans(exporter)
    provider.shutdown()
