"""The conformance kit: our server keeps all of it, and a server that does not is found out."""

from contextlib import AsyncExitStack

import aiohttp
import pytest

from kit import Recorder, painter
from xinflight.protocol import CODECS
from xinflight.testing import connector, kit
from xinflight.testing_run import Exchange, run_exchange

KIT = kit()
CASES = [
    pytest.param(exchange, subprotocol, id=f"{exchange.number}-{subprotocol.rpartition('.')[2]}")
    for exchange in KIT.exchanges
    for subprotocol in CODECS
    if exchange.only in (None, subprotocol)
]


@pytest.fixture
async def engine() -> Recorder:
    """Give an emulator with a model that takes its time over many steps."""
    return Recorder([painter(step_seconds=0.01, decode_seconds=0.01)])


@pytest.fixture
async def http(stack: AsyncExitStack) -> aiohttp.ClientSession:
    return await stack.enter_async_context(aiohttp.ClientSession())


@pytest.mark.parametrize(("exchange", "subprotocol"), CASES)
async def test_our_server_keeps_it(
    exchange: Exchange, subprotocol: str, server: str, http: aiohttp.ClientSession
) -> None:
    connect = connector(http, f"{server}ws/generate", subprotocol)
    await run_exchange(exchange, connect, always=KIT.always, seconds=20.0)
