"""The metrics of one gateway, as the application and its handlers see them."""

from typing import Any, Protocol

from xinflight.gateway import Gateway
from xinflight.telemetry import Telemetry

__all__ = ["Metrics", "Registry"]


class Registry(Protocol):
    """What is needed of a host's `prometheus_client.CollectorRegistry`."""

    def register(self, collector: Any) -> None:
        """Add a collector; raise ValueError if one with the same metrics is there."""

    def unregister(self, collector: Any) -> None:
        """Remove a collector."""


class Metrics(Protocol):
    """Count what `telemetry` is told, and show it with what the gateway says of itself."""

    @property
    def telemetry(self) -> Telemetry:
        """What counts."""

    def attach(self, gateway: Gateway) -> None:
        """Read the state of a gateway at each scrape from now on. Raises ValueError, as `Registry.register`."""

    async def expose(self, accept: str) -> tuple[bytes, str]:
        """Return all metrics and their Content-Type, in the format that a header Accept asks for."""

    async def run(self) -> None:
        """Measure the lag of the event loop until cancelled."""

    def close(self) -> None:
        """Leave the host's registry."""
