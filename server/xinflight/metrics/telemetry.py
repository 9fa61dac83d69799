"""Count what happens in a gateway, as counters and histograms of prometheus-client."""

from collections.abc import Sequence
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Histogram

from xinflight.errors import UpstreamError
from xinflight.metrics.labels import Labelled, Names
from xinflight.protocol import CancelOutcome, State
from xinflight.telemetry import Telemetry

__all__ = ["PrometheusTelemetry"]

TASKS = 64
"""Background tasks that are told apart by name: some ten, and two for each pool."""
WAITS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0)
"""Bounds of histograms of what people wait for, in seconds: from what nobody notices to a queue overnight."""
CANCELS = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
COMMITS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)
LAGS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)
BATCHES = (1, 2, 5, 10, 20, 50, 100, 200, 500)

FAILURES = tuple(error.code for error in UpstreamError.__subclasses__())
"""Codes with which attempts fail."""

MODEL = ("model", "kind")


class PrometheusTelemetry(Telemetry):
    """Count everything in a registry. `models` names the models, whose series are bounded.

    With children at hand, a call takes one to two microseconds.
    """

    def __init__(self, registry: CollectorRegistry, models: Names) -> None:
        self._models = models
        self._tasks = Names(TASKS)

        def counter(name: str, meaning: str, labels: Sequence[str] = ()) -> Counter:
            return Counter(f"xinflight_{name}", meaning, labels, registry=registry)

        def histogram(name: str, meaning: str, buckets: Sequence[float], labels: Sequence[str] = ()) -> Histogram:
            return Histogram(f"xinflight_{name}", meaning, labels, registry=registry, buckets=buckets)

        self._queue_wait = Labelled(
            histogram("queue_wait_seconds", "From joining the queue to getting a slot", WAITS, MODEL)
        )
        self._first_progress = Labelled(
            histogram(
                "first_progress_seconds",
                "From ack to the first progress, text or result, of outputs that somebody watches",
                WAITS,
                MODEL,
            )
        )
        self._output = Labelled(
            histogram("output_seconds", "From ack to the result, of completed outputs", WAITS, MODEL)
        )
        self._outputs_ended = Labelled(
            counter("outputs_ended_total", "Outputs that ended, by how they ended", (*MODEL, "state"))
        )
        self._cancel = Labelled(
            histogram(
                "cancel_seconds",
                "From the abort of a cancelled output to its end, by what the cancel achieved; 0 if nothing ran",
                CANCELS,
                ("outcome",),
            )
        )
        self._resumes = Labelled(
            counter(
                "resumes_total",
                "Clients that came back with a cursor: recovered, with a gap, or while the database was unavailable",
                ("outcome",),
            )
        )
        self._slow_readers = Labelled(
            counter("slow_readers_total", "Clients that were disconnected since they did not read", ("transport",))
        )
        self._refusals = Labelled(
            counter("refusals_total", "Requests, messages and connections that were refused, by code", ("code",))
        )
        self._attempts = Labelled(counter("attempts_total", "Requests for outputs sent to Xinference", MODEL))
        self._attempt_failures = Labelled(
            counter(
                "attempt_failures_total", "Requests for outputs that failed, tried again or not", (*MODEL, "code")
            )
        )
        self._polls = counter("polls_total", "Questions to Xinference for the progress of a request")
        self._commits = histogram("store_commit_seconds", "Duration of a commit of the database", COMMITS)
        self._commit_writes = histogram("store_commit_writes", "Writes that are stored by one commit", BATCHES)
        self._commit_failures = counter("store_commit_failures_total", "Commits that failed and are tried again")
        self._background_failures = Labelled(
            counter("background_failures_total", "Background tasks that failed and were restarted", ("task",))
        )
        self._lag = histogram("loop_lag_seconds", "Delay of the event loop, sampled four times a second", LAGS)
        # A share is wrong until all of its parts have been seen once; these are few enough to show from the start.
        for outcome in CancelOutcome:
            self._cancel.of(outcome)
        for came in ("recovered", "gap", "unavailable"):
            self._resumes.of(came)
        for transport in ("websocket", "stream"):
            self._slow_readers.of(transport)

    def started(self, model: str, kind: str, waited: float) -> None:
        """Observe a wait in the queue."""
        self._queue_wait.of(self._models.label(model), kind).observe(waited)

    def first_progress(self, model: str, kind: str, seconds: float) -> None:
        """Observe the time to the first progress."""
        self._first_progress.of(self._models.label(model), kind).observe(seconds)

    def output_ended(self, model: str, kind: str, state: str, seconds: float) -> None:
        """Count an end, and observe how long it took if there is an output."""
        label = self._models.label(model)
        self._outputs_ended.of(label, kind, state).inc()
        if state == State.COMPLETED:
            self._output.of(label, kind).observe(seconds)

    def cancelled(self, outcome: str, seconds: float) -> None:
        """Observe a cancel."""
        self._cancel.of(outcome).observe(seconds)

    def resumed(self, outcome: Literal["recovered", "gap", "unavailable"]) -> None:
        """Count a resume."""
        self._resumes.of(outcome).inc()

    def slow_reader(self, transport: Literal["websocket", "stream"]) -> None:
        """Count a slow reader."""
        self._slow_readers.of(transport).inc()

    def refused(self, code: str) -> None:
        """Count a refusal."""
        self._refusals.of(code).inc()

    def attempt_sent(self, model: str, kind: str) -> None:
        """Count an attempt."""
        label = self._models.label(model)
        self._attempts.of(label, kind).inc()
        # Those that failed before a series was seen for the first time are no increase to Prometheus: it begins at 0.
        for code in FAILURES:
            self._attempt_failures.of(label, kind, code)

    def attempt_failed(self, model: str, kind: str, code: str) -> None:
        """Count a failed attempt."""
        self._attempt_failures.of(self._models.label(model), kind, code).inc()

    def polled(self) -> None:
        """Count a poll."""
        self._polls.inc()

    def committed(self, seconds: float, writes: int) -> None:
        """Observe a commit."""
        self._commits.observe(seconds)
        self._commit_writes.observe(writes)

    def commit_failed(self) -> None:
        """Count a failed commit."""
        self._commit_failures.inc()

    def task_failed(self, name: str) -> None:
        """Count a failure of a background task."""
        self._background_failures.of(self._tasks.label(name)).inc()

    def lagged(self, seconds: float) -> None:
        """Observe how late the event loop was."""
        self._lag.observe(seconds)
