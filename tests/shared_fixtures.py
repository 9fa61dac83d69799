"""Fixtures with a server of several owners; a test module takes them with `pytest_plugins = ["shared_fixtures"]`.

The module gives the fixture `engine`.
"""

from collections.abc import AsyncIterator

import aiohttp
import pytest

from clients import Recorder
from conftest import Serve
from streams import shared_server
from xinflight.demo import Faults
from xinflight.gateway import Gateway


@pytest.fixture
async def shared(engine: Recorder, emulate: Serve) -> AsyncIterator[tuple[str, Gateway]]:
    """Give a server with several owners, of whom `boss` is an admin; let its engine go on at the end."""
    async with shared_server(xinference_url=await emulate(engine)) as (base, gateway):
        yield base, gateway
        engine.faults = Faults()
        engine.thaw()


@pytest.fixture
async def http(shared: tuple[str, Gateway]) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(shared[0]) as session:
        yield session
