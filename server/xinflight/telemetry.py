"""What happens in one gateway, told to whoever counts it. The `Telemetry` of this module counts nothing."""

from typing import Literal

__all__ = ["UNCOUNTED", "Telemetry"]


class Telemetry:
    """Receives what happens, and does nothing with it; a subclass overrides what it counts.

    Every method is called on the event loop, some for each poll or commit, so it must return within microseconds,
    and must not raise. Durations are in seconds. `model` is the name of a pool: the uid of its model, unless the
    settings give several models one pool; "" while no model is known. No method is told an owner or a task.
    """

    # What people feel

    def started(self, model: str, kind: str, waited: float) -> None:
        """An output got a slot after it stood in the queue for `waited`. Once more after each return to the queue."""

    def first_progress(self, model: str, kind: str, seconds: float) -> None:
        """An output with somebody watching showed its first progress, text or result, `seconds` after its `ack`."""

    def output_ended(self, model: str, kind: str, state: str, seconds: float) -> None:
        """An output came to its end, `seconds` after it was accepted."""

    def cancelled(self, outcome: str, seconds: float) -> None:
        """A cancelled output ended with a `CancelOutcome`, `seconds` after its abort was sent; 0.0 if none was."""

    def resumed(self, outcome: Literal["recovered", "gap", "unavailable"]) -> None:
        """A client came back with a cursor: nothing is missing, or something is, or the store could not be read."""

    def slow_reader(self, transport: Literal["websocket", "stream"]) -> None:
        """A client that did not read was disconnected."""

    def refused(self, code: str) -> None:
        """A request, a message or a connection was refused with an error code."""

    # What runs

    def attempt_sent(self, model: str, kind: str) -> None:
        """A request for an output is sent to Xinference."""

    def attempt_failed(self, model: str, kind: str, code: str) -> None:
        """A request for an output failed, whether it is tried again or not."""

    def polled(self) -> None:
        """Xinference is asked for the progress of a request."""

    def committed(self, seconds: float, writes: int) -> None:
        """The store accepted a batch of writes."""

    def commit_failed(self) -> None:
        """The store did not accept a batch of writes."""

    def task_failed(self, name: str) -> None:
        """A supervised asyncio task failed, and is restarted unless the gateway closes."""


UNCOUNTED = Telemetry()
"""For whoever is given no other one."""
