"""New limits in a running gateway: what takes effect, what waits for a restart, and what is refused as a whole."""

from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from aiohttp import web
from structlog.testing import capture_logs

import xinflight
from clients import FakeClock, Recorder, WireClient, hosted
from conftest import Serve
from xinflight.app import setup
from xinflight.demo import Faults
from xinflight.errors import RateLimited, TooManyConnections
from xinflight.request_limits import Quotas, RequestLimits
from xinflight.settings import RELOADABLE, Settings

NOBODY = "http://127.0.0.1:9"


def test_what_can_change() -> None:
    assert set(Settings.__struct_fields__) >= RELOADABLE
    settings = Settings(tasks=5, port=80)
    assert settings.take_over(Settings(tasks=6, port=81, lang="zh-CN")) == (["tasks"], ["port", "lang"])
    assert (settings.tasks, settings.port, settings.lang) == (6, 80, "en")
    assert settings.take_over(Settings(tasks=6, port=80)) == ([], [])


async def mounted(stack: AsyncExitStack, settings: Settings, **options: Any) -> tuple[xinflight.Gateway, str]:
    app = web.Application()
    gateway = setup(app, settings, **options)
    return gateway, await stack.enter_async_context(hosted(app))


async def test_limits_of_a_running_gateway(stack: AsyncExitStack, tmp_path: Path) -> None:
    """The next request meets them; what was accepted stays; the host's own settings are not touched."""
    own = Settings(xinference_url=NOBODY, tasks_per_owner=1, drain=0.0, data_dir=str(tmp_path / "data"))
    gateway, url = await mounted(stack, own)
    client = await stack.enter_async_context(WireClient.connect(url))
    assert (await client.ask(action="generate", prompt="boat"))["type"] == "ack"
    assert (await client.ask(action="generate", prompt="boat"))["code"] == "too_many_tasks"
    with capture_logs() as logs:
        new = msgspec.structs.replace(own, tasks_per_owner=2, prompt_length=3, history_tasks=7, port=81)
        assert gateway.reload(new) == ["port"]
    assert [(line["log_level"], line.get("changed", line.get("settings"))) for line in logs] == [
        ("info", ["prompt_length", "tasks_per_owner", "history_tasks"]),
        ("warning", ["port"]),
    ]
    assert (await client.ask(action="generate", prompt="boat"))["code"] == "out_of_bounds"
    assert (await client.ask(action="generate", prompt="sea"))["type"] == "ack"
    assert (await client.ask(action="generate", prompt="sea"))["code"] == "too_many_tasks"
    later = await stack.enter_async_context(WireClient.connect(url))
    limits = later.seen[0]["limits"]
    assert (limits["tasks_per_owner"], limits["prompt_length"], limits["history_tasks"]) == (2, 3, 7)
    assert own.tasks_per_owner == 1


async def test_defaults_that_depend_on_the_log_in(stack: AsyncExitStack) -> None:
    """A limit that nobody set is the default one with a log-in, after a reload as before."""

    async def who(request: web.Request, token: str | None) -> xinflight.Identity | None:
        return xinflight.Identity(id="ann")

    own = Settings(xinference_url=NOBODY, requests_per_minute=5)
    gateway, _ = await mounted(stack, own, authenticate=who)
    assert gateway.reload(Settings(xinference_url=NOBODY)) == []
    assert gateway.settings.requests_per_minute == 1200


async def test_uploads(stack: AsyncExitStack) -> None:
    gateway, url = await mounted(stack, Settings(xinference_url=NOBODY))
    gateway.reload(Settings(xinference_url=NOBODY, upload_bytes=10))
    async with aiohttp.ClientSession() as http, http.post(f"{url}api/v1/uploads", data=b"x" * 11) as response:
        assert (response.status, (await response.json(content_type=None))["code"]) == (413, "frame_too_large")


async def test_polls(stack: AsyncExitStack, emulate: Serve, engine: Recorder) -> None:
    """What runs already is asked for more often."""
    engine.faults = Faults(freeze=3, requests=1)
    own = Settings(xinference_url=await emulate(engine), polls_per_second=1e-6, default_size="64x64")
    gateway, url = await mounted(stack, own)
    client = await stack.enter_async_context(WireClient.connect(url))
    assert (await client.ask(action="generate", prompt="boat"))["type"] == "ack"
    await client.until(lambda message: message["type"] == "progress" and message["state"] == "starting")
    assert gateway.reload(msgspec.structs.replace(own, polls_per_second=100.0)) == []
    await client.until(lambda message: message["type"] == "progress" and message["progress"] > 0)
    engine.thaw()


class TestRequestLimits:
    def limits(self, **settings: Any) -> tuple[RequestLimits, Callable[..., None]]:
        current = Settings(**settings)
        limits = RequestLimits(current, FakeClock())

        def reload(**settings: Any) -> None:
            current.take_over(Settings(**settings))
            limits.reload()

        return limits, reload

    def test_a_rate(self) -> None:
        """A lower one counts from now on, one that is the same counts on, and none is none."""
        limits, reload = self.limits(requests_per_minute=2)
        limits.count_owner("ann", {})
        limits.count_owner("ann", {})
        reload(requests_per_minute=2, tasks=7)
        with pytest.raises(RateLimited):
            limits.count_owner("ann", {})
        reload(requests_per_minute=1)
        quotas: Quotas = {}
        limits.count_owner("ann", quotas)
        assert (quotas["owner"].limit, quotas["owner"].remaining) == (1, 0)
        reload(requests_per_minute=0)
        for _ in range(9):
            limits.count_owner("ann", {})

    def test_connections(self) -> None:
        """Open ones stay open and are counted, also if they were opened without a limit."""
        limits, reload = self.limits(connections_per_owner=0)
        with limits.connection_of("ann"):
            reload(connections_per_owner=1)
            with pytest.raises(TooManyConnections), limits.connection_of("ann"):
                pass
            reload(connections_per_owner=2)
            with limits.connection_of("ann"):
                pass
