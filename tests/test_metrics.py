"""The metrics of a gateway: every one is documented, counts what happened, and has few series whatever clients do."""

import asyncio
import inspect
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import get_args

import aiohttp
import pytest
from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse

from clients import PAINTER, FakeClock, Recorder, WireClient, hosted
from conftest import Serve
from metrics_table import documented, documented_series
from scripted_gateway import ScriptedGateway, turns
from xinflight.app import setup
from xinflight.auth import Identity
from xinflight.connection.outbox import WAITING_ANSWERS
from xinflight.demo import Emulator, Faults
from xinflight.errors import StorageUnavailable
from xinflight.gateway import Gateway
from xinflight.metrics.labels import OTHER, UNASSIGNED, Names
from xinflight.metrics.prometheus import LAG_INTERVAL
from xinflight.metrics.state import pool_loads
from xinflight.protocol import Generate
from xinflight.settings import BadSettings, Settings
from xinflight.tasks.active_tasks import ActiveTasks
from xinflight.tasks.scheduler import Scheduler
from xinflight.telemetry import UNCOUNTED, Telemetry
from xinflight.web import streams

NOBODY = "http://127.0.0.1:9"
parse_openmetrics: Callable[[str], Iterable[Metric]] = openmetrics.text_string_to_metric_families
METHODS = [method for name, method in vars(Telemetry).items() if not name.startswith("_")]


async def scrape(url: str, **headers: str) -> str:
    """Return what Prometheus gets."""
    async with aiohttp.ClientSession() as http, http.get(f"{url.rstrip('/')}/metrics", headers=headers) as response:
        assert response.status == 200
        return await response.text()


class Series:
    """The series of a scrape; none is there twice."""

    def __init__(self, text: str) -> None:
        self.families = list(parse(text))
        samples = [sample for family in self.families for sample in family.samples]
        self._values = {(sample.name, frozenset(sample.labels.items())): sample.value for sample in samples}
        assert len(self._values) == len(samples)

    @property
    def names(self) -> set[str]:
        """The names of all series."""
        return {name for name, _ in self._values}

    def __len__(self) -> int:
        return len(self._values)

    def __call__(self, name: str, **labels: str) -> float:
        """Return the value of one series."""
        return self._values[f"xinflight_{name}", frozenset(labels.items())]


def described(family: Metric) -> tuple[str, str, frozenset[str], str]:
    """Return name, type, labels and meaning of a metric that is shown."""
    name = f"{family.name}_total" if family.type == "counter" else family.name
    labels = frozenset[str]().union(*(sample.labels for sample in family.samples)) - {"le"}
    assert family.samples, name
    return name, family.type, labels, family.documentation


def tell_everything(telemetry: Telemetry) -> None:
    """Let everything happen once."""
    examples = {str: "m", float: 1.0, int: 1}
    for method in METHODS:
        _, *parameters = inspect.signature(method).parameters.values()
        arguments = [examples.get(each.annotation) or get_args(each.annotation)[0] for each in parameters]
        getattr(telemetry, method.__name__)(*arguments)
    telemetry.output_ended("m", "text2image", "completed", 1.0)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def mounted(tmp_path: Path, clock: FakeClock) -> tuple[web.Application, Gateway]:
    """Give an application with metrics, on a clock that stands, in front of nobody."""
    app = web.Application()
    settings = Settings(xinference_url=NOBODY, data_dir=str(tmp_path), drain=0.0, metrics=True)
    return app, setup(app, settings, clock=clock)


async def test_the_table_is_that_of_the_code(
    engine: Recorder, emulate: Serve, tmp_path: Path, clock: FakeClock
) -> None:
    app = web.Application()
    settings = Settings(xinference_url=await emulate(engine), data_dir=str(tmp_path), drain=0.0, metrics=True)
    gateway = setup(app, settings, clock=clock)
    async with hosted(app) as url, WireClient.connect(url) as client:
        await client.ask(action="generate", prompt="boat", task_id="a")
        await client.ends("a")
        tell_everything(gateway.telemetry)
        await clock.advance(0.3)
        shown = [described(each) for each in Series(await scrape(url)).families if "xinflight" in each.name]
    assert sorted(documented()) == sorted(shown)
    assert len(shown) > 25


async def test_a_life_in_figures(engine: Recorder, emulate: Serve, serve: Serve) -> None:
    url = await serve(xinference_url=await emulate(engine), default_size="64x64", metrics=True, connections=50)
    async with WireClient.connect(url) as client:
        start = client.seen[0]["cursor"]
        engine.script = [Faults(freeze=3), Faults(freeze=3)]
        await client.ask(action="generate", prompt="boat", task_id="a")
        await client.until(lambda m: m["type"] == "progress" and m["progress"] > 0)
        Emulator.thaw(engine)
        await client.ends("a")
        await client.ask(action="generate", prompt="boat", task_id="b")
        await client.until(lambda m: m["type"] == "progress" and m["task_id"] == "b" and m["progress"] > 0)
        running = Series(await scrape(url))
        await client.ask(action="cancel", task_id="b")
        engine.thaw()
        await client.ends("b")
        assert (await client.ask(action="resume", after=start, scope="all"))["recovered"]
        assert not (await client.ask(action="resume", after="elsewhere:1", scope="all"))["recovered"]
        assert (await client.ask(action="generate", prompt="boat", steps=1000))["code"] == "out_of_bounds"
        ended = Series(await scrape(url))
    drawn = {"model": PAINTER.uid, "kind": "text2image"}
    assert running("connections") == running("storing") == 1
    assert running("connections_max") == 50
    assert running("tasks", model=PAINTER.uid) == running("outputs", **drawn, state="running") == 1
    assert running("slots", model=PAINTER.uid, state="busy") == 1
    assert running("upstream_state", state="ready") == 1
    assert running("upstream_state", state="unreachable") == 0
    assert ended("tasks", model=PAINTER.uid) == ended("outputs", **drawn, state="running") == 0
    assert ended("outputs_ended_total", **drawn, state="completed") == 1
    assert ended("outputs_ended_total", **drawn, state="cancelled") == 1
    assert ended("output_seconds_count", **drawn) == 1
    for name in ("queue_wait_seconds_count", "first_progress_seconds_count", "attempts_total"):
        assert ended(name, **drawn) == 2, name
    assert ended("cancel_seconds_count", outcome="stopped") == 1
    assert ended("resumes_total", outcome="recovered") == ended("resumes_total", outcome="gap") == 1
    assert ended("refusals_total", code="out_of_bounds") == 1
    assert ended("polls_total") >= 1
    # Two acceptances, an output, and two ends.
    assert ended("store_commit_writes_sum") >= 5
    assert ended("database_bytes", file="database") > 0
    assert 0 < ended("disk_free_bytes") < ended("disk_size_bytes")
    assert ended("asyncio_tasks") > 3
    assert {name for name in documented_series() if name.startswith("process_")} <= ended.names


async def test_the_lag_of_the_loop_is_how_late_a_timer_is(
    mounted: tuple[web.Application, Gateway], clock: FakeClock
) -> None:
    app, _ = mounted
    async with hosted(app) as url:
        for late in (0.0, 0.3):
            # Something blocks until then, and only then the timer runs.
            clock.now += LAG_INTERVAL + late
            await clock.advance(0.0)
        lagged = Series(await scrape(url))
        assert lagged("loop_lag_seconds_bucket", le="0.001") == 1
        assert lagged("loop_lag_seconds_bucket", le="0.25") == 1
        assert lagged("loop_lag_seconds_bucket", le="0.5") == lagged("loop_lag_seconds_count") == 2


async def test_a_resume_that_cannot_be_read_is_counted(
    mounted: tuple[web.Application, Gateway], monkeypatch: pytest.MonkeyPatch
) -> None:
    app, gateway = mounted

    async def unreadable(owner: str) -> int:
        raise StorageUnavailable

    async with hosted(app) as url, WireClient.connect(url) as client:
        monkeypatch.setattr(gateway.journal.store, "trimmed_to", unreadable)
        answer = await client.ask(action="resume", after=client.seen[0]["cursor"], scope="all")
        assert answer["code"] == "storage_unavailable"
        assert Series(await scrape(url))("resumes_total", outcome="unavailable") == 1


async def test_slow_readers_are_counted(mounted: tuple[web.Application, Gateway], clock: FakeClock) -> None:
    app, gateway = mounted
    async with hosted(app) as url, WireClient.connect(url) as client:
        for _ in range(WAITING_ANSWERS + 1):
            await gateway.notify(None, "more than is kept for somebody who does not read")
        await client.closed()
        assert Series(await scrape(url))("slow_readers_total", transport="websocket") == 1


async def test_slow_readers_of_streams_are_counted(
    mounted: tuple[web.Application, Gateway], clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    app, gateway = mounted
    stuck = asyncio.Event()

    async def write(response: web.StreamResponse, data: bytes) -> None:
        stuck.set()
        await asyncio.Event().wait()

    async with hosted(app) as url, aiohttp.ClientSession() as http:
        async with http.get(f"{url}api/v1/events"):
            monkeypatch.setattr(streams, "takes_at_once", lambda request, size: False)
            monkeypatch.setattr(web.StreamResponse, "write", write)
            await gateway.notify(None, "for somebody who does not read")
            await stuck.wait()
            await clock.advance(streams.PATIENCE)
        monkeypatch.undo()
        assert Series(await scrape(url))("slow_readers_total", transport="stream") == 1


async def test_openmetrics_for_those_who_accept_it(mounted: tuple[web.Application, Gateway]) -> None:
    app, gateway = mounted
    async with hosted(app) as url:
        tell_everything(gateway.telemetry)
        text = await scrape(url, Accept="application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.4")
        assert {family.name for family in parse_openmetrics(text)} >= {"xinflight_polls", "xinflight_storing"}
        assert text.endswith("\n# EOF\n")
        assert "EOF" not in await scrape(url, Accept="text/plain")


async def test_a_scrape_looks_at_no_task(
    mounted: tuple[web.Application, Gateway], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What waits and runs is counted as it changes: a scrape costs the same with a thousand tasks of many owners."""
    app, gateway = mounted
    async with hosted(app) as url:
        before = len(Series(await scrape(url)))
        for number in range(50):
            subscriber = await gateway.subscribe(f"owner {number}")
            await gateway.submit(Generate(prompt="boat"), Identity(id=f"owner {number}"), subscriber, None)
            gateway.unsubscribe(subscriber)
        await scrape(url)
        with monkeypatch.context() as patch:
            for name in ("all", "of_owner", "find"):
                patch.setattr(ActiveTasks, name, None)
            patch.setattr(Scheduler, "order", None)
            series = Series(await scrape(url))
        assert series("tasks", model=UNASSIGNED) == series("queue_length", model=UNASSIGNED) == 50
        assert len(series) == before + 1


async def test_the_failures_of_a_model_begin_at_none(mounted: tuple[web.Application, Gateway]) -> None:
    """Prometheus sees no increase in a series that begins with what has failed before the next scrape."""
    app, gateway = mounted
    codes = ("auth", "unreachable", "busy", "died", "failed", "garbage")
    async with hosted(app) as url:
        gateway.telemetry.attempt_sent("m", "chat")
        seen = Series(await scrape(url))
        for code in codes:
            assert seen("attempt_failures_total", model="m", kind="chat", code=f"upstream_{code}") == 0


def test_names_of_models_are_bounded() -> None:
    names = Names(2)
    assert [names.label(name) for name in ("", "a", "b", "c", "a", "c", "d")] == [
        UNASSIGNED,
        "a",
        "b",
        OTHER,
        "a",
        OTHER,
        OTHER,
    ]


async def test_models_beyond_the_bound_are_one_series_together() -> None:
    async with ScriptedGateway.begin() as scripted:
        for model in ("m", "old", "two"):
            await scripted.submit(task_id=model, model=model)
        await turns()
        loads = [runner.load() for runner in scripted.pools.runners()]
        shown = {
            (sample.name, *sample.labels.values()): sample.value
            for metric in pool_loads(loads, Names(1))
            for sample in metric.samples
        }
        assert shown["xinflight_tasks", "m"] == 1
        assert shown["xinflight_tasks", OTHER] == shown["xinflight_slots", OTHER, "busy"] == 2
        assert shown["xinflight_slots", OTHER, "free"] == 1


# A host's own registry


async def test_a_hosts_registry_shows_them_as_long_as_the_gateway_is_there(tmp_path: Path) -> None:
    registry, app = CollectorRegistry(), web.Application()
    setup(app, Settings(xinference_url=NOBODY, drain=0.0), registry=registry, clock=FakeClock())
    other = web.Application()
    with pytest.raises(ValueError, match="Duplicated"):
        setup(other, Settings(xinference_url=NOBODY), registry=registry)
    async with hosted(app) as url:
        names = {metric.name for metric in registry.collect()}
        assert {"xinflight_polls", "xinflight_tasks", "xinflight_asyncio_tasks"} <= names
        # The host has those of the process already.
        assert not any(name.startswith("process_") for name in names)
        async with aiohttp.ClientSession() as http, http.get(f"{url}metrics") as response:
            assert response.status == 404
    assert list(registry.collect()) == []


async def test_gateways_of_one_process_count_for_themselves(clock: FakeClock) -> None:
    app = web.Application()
    first, second = (
        setup(
            app, Settings(xinference_url=NOBODY, drain=0.0, metrics=True), prefix=f"/{name}", name=name, clock=clock
        )
        for name in ("a", "b")
    )
    first.telemetry.polled()
    async with hosted(app) as url:
        assert Series(await scrape(f"{url}a"))("polls_total") == 1
        assert Series(await scrape(f"{url}b"))("polls_total") == 0
    assert second.telemetry is not first.telemetry


# Without them


async def test_nothing_is_counted_by_default() -> None:
    app = web.Application()
    gateway = setup(app, Settings(xinference_url=NOBODY, drain=0.0), clock=FakeClock())
    assert gateway.telemetry is UNCOUNTED
    async with hosted(app) as url, aiohttp.ClientSession() as http, http.get(f"{url}metrics") as response:
        assert response.status == 404
        assert "loop lag" not in gateway.supervisor._tasks


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in [name for name in sys.modules if name.startswith("xinflight.metrics.")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    setup(web.Application(), Settings())
    with pytest.raises(BadSettings, match=r"pip install 'xinflight\[metrics\]'"):
        setup(web.Application(), Settings(metrics=True))
