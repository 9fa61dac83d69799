"""What a gateway says of itself when it is scraped; nothing of it is counted or costs anything in between."""

import os
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from prometheus_client.core import GaugeMetricFamily, Metric

from xinflight.gateway import Gateway
from xinflight.metrics.labels import Names
from xinflight.protocol import UpstreamState
from xinflight.tasks import PoolLoad

__all__ = ["data_folder", "gateway_state", "pool_loads", "single"]


def _gauge(
    name: str, meaning: str, labels: Sequence[str], values: Iterable[tuple[tuple[str, ...], float]]
) -> GaugeMetricFamily:
    """Return a gauge with a value for each combination of labels."""
    family = GaugeMetricFamily(f"xinflight_{name}", meaning, labels=labels)
    for combination, value in values:
        family.add_metric(combination, value)
    return family


def single(name: str, meaning: str, value: float) -> GaugeMetricFamily:
    """Return a gauge without labels."""
    return GaugeMetricFamily(f"xinflight_{name}", meaning, value=value)


def gateway_state(gateway: Gateway, models: Names) -> list[Metric]:
    """Return the gauges of a gateway; costs as much as it has models, whatever waits and runs. Reads no file."""
    state = gateway.upstream.state
    return [
        single(
            "connections", "Open WebSockets, event streams and loops of the host's code", gateway.connections.count
        ),
        single("connections_max", "How many of those there may be", gateway.settings.connections),
        *pool_loads(gateway.load(), models),
        _gauge(
            "upstream_state",
            "1 for the state that Xinference is in, 0 for the others",
            ["state"],
            [((each,), each is state) for each in UpstreamState],
        ),
        single("storing", "1 while events and files can be stored, else 0", gateway.storing),
        single("draining", "1 while the server is stopping, else 0", gateway.draining),
        single(
            "failing_background_tasks",
            "Background tasks that failed within the last minute, or wait for their restart",
            len(gateway.supervisor.failing),
        ),
    ]


def pool_loads(loads: Sequence[PoolLoad], models: Names) -> Iterator[Metric]:
    """Yield what waits and runs by model; those beyond the bound of names are one series together."""
    tasks, waiting = Counter[tuple[str, ...]](), Counter[tuple[str, ...]]()
    outputs, slots = Counter[tuple[str, ...]](), Counter[tuple[str, ...]]()
    for load in loads:
        model = models.label(load.pool)
        tasks[model,] += load.tasks
        waiting[model,] += load.waiting
        for (kind, state), number in load.outputs.items():
            outputs[model, kind, state] += number
        if not load.pool:
            # The pool of those without a model has no slots.
            continue
        slots[model, "free"] += max(load.slots - load.taken, 0)
        slots[model, "busy"] += load.taken - load.quarantined
        slots[model, "quarantined"] += load.quarantined
    yield _gauge("tasks", "Unfinished tasks", ["model"], tasks.items())
    yield _gauge(
        "outputs", "Outputs of unfinished tasks that have not ended", ["model", "kind", "state"], outputs.items()
    )
    yield _gauge("queue_length", "Outputs that wait for a slot; paused ones do not", ["model"], waiting.items())
    yield _gauge(
        "slots",
        "Slots of Xinference: free, busy, or quarantined, held by requests that may still run though nobody waits",
        ["model", "state"],
        slots.items(),
    )


def data_folder(folder: Path) -> Iterator[Metric]:
    """Yield the sizes of the database and of its disk. Asks the disk: not for the event loop."""
    database = folder / "xinflight.db"
    sizes = [(part, _size(Path(f"{database}{suffix}"))) for part, suffix in (("database", ""), ("wal", "-wal"))]
    yield _gauge(
        "database_bytes", "Size of the database and of its log", ["file"], [((part,), size) for part, size in sizes]
    )
    try:
        disk = shutil.disk_usage(folder)
    except OSError:
        # The alert about storing says it already.
        return
    yield single("disk_free_bytes", "Free bytes of the disk with the data folder", disk.free)
    yield single("disk_size_bytes", "Size of that disk", disk.total)


def _size(file: Path) -> int:
    try:
        return os.stat(file).st_size
    except OSError:
        return 0
