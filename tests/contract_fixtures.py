"""Fixtures for the contract of several kinds of models: the emulator, and the real Xinference, over HTTP.

A test module takes them with `pytest_plugins = ["xinference_fixtures", "contract_fixtures"]`.
"""

from contextlib import AsyncExitStack

import aiohttp
import pytest

from emulator_client import XinferenceClient
from xinference_kinds import ANIMATOR, CONTEXT, WRITER
from xinference_real import MODEL
from xinflight.demo import EmulatedModel, Emulator, serve_emulator

SIDES = ["emulator", pytest.param("real", marks=pytest.mark.xinference)]


def _emulator() -> Emulator:
    painter = EmulatedModel(
        uid=MODEL,
        abilities=("text2image", "image2image", "inpainting"),
        step_seconds=0.03,
        decode_seconds=0.05,
        size_multiple=4,
    )
    animator = EmulatedModel(
        uid=ANIMATOR, type="video", abilities=("text2video",), step_seconds=0.02, decode_seconds=0.3
    )
    writer = EmulatedModel(
        uid=WRITER,
        type="LLM",
        abilities=("chat", "generate"),
        engine="transformers",
        step_seconds=0.04,
        context=CONTEXT,
    )
    return Emulator([painter, animator, writer])


async def _client(request: pytest.FixtureRequest, stack: AsyncExitStack, real: str) -> XinferenceClient:
    if request.param == "real":
        url = request.getfixturevalue(real).url
    else:
        url = await stack.enter_async_context(serve_emulator(_emulator()))
    return XinferenceClient(url, await stack.enter_async_context(aiohttp.ClientSession()))


@pytest.fixture(params=SIDES)
async def images(request: pytest.FixtureRequest, stack: AsyncExitStack) -> XinferenceClient:
    """Give a client of a server that has MODEL."""
    return await _client(request, stack, "real_xinference")


@pytest.fixture(params=SIDES)
async def kinds(request: pytest.FixtureRequest, stack: AsyncExitStack) -> XinferenceClient:
    """Give a client of a server that has ANIMATOR and WRITER, too."""
    return await _client(request, stack, "real_xinference_kinds")
