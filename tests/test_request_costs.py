"""What a request or a message costs beside the work that it asks for, in counts."""

import ipaddress
from typing import Any

import aiohttp
import pytest

from clients import WireClient


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
