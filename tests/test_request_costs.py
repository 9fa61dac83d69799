"""What a request or a message costs beside the work that it asks for, in counts."""

import ipaddress
from typing import Any

import aiohttp
import pytest

from clients import WireClient
from xinflight.clock import SystemClock
from xinflight.web.streams import PATIENCE


async def test_addresses_are_parsed_once(server: str, client: WireClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not with every request and message of a client."""
    parsed: list[Any] = []
    ip_address = ipaddress.ip_address

    def counted(address: Any) -> Any:
        parsed.append(address)
        return ip_address(address)

    async with aiohttp.ClientSession(server) as http:
        for _ in range(2):
            async with http.get("/api/v1/tasks", headers={"Origin": server.rstrip("/")}) as response:
                assert response.status == 200
            await client.ask(action="ping")
            # From the second time on.
            monkeypatch.setattr(ipaddress, "ip_address", counted)
    assert not parsed


@pytest.fixture
def timers(monkeypatch: pytest.MonkeyPatch) -> list[float | None]:
    """Give the seconds of every timeout from now on."""
    limited: list[float | None] = []
    timeout = SystemClock.timeout

    def counted(clock: SystemClock, seconds: float | None) -> Any:
        limited.append(seconds)
        return timeout(clock, seconds)

    monkeypatch.setattr(SystemClock, "timeout", counted)
    return limited


async def test_a_frame_that_fits_needs_no_timer(client: WireClient, timers: list[float | None]) -> None:
    """Only one that waits for the client to read does: cancelled timers pile up until they would have fired."""
    heartbeat = client.seen[0]["heartbeat"]
    for _ in range(3):
        await client.ask(action="ping")
    assert heartbeat not in timers


async def test_a_line_of_a_stream_that_fits_needs_no_timer(server: str, timers: list[float | None]) -> None:
    """As a frame: a chat writes one for each of its tokens."""
    async with aiohttp.ClientSession(server) as http:
        headers = {"Accept": "text/event-stream"}
        async with http.post("/api/v1/tasks", json={"prompt": "boat"}, headers=headers) as response:
            assert b'"result"' in await response.read()
    assert PATIENCE not in timers
