"""Who may read the metrics: admins, and the networks that the settings name; nobody by claiming an address."""

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from clients import FakeClock, hosted
from guarded import NOBODY, guarded_server
from streams import shared_server
from xinflight.app import setup
from xinflight.settings import BadSettings, Settings

FAR = "192.0.2.9"


async def read(url: str, **headers: str) -> tuple[int, str]:
    """Return status and body of the metrics."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    async with aiohttp.ClientSession() as http, http.get(f"{url}metrics", headers=sent) as response:
        text = await response.text()
        assert ("xinflight_storing" in text) == (response.status == 200)
        assert response.headers["Cache-Control"] == "no-store"
        return response.status, text


async def test_only_an_admins_token_opens_them(tmp_path: Path) -> None:
    async with guarded_server(tmp_path, metrics=True) as server:
        user = await server.token("ann")
        admin, _ = await asyncio.to_thread(server.file.add, "boss", now=server.clock.time(), admin=True)
        assert (await read(server.url))[0] == 401
        assert (await read(server.url, Authorization="Bearer nonsense"))[0] == 401
        assert (await read(server.url, Authorization=f"Bearer {user}"))[0] == 403
        assert (await read(server.url, Authorization=f"Bearer {admin}"))[0] == 200
        # An address proves nothing while no network is named.
        assert (await read(server.url, X_Forwarded_For="127.0.0.1"))[0] == 401


async def test_a_host_says_who_is_an_admin() -> None:
    async with shared_server(metrics=True) as (url, _):
        assert (await read(f"{url}/", X_User="boss"))[0] == 200
        assert (await read(f"{url}/", X_User="ann"))[0] == 403
        assert (await read(f"{url}/"))[0] == 401


async def test_a_browser_without_a_name_is_a_stranger(tmp_path: Path) -> None:
    async with guarded_server(tmp_path, metrics=True, auth="anonymous") as server:
        assert (await read(server.url))[0] == 403


@pytest.mark.parametrize(
    ("networks", "proxies", "forwarded", "status"),
    [
        (["127.0.0.0/8"], [], None, 200),
        (["192.0.2.0/24"], [], None, 401),
        # From an unknown proxy: anybody may stand behind it, whatever it says.
        (["127.0.0.0/8"], [], FAR, 401),
        (["192.0.2.0/24"], [], FAR, 401),
        # Behind a trusted proxy the client's own address counts.
        (["127.0.0.0/8"], ["127.0.0.1"], FAR, 401),
        (["192.0.2.0/24"], ["127.0.0.1"], FAR, 200),
        (["192.0.2.0/24"], ["127.0.0.1"], f"{FAR}, 198.51.100.7", 401),
    ],
)
async def test_a_network_needs_the_clients_true_address(
    networks: list[str], proxies: list[str], forwarded: str | None, status: int, tmp_path: Path
) -> None:
    settings: dict[str, Any] = {"metrics_networks": tuple(networks), "trusted_proxies": tuple(proxies)}
    async with guarded_server(tmp_path, metrics=True, **settings) as server:
        headers = {} if forwarded is None else {"X_Forwarded_For": forwarded}
        assert (await read(server.url, **headers))[0] == status
        assert (await read(server.url, Forwarded="for=127.0.0.1", **headers))[0] == (
            200 if proxies and status == 200 else 401
        )


@pytest.mark.parametrize("proxies", [(), ("127.0.0.1",)])
async def test_without_a_log_in_only_this_machine_reads_them(proxies: tuple[str, ...]) -> None:
    """There everybody is an admin, but not everybody who comes through a proxy is to see this."""
    app = web.Application()
    settings = Settings(xinference_url=NOBODY, drain=0.0, metrics=True, trusted_proxies=proxies)
    setup(app, settings, clock=FakeClock())
    async with hosted(app) as url:
        assert (await read(url))[0] == 200
        status, text = await read(url, X_Forwarded_For=FAR)
        assert status == 403
        assert "metrics_networks" in text


async def test_a_name_that_is_not_the_servers_is_refused() -> None:
    """A website whose name leads here must not read them with its visitor's browser (DNS rebinding)."""
    app = web.Application()
    setup(app, Settings(xinference_url=NOBODY, drain=0.0, metrics=True), clock=FakeClock())
    async with hosted(app) as url:
        assert (await read(url, Host="evil.example"))[0] == 403
        assert (await read(url, Origin="https://evil.example"))[0] == 403


def test_what_is_no_network_is_said() -> None:
    with pytest.raises(BadSettings, match="metrics_networks"):
        Settings(metrics_networks=("prometheus",))
    loaded = Settings.load(environ={"XINFLIGHT_METRICS": "1", "XINFLIGHT_METRICS_NETWORKS": "10.0.0.0/8, ::1"})
    assert (loaded.metrics, loaded.metrics_networks) == (True, ("10.0.0.0/8", "::1"))
