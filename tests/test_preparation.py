"""While an image is prepared for its task nothing is asked of the model: the task can be cancelled, or expire."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from PIL import Image

from clients import LONG, Recorder, WireClient, eventually
from conftest import Serve
from image_files import png
from images import encoded, gradient
from start_studio import ALL, Studio, open_studio
from xinflight.cli import serving
from xinflight.demo import Faults
from xinflight.settings import Settings
from xinflight.tasks import image_inputs
from xinflight.tasks.ledger import Ledger
from xinflight.tasks.runs import OutputRun
from xinflight.upstream import Inputs

START = encoded(gradient())
REAL = image_inputs._prepared


class Held:
    """Holds every preparation until `go_on` is set, and counts them."""

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.count = 0
        self.at_once = 0
        self.most = 0

    def prepared(self, *arguments: Any) -> Inputs:
        self.count += 1
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        try:
            assert self.go_on.wait(LONG)
            return REAL(*arguments)
        finally:
            self.at_once -= 1


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[Held]:
    """Hold preparations, of the process's only server."""
    held = Held()
    monkeypatch.setattr(image_inputs, "_prepared", held.prepared)
    yield held
    held.go_on.set()


@pytest.fixture
async def studio(held: Held, stack: AsyncExitStack, emulate: Serve, serve: Serve) -> Studio:
    """Give a server with one model that has two replicas."""
    return await open_studio(stack, emulate, serve, msgspec.structs.replace(ALL, replicas=2))


async def test_several_images_prepare_once(studio: Studio, held: Held) -> None:
    """Also those that two replicas draw at once, and those of another task with the same start."""
    held.go_on.set()
    start = await studio.upload(START)
    await studio.make("a", image=start, n=4)
    await studio.make("b", image=start)
    assert held.count == 1
    assert len(set(studio.starts)) == 1
    await studio.make("c", image=start, size="64x64")
    assert held.count == 2


async def test_one_image_at_a_time_is_in_memory(studio: Studio, held: Held) -> None:
    """A decoded one may take a gigabyte."""
    for name, colour in (("a", "red"), ("b", "blue")):
        await studio.generate(name, image=await studio.upload(encoded(Image.new("RGB", (64, 64), colour))))
    await eventually(lambda: held.count)
    held.go_on.set()
    await studio.client.ends("a", "b")
    assert (held.count, held.most) == (2, 1)


async def test_a_cancel_while_it_is_prepared(studio: Studio, held: Held) -> None:
    """Nothing was asked for, and the slot is free at once for whoever needs no image."""
    start = await studio.upload(START)
    await studio.generate("a", image=start, n=2)
    await eventually(lambda: held.count)
    answer = await studio.client.ask(action="cancel", task_id="a")
    assert answer["tasks"] == [{"task_id": "a", "was": "queued"}]
    assert (await studio.end("a"))["upstream"] == "never_started"
    held.go_on.set()
    await studio.make("b")
    assert [route for route, _, _ in studio.engine.posts] == ["txt2img"]


async def test_a_task_that_expires_while_it_is_prepared(studio: Studio, held: Held) -> None:
    await studio.generate("a", image=await studio.upload(START), timeout=0.2)
    end = await studio.end("a")
    assert (end["code"], held.count) == ("timeout", 1)
    held.go_on.set()
    await studio.make("b")
    assert [route for route, _, _ in studio.engine.posts] == ["txt2img"]


async def test_others_go_on_while_an_image_is_prepared(studio: Studio, held: Held) -> None:
    """On the other replica."""
    await studio.generate("a", image=await studio.upload(START))
    await eventually(lambda: held.count)
    await studio.make("b")
    held.go_on.set()
    assert (await studio.end("a"))["type"] == "result"


async def test_a_damaged_image_is_looked_at_once(studio: Studio, held: Held) -> None:
    """However many outputs and tasks start from it."""
    held.go_on.set()
    start = await studio.upload(png(96, 64, b"too few"))
    for name in ("a", "b"):
        await studio.generate(name, image=start, n=3)
        assert (await studio.end(name))["code"] == "bad_image"
    assert (held.count, studio.engine.posts) == (1, [])


async def test_what_was_cancelled_before_its_turn_is_not_prepared(studio: Studio, held: Held) -> None:
    """It waits in its slot, for the image of another task."""
    await studio.generate("a", image=await studio.upload(START))
    await eventually(lambda: held.count)
    await studio.generate("b", image=await studio.upload(encoded(gradient((64, 64)))))
    await studio.client.ask(action="cancel", task_id="b")
    assert (await studio.end("b"))["upstream"] == "never_started"
    held.go_on.set()
    await studio.end("a")
    await studio.make("c")
    assert held.count == 1


async def test_who_sends_images_that_are_no_good_pays_for_the_slot(
    studio: Studio, held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though nothing was asked of the model: else those who made something would be behind for good."""
    charged = asyncio.Event()
    seconds: list[float] = []
    charge = Ledger.charge

    def charging(ledger: Ledger, run: OutputRun, cost: float, *rest: Any) -> None:
        charge(ledger, run, cost, *rest)
        seconds.append(cost)
        charged.set()

    monkeypatch.setattr(Ledger, "charge", charging)
    await studio.generate("a", image=await studio.upload(png(96, 64, b"too few")))
    await eventually(lambda: held.count)
    held.go_on.set()
    assert (await studio.end("a"))["code"] == "bad_image"
    await asyncio.wait_for(charged.wait(), LONG)
    assert seconds[0] > 0
    assert studio.engine.posts == []


async def test_the_oldest_prepared_images_are_forgotten(
    studio: Studio, held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are prepared again when they are needed."""
    monkeypatch.setattr(image_inputs, "PREPARED_BYTES", 1)
    held.go_on.set()
    starts = [await studio.upload(encoded(gradient(size))) for size in ((64, 64), (96, 64))]
    for number, start in enumerate([*starts, starts[1], starts[0]]):
        await studio.make(str(number), image=start)
    assert held.count == 3


async def test_what_was_made_of_a_deleted_upload_is_forgotten(studio: Studio, held: Held) -> None:
    """The same bytes are prepared again: nothing of a deleted image stays in memory."""
    held.go_on.set()
    start = await studio.upload(START)
    await studio.make("a", image=start)
    async with studio.http.delete(f"{studio.url}api/v1/uploads/{start}") as response:
        assert response.status == 204
    assert await studio.upload(START) == start
    await studio.make("b", image=start)
    assert held.count == 2


async def test_an_upload_that_is_deleted_while_its_task_waits(studio: Studio, held: Held) -> None:
    """It is gone for everybody but the task."""
    held.go_on.set()
    start = await studio.upload(START)
    studio.engine.faults = Faults(freeze=1, requests=2)
    for name in ("a", "b"):
        await studio.generate(name)
    await studio.generate("c", image=start)
    async with studio.http.delete(f"{studio.url}api/v1/uploads/{start}") as response:
        assert response.status == 204
    answer = await studio.generate("d", image=start)
    assert (answer["type"], answer["code"]) == ("error", "image_not_found")
    studio.engine.thaw()
    assert (await studio.end("c"))["type"] == "result"


async def test_a_file_that_somebody_removed_fails_the_task(studio: Studio, held: Held, tmp_path: Path) -> None:
    held.go_on.set()
    start = await studio.upload(START)
    for file in (tmp_path / "data" / "uploads").rglob("*"):
        if file.is_file():
            file.unlink()
    await studio.generate("a", image=start)
    assert (await studio.end("a"))["code"] == "image_not_found"
    assert studio.engine.posts == []


async def test_a_server_that_stops_while_an_image_is_prepared(
    held: Held, emulate: Serve, tmp_path: Path, stack: AsyncExitStack
) -> None:
    """The next one prepares it again: until then it is stored as waiting, with no request to ask about."""
    engine = Recorder([ALL])
    settings = Settings(port=0, data_dir=str(tmp_path / "data"), drain=0.0, xinference_url=await emulate(engine))
    async with AsyncExitStack() as life:
        url, _ = await life.enter_async_context(serving(settings, demo=False))
        http = await stack.enter_async_context(aiohttp.ClientSession())
        client = await stack.enter_async_context(WireClient.connect(url))
        studio = Studio(engine, f"{url.rstrip('/')}/", http, client)
        await studio.generate("a", image=await studio.upload(START))
        await eventually(lambda: held.count)
        listed = await client.ask(action="list")
        assert [task["state"] for task in listed["tasks"]] == ["queued"]
        stopping = asyncio.create_task(life.aclose(), name="stop")
        await client.closed()
        # The thread ends before the process does.
        held.go_on.set()
        await stopping
    async with serving(settings, demo=False) as (url, _), WireClient.connect(url) as again:
        await again.send(action="resume", after=f"{again.seen[0]['epoch']}:0", scope="all")
        assert (await again.ends("a"))["a"]["type"] == "result"
