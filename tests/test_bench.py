"""The benchmark itself: that it runs, and that what it counts is right. It never asserts a time or a ratio."""

import asyncio
import subprocess
import sys

import msgspec
import pytest

from bench import cancel, capacity, delivery, idle, storm
from bench.capacity import Capacity
from bench.contenders import BARE, TUTORIAL, XINFLIGHT, XINFLIGHT_SPEED, environ
from bench.cost import CONTENDERS, checked_out
from bench.fake_upstream import LARGE, MODEL, SMALL, VALUES, FakeUpstream, Generation, UpstreamLog
from bench.lean_client import KeptConnection
from bench.load import Measured
from bench.options import Options
from bench.results import Results
from bench.run import compare

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

CLIENTS, SECONDS, GENERATION = 3, 2.0, 0.6


@pytest.mark.process
@pytest.mark.timeout(300)
def test_every_server_is_measured_in_every_round() -> None:
    options = Options(rounds=1, clients=CLIENTS, seconds=SECONDS, generation=GENERATION, base="HEAD")
    results = Results()
    compare(["cost"], options, results)
    assert list(results.cost) == [*(contender.name for contender in CONTENDERS), "HEAD"]
    for name, (one,) in results.cost.items():
        assert one.generations > 0, name
        assert one.cpu > 0, name
        assert one.added_p50 > 0, name
        assert one.resident > 2**20, name
        # From `ack` to `result`; values that follow one another quickly may be merged, and none is made up.
        assert 2 <= one.messages <= VALUES + 10, name
    assert list(results.conditions) == ["cost"]


@pytest.mark.process
@pytest.mark.timeout(300)
def test_the_other_scenarios_measure_what_they_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each with the contenders that can do it, and with few clients."""
    options = Options(rounds=1, generation=GENERATION, quick=True)
    monkeypatch.setattr(capacity, "FIRST", CLIENTS)
    monkeypatch.setattr(capacity, "TOP", 2 * CLIENTS)
    monkeypatch.setattr(capacity, "LIMIT", 60.0)
    monkeypatch.setattr(delivery, "IMAGES_QUICK", 2)
    monkeypatch.setattr(storm, "CLIENTS", 100)
    monkeypatch.setattr(idle, "CLIENTS", 100)
    climbed = capacity.measure(XINFLIGHT, options)
    assert (climbed.passes, climbed.fails) == (2 * CLIENTS, None)
    assert [step.clients for step in climbed.steps] == [CLIENTS, 2 * CLIENTS]
    for contender in (BARE, XINFLIGHT_SPEED):
        cancels = cancel.measure(contender, options)
        assert cancels.count > 0
        assert 0 < cancels.upstream_p50 <= cancels.upstream_p99, contender.name
    for contender in (TUTORIAL, XINFLIGHT):
        large = delivery.measure(contender, options)
        assert large.whole > 0
        assert (large.fetch is None) == (contender is TUTORIAL), contender.name
        assert large.stall > 0, contender.name
    for contender in (TUTORIAL, XINFLIGHT):
        back = storm.measure(contender, options)
        assert 0 < back.p50 <= back.everybody, contender.name
    assert idle.measure(TUTORIAL, options).bytes > 0


def step(clients: int, added: float) -> object:
    return {**STEP, "clients": clients, "added_p99": added}


STEP = {
    "generations": 100,
    "cpu": 2.0,
    "busy": 0.5,
    "added_p50": 0.002,
    "progress_p50": 0.1,
    "polls": 9.0,
    "messages": 11.0,
    "resident": 50_000_000,
    "driver_cpu": 0.25,
    "upstream_cpu": 0.25,
    "driver_late": 0.001,
}


def test_a_ladder_ends_between_what_passed_and_what_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    climbed: list[list[int]] = []

    def climb(contender: object, clients: list[int], options: object, *, seconds: float) -> list[Measured]:
        climbed.append(clients)
        steps = []
        for count in clients:
            steps.append(step(count, 0.08 if count >= 1500 else 0.04))
            if count >= 1500:
                break
        return msgspec.convert(steps, list[Measured])

    monkeypatch.setattr(capacity, "_climb", climb)
    found = capacity.measure(XINFLIGHT, Options())
    assert climbed == [[250, 500, 1000, 2000, 4000], [1190, 1410, 1680]]
    assert (found.passes, found.fails) == (1410, 1680)
    assert found.at_pass is not None
    assert found.at_pass.clients == 1410


def test_a_ladder_that_fails_at_once() -> None:
    found = Capacity(passes=0, fails=250, steps=[])
    assert found.at_pass is None


@pytest.mark.process
def test_an_older_commit_runs_its_own_code() -> None:
    show = "import xinflight, xinflight.client_static as page; print(xinflight.__file__, page.__file__)"
    with checked_out("HEAD") as tree:
        command = [sys.executable, "-c", show]
        shown = subprocess.run(command, env=environ(tree / "server"), stdout=subprocess.PIPE, check=True, text=True)
        assert all(path.startswith(str(tree)) for path in shown.stdout.split()), shown.stdout


class Upstream:
    """The fake upstream, called without a connection."""

    def __init__(self, seconds: float, pixels: int = SMALL) -> None:
        self.handle = FakeUpstream(1, seconds, pixels).handle

    def post(self, name: str) -> "asyncio.Future[bytes]":
        body = {"model": MODEL, "prompt": name, "request_id": name}
        answer = self.handle("POST", "/sdapi/v1/txt2img", msgspec.json.encode(body))
        assert not isinstance(answer, bytes)
        return answer

    def get(self, path: str) -> bytes:
        answer = self.handle("GET", path, b"")
        assert isinstance(answer, bytes)
        return answer

    def log(self) -> dict[str, Generation]:
        body = self.get("/bench/log").partition(b"\r\n\r\n")[2]
        return msgspec.json.decode(body, type=UpstreamLog).generations


async def test_the_fake_upstream_takes_its_time_for_an_image() -> None:
    upstream = Upstream(0.1)
    assert (await upstream.post("made")).startswith(b"HTTP/1.1 200 ")
    made = upstream.log()["made"]
    assert made.answered is not None
    assert made.answered - made.posted >= 0.1
    assert (made.polls, made.aborted) == (0, None)


async def test_the_fake_upstream_counts_polls_and_remembers_aborts() -> None:
    upstream = Upstream(1000.0)
    running = upstream.post("aborted")
    for _ in range(3):
        # Before its first value.
        assert upstream.get("/v1/requests/aborted/progress").startswith(b"HTTP/1.1 400 ")
    upstream.get(f"/v1/models/{MODEL}/requests/aborted/abort")
    assert (await running).startswith(b"HTTP/1.1 409 ")
    aborted = upstream.log()["aborted"]
    assert aborted.answered is None
    assert aborted.aborted is not None
    assert aborted.polls == 3


async def test_the_fake_upstream_over_http() -> None:
    async with FakeUpstream(1, 0.0).serving() as url:
        http = KeptConnection(url)
        for _ in range(2):
            assert MODEL in (await http.get("/v1/models")).decode()
        with pytest.raises(RuntimeError, match="404"):
            await http.get("/nothing")
        http.close()


@pytest.mark.parametrize(("pixels", "least", "most"), [(SMALL, 44_000, 48_000), (LARGE, 3_900_000, 4_300_000)])
def test_images_have_the_sizes_that_are_reported(pixels: int, least: int, most: int) -> None:
    image_bytes = FakeUpstream(1, 1.0, pixels).image_bytes
    assert least < image_bytes < most


def test_options_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"ROUNDS": "1", "CLIENTS": "20", "SECONDS": "2.5", "BASE": "", "QUICK": "1"}.items():
        monkeypatch.setenv(name, value)
    assert Options.from_environ() == Options(rounds=1, clients=20, seconds=2.5, quick=True)
