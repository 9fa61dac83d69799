"""A server that stops or is killed, and what its next life makes of it; with the real process."""

import asyncio
import re
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest
from aiohttp import WSMsgType

from clients import LONG, Json, Recorder, WireClient, eventually, painter
from conftest import Serve
from factories import FENCE
from server_process import Server, launch, running
from xinflight.demo import EmulatedModel, EmulatorOptions, Faults
from xinflight.demo.drawing import draw
from xinflight.storage import Save, SqliteStore

pytestmark = pytest.mark.process

STEADY = painter(step_seconds=0.02, decode_seconds=0.02, default_generate_config={"num_inference_steps": 10})


class Place:
    """A data folder and an upstream that outlives every server on it."""

    def __init__(self, folder: Path, engine: Recorder, xinference: str) -> None:
        self.folder = folder
        self.engine = engine
        self.xinference = xinference

    @asynccontextmanager
    async def life(self, **settings: object) -> AsyncIterator[tuple[Server, WireClient]]:
        """Run a server with a client that follows everything from the beginning."""
        async with running(self.folder, self.xinference, **settings) as server:
            async with WireClient.connect(server.url) as client:
                await client.send(action="resume", after=f"{client.seen[0]['epoch']}:0", scope="all")
                yield server, client

    def images(self) -> list[Path]:
        return list((self.folder / "outputs").glob("??/*"))


Open = Callable[..., Awaitable[Place]]


@pytest.fixture
async def place(tmp_path: Path, emulate: Serve) -> Open:
    async def open_(model: EmulatedModel = STEADY, options: EmulatorOptions | None = None) -> Place:
        engine = Recorder([model], options=options)
        return Place(tmp_path / "data", engine, await emulate(engine))

    return open_


async def start(client: WireClient, *task_ids: str, **fields: object) -> None:
    for task_id in task_ids:
        ack = await client.ask(**{"action": "generate", "prompt": task_id, "task_id": task_id, **fields})
        assert ack["type"] == "ack", ack


async def begun(client: WireClient, task_id: str) -> None:
    await client.has(lambda m: m["type"] == "progress" and m["task_id"] == task_id and m["progress"] > 0)


async def closed(client: WireClient) -> int | None:
    """Receive until the server closes; return the code."""
    async with asyncio.timeout(LONG):
        while (frame := await client.ws.receive()).type is WSMsgType.TEXT:
            client.seen.append(frame.json())
    return client.ws.close_code


async def exited(server: Server) -> None:
    assert await server.ended() == 0
    assert not [line for line in server.log if "Traceback" in line], "\n".join(server.log)


# SIGTERM


async def test_what_runs_gets_its_time_and_the_rest_goes_on_in_order(place: Open) -> None:
    here = await place()
    here.engine.faults = Faults(freeze=3, requests=1)
    async with here.life(drain=600) as (server, client):
        await start(client, "a", "b", "c", "d")
        await begun(client, "a")
        server.terminate()
        notice = await client.until(lambda m: m["type"] == "notice")
        assert notice["kind"] == "draining"
        refused = await client.ask(action="generate", prompt="late")
        assert (refused["type"], refused["code"], refused["retryable"]) == ("error", "shutting_down", True)
        here.engine.thaw()
        assert await closed(client) == 1012
        assert [m["type"] for m in client.of("a", "result")] == ["result"], "it had the time"
        await exited(server)
    assert here.engine.prompts == ["a"]
    assert here.engine.aborts == []
    async with here.life() as (server, client):
        await client.ends("a", "b", "c", "d")
    assert here.engine.prompts == ["a", "b", "c", "d"]
    assert here.engine.peak["painter"] == 1


async def test_what_does_not_end_in_time_is_stopped_and_made_again(place: Open) -> None:
    here = await place()
    here.engine.faults = Faults(freeze=3, requests=1)
    async with here.life(drain=0.2) as (server, client):
        await start(client, "a", "b")
        await begun(client, "a")
        server.terminate()
        assert await closed(client) == 1012
        await eventually(lambda: here.engine.aborts)
        here.engine.thaw()
        await exited(server)
    assert len(here.engine.aborts) == 1
    assert here.engine.in_flight["painter"] == 0, "it was awaited"
    async with here.life() as (server, client):
        ends = await client.ends("a", "b")
    assert {end["type"] for end in ends.values()} == {"result"}
    assert here.engine.prompts == ["a", "a", "b"]
    assert here.engine.peak["painter"] == 1


async def test_a_frozen_upstream_does_not_hold_the_stop(place: Open) -> None:
    here = await place()
    here.engine.faults = Faults(freeze=3, requests=1)
    async with here.life(drain=0.2) as (server, client):
        await start(client, "a")
        await begun(client, "a")
        server.terminate()
        await closed(client)
        await exited(server)
    async with here.life() as (server, client):
        await start(client, "b")
        # Its old request was aborted, but stands still: nothing may be sent to that model.
        await eventually(lambda: len(here.engine.aborts) >= 2)
        await client.ask(action="ping")
        assert here.engine.prompts == ["a"]
        here.engine.thaw()
        assert {end["type"] for end in (await client.ends("a", "b")).values()} == {"result"}
    assert here.engine.prompts == ["a", "a", "b"]
    assert here.engine.peak["painter"] == 1


# A crash


async def test_a_crash_stops_the_old_request_and_keeps_the_order(place: Open) -> None:
    here = await place()
    here.engine.faults = Faults(freeze=3, requests=1)
    async with here.life() as (server, client):
        await start(client, "a", "b", "c")
        await start(client, "first", priority=5)
        await begun(client, "a")
        await server.kill()
    async with here.life() as (server, client):
        await start(client, "d")
        await eventually(lambda: here.engine.aborts)
        here.engine.thaw()
        await client.ends("a", "b", "c", "d", "first")
    assert here.engine.prompts == ["a", "first", "a", "b", "c", "d"]
    assert here.engine.peak["painter"] == 1


async def test_the_next_server_names_the_living_one(place: Open) -> None:
    here = await place()
    async with here.life() as (server, client):
        with pytest.raises(AssertionError, match=f"in use by process {server.process.pid}"):
            async with running(here.folder, here.xinference):
                pass
        await start(client, "a")
        await client.ends("a")


async def test_a_cancel_is_honoured_after_a_crash(place: Open) -> None:
    here = await place()
    here.engine.faults = Faults(freeze=3, requests=1)
    async with here.life() as (server, client):
        await start(client, "a")
        await begun(client, "a")
        await client.ask(action="cancel", task_id="a")
        # Writes are stored in their order: with this one's acceptance, the cancel is stored, too.
        await start(client, "b")
        await server.kill()
    async with here.life() as (server, client):
        await eventually(lambda: len(here.engine.aborts) >= 2)
        await client.ask(action="ping")
        assert client.of("a", "cancelled") == [], "it is not known to have stopped"
        assert here.engine.prompts == ["a"]
        here.engine.thaw()
        ends = await client.ends("a", "b")
    assert (ends["a"]["type"], ends["a"]["upstream"]) == ("cancelled", "stopped")
    assert ends["b"]["type"] == "result"
    assert here.engine.prompts == ["a", "b"]


async def test_a_cancel_after_a_crash_does_not_claim_what_it_does_not_know(place: Open) -> None:
    """Before Xinference could be asked about the old request, nobody knows whether it runs."""
    here = await place()
    here.engine.faults = Faults(freeze=3, requests=1)
    async with here.life() as (server, client):
        await start(client, "a")
        await begun(client, "a")
        await server.kill()
    here.engine.unreachable = True
    async with here.life() as (server, client):
        await client.ask(action="cancel", task_id="a")
        ends = await client.ends("a")
        assert (ends["a"]["type"], ends["a"]["upstream"]) == ("cancelled", "unconfirmed")
        await start(client, "b")
        here.engine.unreachable = False
        await eventually(lambda: here.engine.aborts)
        assert here.engine.prompts == ["a"], "its slot is taken"
        here.engine.thaw()
        await client.ends("b")
    assert here.engine.prompts == ["a", "b"]
    assert here.engine.peak["painter"] == 1


async def test_time_goes_on_while_nobody_runs(place: Open) -> None:
    here = await place()
    here.engine.faults = Faults(freeze=1, requests=1)
    async with here.life() as (server, client):
        await start(client, "a")
        await start(client, "b", timeout=0.5)
        await start(client, "c", timeout=600.0)
        await server.kill()
    here.engine.thaw()
    await asyncio.sleep(0.5)
    async with here.life() as (server, client):
        ends = await client.ends("a", "b", "c")
    assert (ends["b"]["type"], ends["b"]["code"], ends["b"]["state"]) == ("error", "timeout", "expired")
    assert (ends["a"]["type"], ends["c"]["type"]) == ("result", "result")
    assert "b" not in here.engine.prompts


async def test_one_of_two_images_is_kept_when_the_other_expires(place: Open) -> None:
    here = await place()
    here.engine.script = [Faults(), Faults(freeze=1)]
    async with here.life() as (server, client):
        await start(client, "a", n=2, timeout=600.0)
        await client.until(lambda m: m["type"] == "output")
        await eventually(lambda: len(here.engine.posts) == 2)
        await server.kill()
    await expire(here.folder, "a", time.time() + 2.0)
    async with here.life() as (server, client):
        end = (await client.ends("a"))["a"]
    assert (end["type"], end["failed"], end["failures"]) == ("result", [1], [{"index": 1, "code": "timeout"}])
    assert [image["index"] for image in end["data"]["data"]] == [0]
    assert len(here.images()) == 1
    here.engine.thaw()


async def expire(folder: Path, task_id: str, deadline: float) -> None:
    """Change the deadline of a stored task, while no server runs: how fast it came so far decides nothing."""
    store = SqliteStore(folder, full=False)
    await store.open()
    task = await store.task("local", task_id)
    assert task is not None
    task.deadline = deadline
    await store.commit([Save(task=task, fence=FENCE)])
    assert await store.task("local", task_id) == task
    await store.close()


async def test_a_written_image_is_adopted_and_strangers_are_set_aside(place: Open) -> None:
    """A crash between the file and its commit: the image is there, so it is not made again."""
    here = await place()
    here.engine.faults = Faults(freeze=5, requests=1)
    async with here.life() as (server, client):
        await start(client, "a", seed=11)
        await begun(client, "a")
        await server.kill()
    here.engine.thaw()
    store = SqliteStore(here.folder, full=False)
    await store.open()
    task = await store.task("local", "a")
    await store.close()
    assert task is not None
    drawn = draw(prompt="a", negative_prompt="", width=64, height=64, steps=10, guidance=0.0, seed=11)
    image = here.folder / "outputs" / task.outputs[0].output_id[:2] / task.outputs[0].output_id
    lost = image.name[:2] + "x" * 22
    strangers = [image.with_name(lost), image.with_name(f".{image.name}")]
    image.parent.mkdir(parents=True)
    for path in (image, *strangers):
        path.write_bytes(drawn)
    async with here.life() as (server, client):
        end = (await client.ends("a"))["a"]
        assert [m["type"] for m in client.of("a", "accepted", "output", "result")] == [
            "accepted",
            "output",
            "result",
        ]
        assert (end["data"]["data"][0]["bytes"], end["data"]["data"][0]["seed"]) == (len(drawn), 11)
    assert here.engine.prompts == ["a"]
    assert here.images() == [image]
    assert {path.name for path in (here.folder / "outputs" / "lost").iterdir()} == {lost, f".{image.name}"}


async def test_half_an_image_is_made_again(place: Open) -> None:
    here = await place()
    here.engine.faults = Faults(freeze=1, requests=1)
    async with here.life() as (server, client):
        await start(client, "a")
        await server.kill()
    here.engine.thaw()
    store = SqliteStore(here.folder, full=False)
    await store.open()
    task = await store.task("local", "a")
    await store.close()
    assert task is not None
    image = here.folder / "outputs" / task.outputs[0].output_id[:2] / task.outputs[0].output_id
    image.parent.mkdir(parents=True)
    image.write_bytes(b"\xff\xd8\xff")
    async with here.life() as (server, client):
        assert (await client.ends("a"))["a"]["type"] == "result"
    assert image.stat().st_size > 100


# The other route, where an abort spoils the next image


@pytest.mark.parametrize("known", [True, False], ids=["old server", "model without txt2img"])
async def test_on_the_other_route_a_crash_aborts_nothing_and_the_slot_stays_taken(place: Open, known: bool) -> None:
    model = STEADY if known else painter(step_seconds=0.02, decode_seconds=0.02, txt2img=False)
    here = await place(model, EmulatorOptions(txt2img_abort=not known))
    async with here.life() as (server, client):
        await start(client, "warm")
        await client.ends("warm")
        here.engine.faults = Faults(freeze=3)
        await start(client, "a", "b")
        await begun(client, "a")
        await server.kill()
    sent = len(here.engine.posts)
    async with here.life() as (server, client):
        await client.ask(action="cancel", task_id="b")
        assert len(here.engine.posts) == sent
        assert here.engine.in_flight["painter"] == 1, "it runs on"
        await start(client, "c")
        here.engine.faults = Faults()
        here.engine.thaw()
        ends = await client.ends("a", "b", "c")
    assert {task_id: end["type"] for task_id, end in ends.items()} == {"a": "result", "b": "cancelled", "c": "result"}
    assert [p for route, _, p in here.engine.posts if route == "generations"] == ["warm", "a", "a", "c"]
    assert here.engine.aborts == []
    assert here.engine.peak["painter"] == 1


async def test_on_the_other_route_a_cancel_says_that_it_runs_on(place: Open) -> None:
    here = await place(STEADY, EmulatorOptions(txt2img_abort=False))
    here.engine.faults = Faults(freeze=3, requests=1)
    async with here.life() as (server, client):
        await start(client, "a")
        await begun(client, "a")
        await server.kill()
    async with here.life() as (server, client):
        # The second question says that the answer to the first was heard.
        asked = here.engine.polls.total()
        await eventually(lambda: here.engine.polls.total() >= asked + 2)
        await client.ask(action="cancel", task_id="a")
        end: Json = (await client.ends("a"))["a"]
        assert (end["type"], end["upstream"]) == ("cancelled", "running_on")
        here.engine.thaw()
        await start(client, "b")
        await client.ends("b")
    assert here.engine.prompts == ["a", "b"]
    assert here.engine.aborts == []
    assert here.engine.peak["painter"] == 1


# A start that can't be


def damage(folder: Path) -> None:
    (folder / "xinflight.db").write_bytes(b"no database " * 500)


def make_newer(folder: Path) -> None:
    with closing(sqlite3.connect(folder / "xinflight.db")) as connection:
        connection.execute("PRAGMA user_version = 99")


def lose_a_table(folder: Path) -> None:
    with closing(sqlite3.connect(folder / "xinflight.db")) as connection:
        connection.execute("DROP TABLE tasks")


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (damage, "is damaged .* Move the folder away"),
        (make_newer, "newer xinflight"),
        (lose_a_table, "can't be read"),
    ],
)
async def test_a_start_that_can_not_be_says_what_to_do(place: Open, harm: Callable[[Path], None], said: str) -> None:
    here = await place()
    async with here.life() as (server, client):
        await start(client, "a")
        await client.ends("a")
        server.terminate()
        await exited(server)
    harm(here.folder)
    server = await launch(here.folder, here.xinference)
    assert await server.ended() == 1
    log = "\n".join(server.log)
    assert re.search(rf"^Error: .*{said}", log, re.MULTILINE), log
    assert "Traceback" not in log, log
