"""What a request or a message costs beside the work that it asks for, in counts."""

import ipaddress
from typing import Any

import aiohttp
import pytest

from clients import WireClient
from xinflight.clock import SystemClock


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


async def test_a_frame_that_fits_needs_no_timer(client: WireClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only one that waits for the client to read does: cancelled timers pile up until they would have fired."""
    limited: list[float | None] = []
    timeout = SystemClock.timeout

    def counted(clock: SystemClock, seconds: float | None) -> Any:
        limited.append(seconds)
        return timeout(clock, seconds)

    heartbeat = client.seen[0]["heartbeat"]
    monkeypatch.setattr(SystemClock, "timeout", counted)
    for _ in range(3):
        await client.ask(action="ping")
    assert heartbeat not in limited
