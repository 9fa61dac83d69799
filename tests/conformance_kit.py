"""What the tests of the conformance kit share: the kit, and a server for all of its exchanges."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from clients import painter
from kind_table import ANIMATOR, WRITER
from xinflight.cli import serving
from xinflight.demo import Emulator, serve_emulator
from xinflight.settings import Settings
from xinflight.testing.__main__ import kit

KIT = kit()

on_one_server = pytest.mark.asyncio(loop_scope="module")


@asynccontextmanager
async def serving_kit(folder: Path) -> AsyncIterator[str]:
    """Run a server that can keep all exchanges, and yield its base URL.

    Its engine has a model that takes its time over many steps, and models for videos and chats.
    """
    abilities = ("text2image", "image2image", "inpainting")
    models = [painter(step_seconds=0.01, decode_seconds=0.01, abilities=abilities), ANIMATOR, WRITER]
    async with serve_emulator(Emulator(models)) as engine:
        settings = Settings(port=0, data_dir=str(folder), drain=0.0, xinference_url=engine, default_size="64x64")
        async with serving(settings, demo=False) as (url, _):
            yield url
