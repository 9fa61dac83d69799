"""Videos on a real Xinference 4.1.0: whole, never spoiled by what was given up, and asked for again only when due."""

from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from clients import Json, WireClient
from xinference_kinds import ANIMATOR
from xinference_real import RealXinference
from xinflight.cli import serving
from xinflight.file_metadata import GENERATED, Provenance, embed
from xinflight.model import identify
from xinflight.settings import Settings

pytest_plugins = ["xinference_fixtures"]
pytestmark = [pytest.mark.xinference, pytest.mark.timeout(300)]  # the first one also starts the server

SHORT: Json = {"kind": "video", "size": "64x64", "frames": 9, "fps": 5, "steps": 4, "seed": 7}
LONG: Json = {**SHORT, "size": "128x128", "frames": 17, "steps": 40}
PROVENANCE = Provenance(
    source_type=GENERATED, producer="xinflight", produce_id="a-0", tool="xinflight", system=ANIMATOR, created=0.0
)


class Life:
    """Lives of a xinflight in front of the real server, with one client."""

    def __init__(self, folder: Path, xinference: str) -> None:
        # The same request makes the same bytes.
        same: dict[str, Any] = {"file_metadata": "none", "drain": 0.0}
        self._settings = Settings(port=0, data_dir=str(folder), xinference_url=xinference, **same)
        self.client: WireClient

    async def begin(self, stack: AsyncExitStack) -> None:
        url, _ = await stack.enter_async_context(serving(self._settings, demo=False))
        self.client = await stack.enter_async_context(WireClient.connect(url))

    async def ask(self, task_id: str, **fields: Any) -> Json:
        ack = await self.client.ask(action="generate", prompt="a cat", task_id=task_id, **fields)
        assert ack["type"] == "ack", ack
        return ack

    async def film(self, task_id: str) -> tuple[Json, bytes]:
        """Wait for the end of a video; return what is told of it, and its file."""
        end = (await self.client.ends(task_id))[task_id]
        assert end["type"] == "result", end
        [output] = end["data"]["data"]
        async with aiohttp.ClientSession() as http, http.get(output["url"]) as response:
            return output, await response.read()

    async def running(self, task_id: str) -> None:
        await self.client.has(lambda m: m.get("task_id") == task_id and m.get("progress", 0) > 0)


async def test_videos(real_xinference_kinds: RealXinference, tmp_path: Path) -> None:
    """The same seed is the same film, also behind one that was given up and works on, and after a restart."""
    life = Life(tmp_path, real_xinference_kinds.url)
    async with AsyncExitStack() as stack:
        await life.begin(stack)
        ack = await life.ask("a", **SHORT | {"frames": 8})
        assert (ack["params"]["model"], ack["params"]["frames"], ack["adjusted"]) == (ANIMATOR, 9, ["frames"])
        told, film = await life.film("a")
        assert (told["media_type"], told["width"], told["height"], told["duration"]) == ("video/mp4", 64, 64, 1.8)
        assert identify(film).bytes == told["bytes"]
        labelled = embed(film, PROVENANCE, None)
        assert b"mdtaAIGC" in labelled, "its header is last"
        assert identify(labelled).duration == told["duration"]
        # Were it sent while the other one works on, both would fail.
        await life.ask("b", **LONG)
        await life.running("b")
        await life.client.ask(action="cancel", task_id="b")
        assert (await life.client.ends("b"))["b"]["upstream"] == "running_on"
        await life.ask("c", **SHORT)
        assert (await life.film("c"))[1] == film
        await life.ask("d", **LONG)
        await life.running("d")
    async with AsyncExitStack() as stack:
        await life.begin(stack)
        await life.client.ask(action="follow", scope="all")
        await life.ask("d", **LONG)
        told, film = await life.film("d")
        assert (told["width"], told["height"], told["duration"]) == (128, 128, 3.4)
        steps = {m["step"] for m in life.client.of("d", "progress")}
        await life.ask("e", **LONG)
        assert (await life.film("e"))[1] == film
        assert "decoding" in steps | {m["step"] for m in life.client.of("e", "progress")}
