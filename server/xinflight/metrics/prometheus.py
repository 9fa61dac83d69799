"""The metrics of one gateway, with prometheus-client."""

import asyncio
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from itertools import chain
from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge, ProcessCollector
from prometheus_client.core import Metric
from prometheus_client.exposition import choose_encoder

from xinflight.gateway import Gateway
from xinflight.metrics.labels import Names
from xinflight.metrics.metrics import Registry
from xinflight.metrics.state import data_folder, gateway_state, single
from xinflight.metrics.telemetry import PrometheusTelemetry

__all__ = ["LAG_INTERVAL", "PrometheusMetrics"]

VERSION = version("xinflight")
MODELS = 32
"""Models that are told apart, of all that ran since the start: each has some 100 series."""
LAG_INTERVAL = 0.25
"""Seconds between two measurements of the event loop's lag."""


class _Collected:
    """Metrics that were collected already, as an encoder asks for them."""

    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        return self._metrics


class PrometheusMetrics:
    """Count in a registry of its own, so that several gateways of one process don't meet.

    With a host's `registry`, everything is shown there, too, but for the metrics of the process: the host has them.
    """

    def __init__(self, registry: Registry | None) -> None:
        self._hosts = registry
        self._counted = CollectorRegistry()
        self._models = Names(MODELS)
        self._process = ProcessCollector(registry=None)
        self._gateway: Gateway | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        Gauge("xinflight_info", "1, with the version of xinflight", ["version"], registry=self._counted).labels(
            VERSION
        ).set(1)
        self.telemetry = PrometheusTelemetry(self._counted, self._models)

    def attach(self, gateway: Gateway) -> None:
        """Read the state of a gateway at each scrape, and register with the host's registry."""
        self._gateway = gateway
        if self._hosts is not None:
            self._hosts.register(self)

    def close(self) -> None:
        """Leave the host's registry."""
        if self._hosts is not None:
            self._hosts.unregister(self)

    async def run(self) -> None:
        """Measure by how much the event loop is late, every LAG_INTERVAL, until cancelled."""
        assert self._gateway is not None  # attached before it is opened
        clock = self._gateway.clock
        self._loop = asyncio.get_running_loop()
        while True:
            due = clock.monotonic() + LAG_INTERVAL
            await clock.sleep(LAG_INTERVAL)
            self.telemetry.lagged(max(clock.monotonic() - due, 0.0))

    async def expose(self, accept: str) -> tuple[bytes, str]:
        """Return all metrics and their Content-Type: OpenMetrics, or Prometheus' own text format.

        Only the gateway's state is read on the loop, where it changes; the text is written in a thread.
        """
        encode, content_type = choose_encoder(accept)
        state = self._state()

        def write() -> bytes:
            return encode(_Collected(chain(state, self._rest(), self._process.collect())))

        return await asyncio.to_thread(write), content_type

    # A collector of the host's registry

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics but those of the process. Call it on the event loop of the gateway."""
        yield from self._state()
        yield from self._rest()

    def describe(self) -> list[Metric]:
        """Return the metrics, by which a registry finds out that another gateway has registered the same."""
        return list(self.collect())

    def _state(self) -> list[Metric]:
        assert self._gateway is not None  # attached before anybody can ask
        return gateway_state(self._gateway, self._models)

    def _rest(self) -> Iterator[Metric]:
        """Yield what was counted, and what the system says; safe in any thread."""
        for metric in self._counted.collect():
            # When a series began doubles their number, and Prometheus makes nothing of it.
            metric.samples = [sample for sample in metric.samples if not sample.name.endswith("_created")]
            yield metric
        if self._loop is not None:
            yield single("asyncio_tasks", "Tasks of the event loop", len(asyncio.all_tasks(self._loop)))
        folder = None if self._gateway is None else self._gateway.settings.data_dir
        if folder is not None:
            yield from data_folder(Path(folder))
