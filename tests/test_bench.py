"""The benchmark itself: that it runs, and that what it counts is right. It never asserts a time or a ratio."""

import asyncio
import subprocess
import sys

import aiohttp
import msgspec
import pytest

from bench.fake_upstream import MODEL, VALUES, FakeUpstream, Generation, UpstreamLog
from bench.load import Measured
from bench.options import Options
from bench.report import report
from bench.run import BARE, checked_out, compare, environ
from clients import hosted

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

CLIENTS, SECONDS, GENERATION = 3, 4.0, 0.6


@linux
@pytest.mark.process
@pytest.mark.timeout(300)
def test_every_server_is_measured_in_every_round() -> None:
    options = Options(rounds=1, clients=CLIENTS, seconds=SECONDS, generation=GENERATION, base="HEAD")
    figures = compare(options)
    assert list(figures) == [
        BARE,
        "HEAD, log level info",
        "xinflight, log level info",
        "xinflight, log level warning",
    ]
    for name, measured in figures.items():
        (one,) = measured
        assert one.generations > 0, name
        assert one.cpu > 0, name
        assert one.added_p50 > 0, name
        assert one.resident > 2**20, name
        # From `ack` to `result`; values that follow one another quickly may be merged, and none is made up.
        assert 2 <= one.messages <= VALUES + 10, name


def measured(cpu: float, cancel_p50: float | None = 0.001) -> Measured:
    return Measured(
        generations=100,
        cpu=cpu,
        added_p50=0.002,
        added_p99=0.02,
        progress_p50=0.1,
        cancel_p50=cancel_p50,
        polls=9.0,
        messages=11.0,
        resident=50_000_000,
        load_cpu=0.25,
    )


def test_the_report_has_medians_ranges_and_the_ratio_within_each_round() -> None:
    figures = {
        "peer": [measured(2.0), measured(4.0), measured(2.0)],
        "other": [measured(4.0), measured(12.0), measured(5.0, cancel_p50=None)],
    }
    lines = report(figures, Options(clients=7), "abc123").splitlines()
    header, _, peer, other = ([cell.strip() for cell in line.split("|")[1:-1]] for line in lines if "|" in line)
    assert dict(zip(header, peer, strict=True))["ratio"] == "1.00x"
    row = dict(zip(header, other, strict=True))
    assert row["CPU s per 1,000"] == "5.00 [4.00..12.00]"
    assert row["ratio"] == "2.50x"
    assert row["cancel p50 ms"] == "1.0 [1.0..1.0]"
    assert "on abc123: " in lines[0]
    assert "7 clients" in lines[1]


@pytest.mark.process
def test_an_older_commit_runs_its_own_code() -> None:
    show = "import xinflight, xinflight.client_static as page; print(xinflight.__file__, page.__file__)"
    with checked_out("HEAD") as tree:
        command = [sys.executable, "-c", show]
        shown = subprocess.run(command, env=environ(tree / "server"), stdout=subprocess.PIPE, check=True, text=True)
        assert all(path.startswith(str(tree)) for path in shown.stdout.split()), shown.stdout


async def post(http: aiohttp.ClientSession, name: str) -> int:
    """Ask the fake upstream for an image; return the status of its answer."""
    body = {"model": MODEL, "prompt": name, "request_id": name}
    async with http.post("sdapi/v1/txt2img", json=body) as response:
        await response.read()
        return response.status


async def log(http: aiohttp.ClientSession) -> dict[str, Generation]:
    async with http.get("bench/log") as response:
        return msgspec.json.decode(await response.read(), type=UpstreamLog).generations


async def test_the_fake_upstream_takes_its_time_for_an_image() -> None:
    async with hosted(FakeUpstream(1, 0.1).app()) as url, aiohttp.ClientSession(url) as http:
        assert await post(http, "made") == 200
        made = (await log(http))["made"]
    assert made.answered is not None
    assert made.answered - made.posted >= 0.1
    assert (made.polls, made.aborted) == (0, None)


async def test_the_fake_upstream_counts_polls_and_remembers_aborts() -> None:
    async with hosted(FakeUpstream(1, 1000.0).app()) as url, aiohttp.ClientSession(url) as http:
        running = asyncio.create_task(post(http, "aborted"))
        while "aborted" not in await log(http):
            pass
        for _ in range(3):
            async with http.get("v1/requests/aborted/progress") as response:
                assert response.status == 400  # before its first value
        async with http.post(f"v1/models/{MODEL}/requests/aborted/abort", json={}) as response:
            assert response.status == 200
        assert await running == 409
        aborted = (await log(http))["aborted"]
    assert aborted.answered is None
    assert aborted.aborted is not None
    assert aborted.polls == 3


def test_options_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"ROUNDS": "1", "CLIENTS": "20", "SECONDS": "2.5", "BASE": ""}.items():
        monkeypatch.setenv(name, value)
    assert Options.from_environ() == Options(rounds=1, clients=20, seconds=2.5)
