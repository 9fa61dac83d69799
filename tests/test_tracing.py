"""Trace contexts: which are taken, and what comes of them with an SDK, without one, and with a broken one."""

import subprocess
import sys
from collections.abc import Iterator

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from structlog.testing import capture_logs

from trace_kit import TRACE, TRACEPARENT, Spans, provide
from xinflight import tracing
from xinflight.tracing import accept_traceparent, choose_parent, current_traceparent, record, span

pytest_plugins = ["trace_fixtures"]

OTHER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
BAD = [
    "",
    "00",
    TRACEPARENT[:-1],
    TRACEPARENT + " ",
    TRACEPARENT + "\n",
    TRACEPARENT.upper(),
    TRACEPARENT + "-more",
    "ff" + TRACEPARENT[2:],
    "0g" + TRACEPARENT[2:],
    f"00-{'0' * 32}-00f067aa0ba902b7-01",
    f"00-{TRACE}-{'0' * 16}-01",
    "cc-" + "1" * 500,
    "٠٠" + TRACEPARENT[2:],
]


@pytest.fixture(autouse=True)
def nothing_accepted() -> Iterator[None]:
    """Forget afterwards what a test has accepted: all of them share a context."""
    token = tracing._traceparent.set(None)
    yield
    tracing._traceparent.reset(token)


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        (TRACEPARENT, TRACEPARENT),
        (OTHER, OTHER),
        (TRACEPARENT[:-2] + "ff", TRACEPARENT[:-2] + "03"),
        ("cc" + TRACEPARENT[2:], TRACEPARENT),
        ("cc" + TRACEPARENT[2:] + "-what-comes-later", TRACEPARENT),
    ],
)
def test_a_valid_context_is_taken(given: str, taken: str) -> None:
    accept_traceparent(given)
    assert current_traceparent() == choose_parent(None) == taken


@pytest.mark.parametrize("given", BAD)
def test_any_other_is_ignored(given: str) -> None:
    accept_traceparent(OTHER)
    accept_traceparent(given)
    assert current_traceparent() == choose_parent(given) == OTHER


def test_a_message_comes_before_the_span_of_the_host_and_that_before_the_header(spans: Spans) -> None:
    accept_traceparent(OTHER)
    with trace.get_tracer("host").start_as_current_span("request") as request:
        trace_id = f"{request.get_span_context().trace_id:032x}"
        assert (current_traceparent() or "").startswith(f"00-{trace_id}-{spans.id_of(request)}-0")
        assert choose_parent(None) is None, "the current one"
        assert choose_parent(TRACEPARENT) == TRACEPARENT
        with span("inner", None, dict):
            pass
    assert spans.parent("inner") == spans.id_of(request)
    assert choose_parent(None) == OTHER


def never() -> dict[str, str]:
    raise AssertionError("attributes are gathered for nobody")


def test_without_an_sdk_nothing_is_gathered() -> None:
    accept_traceparent(OTHER)
    with span("outer", TRACEPARENT, never) as outer:
        outer.set(never)
        outer.fail("internal")
        assert outer.traceparent == current_traceparent() == TRACEPARENT
        with span("inner", None, never) as inner:
            assert inner.traceparent == TRACEPARENT
    record("wait", None, never, 1.0)
    assert current_traceparent() == OTHER


def test_without_the_package_too(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("opentelemetry")]:
        monkeypatch.delitem(sys.modules, name)
    # An import of it fails from here on.
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    test_without_an_sdk_nothing_is_gathered()


@pytest.mark.process
def test_it_is_never_imported() -> None:
    code = "import sys, xinflight.cli; sys.exit(any(name.startswith('opentelemetry') for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_module_that_is_just_being_loaded_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.trace", type(sys)("opentelemetry.trace"))
    test_without_an_sdk_nothing_is_gathered()


def test_a_provider_that_records_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    provide(monkeypatch, trace.NoOpTracerProvider())
    with span("outer", TRACEPARENT, dict) as outer:
        assert outer.traceparent == TRACEPARENT
    with span("outer", None, dict) as outer:
        assert outer.traceparent is None


def test_what_is_not_sampled_stays_so(monkeypatch: pytest.MonkeyPatch) -> None:
    provide(monkeypatch, TracerProvider(sampler=ALWAYS_OFF))
    with span("outer", TRACEPARENT, dict) as outer:
        assert outer.traceparent is not None
        assert outer.traceparent.startswith(f"00-{TRACE}-")
        assert outer.traceparent.endswith("-00")


class Broken(SpanProcessor):
    def __init__(self, where: str) -> None:
        self._where = where

    def on_start(self, span: trace.Span, parent_context: object = None) -> None:
        if self._where == "start":
            raise RuntimeError("full")

    def on_end(self, span: ReadableSpan) -> None:
        if self._where == "end":
            raise RuntimeError("full")


@pytest.mark.parametrize("where", ["start", "end"])
def test_a_broken_processor_breaks_nothing_else(monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    provider = TracerProvider()
    provider.add_span_processor(Broken(where))
    provide(monkeypatch, provider)
    with capture_logs() as lines, span("outer", TRACEPARENT, dict) as outer:
        assert outer.traceparent is not None
    assert current_traceparent() is None
    assert [line["event"] for line in lines] == ["span not recorded"]


def test_the_span_is_the_hosts_current_one(spans: Spans) -> None:
    """So that its log lines, and the spans of its other instrumentations, belong to it."""
    with span("outer", TRACEPARENT, lambda: {"a": 1}, client=True) as outer:
        current = trace.get_current_span()
        assert spans.id_of(current) in (outer.traceparent or "")
        record("inner", outer.traceparent, lambda: {"b": 2}, 1.5)
    assert not trace.get_current_span().get_span_context().is_valid
    inner, outermost = spans.finished()
    assert (outermost.name, outermost.kind, dict(outermost.attributes or {})) == (
        "outer",
        trace.SpanKind.CLIENT,
        {"a": 1},
    )
    assert inner.start_time is not None
    assert inner.end_time is not None
    assert 1.4e9 < inner.end_time - inner.start_time < 1.6e9 + 60e9
    assert spans.trace_ids() == {TRACE}


def test_an_exception_ends_the_span(spans: Spans) -> None:
    with pytest.raises(ValueError, match="x"), span("outer", TRACEPARENT, dict):
        raise ValueError("x")
    (one,) = spans.finished()
    assert one.status.status_code is trace.StatusCode.UNSET
    assert not one.events, "tracebacks may have prompts"
