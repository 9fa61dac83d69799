"""SIGKILL at any moment, and a line that is cut at any byte: nothing that was acknowledged is lost or comes twice."""

import asyncio
import itertools
import os
import random
import shutil
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path

import aiohttp
import msgspec
import pytest

from clients import LONG, eventually, is_end, painter
from conftest import Serve
from server_process import QUICK, Assembler, Counting, lasting, launch, running
from xinflight.model import Task, identify
from xinflight.protocol import State
from xinflight.storage import SqliteStore

pytestmark = pytest.mark.process

KILLS = int(os.environ.get("XINFLIGHT_TEST_KILLS", "5"))
CUTS = int(os.environ.get("XINFLIGHT_TEST_CUTS", "25"))
SEED = int(os.environ.get("XINFLIGHT_TEST_SEED", random.randrange(2**32)))


class Load:
    """A client that starts generations as long as it is told to, and repeats what was not acknowledged.

    It has at most `most` unfinished: on a slow machine the queue would grow, and with it every message about it.
    """

    def __init__(self, watcher: Assembler, dice: random.Random, most: int = 20) -> None:
        self.watcher = watcher
        self._most = most
        self.unacknowledged: dict[str, dict[str, object]] = {}
        self.acknowledged: set[str] = set()
        self._dice = dice
        self._numbers = itertools.count(1)

    async def run(self, pause: float) -> None:
        """Send until cancelled, or the line breaks."""
        while self.watcher.ws is None:  # noqa: ASYNC110 - what is waited for has no event to give
            await asyncio.sleep(0.005)
        for message in list(self.unacknowledged.values()):
            await self.watcher.ws.send_json(message)
        while self.watcher.ws is not None:
            if self._unfinished() >= self._most:
                await asyncio.sleep(0.005)
                continue
            task_id = f"t{next(self._numbers)}"
            message = {
                "action": "generate",
                "task_id": task_id,
                "prompt": task_id,
                "n": self._dice.choice((1, 1, 2)),
                "seed": self._dice.randrange(10**6),
            }
            self.unacknowledged[task_id] = message
            await self.watcher.ws.send_json(message)
            if self._dice.random() < 0.1 and self.watcher.acks:
                victim = self._dice.choice(list(self.watcher.acks))
                await self.watcher.ws.send_json({"action": "cancel", "task_id": victim})
            await asyncio.sleep(pause * self._dice.random() * 2)

    def _unfinished(self) -> int:
        return len((self.unacknowledged.keys() | self.watcher.acks.keys()) - self.watcher.ended.keys())

    def settle(self) -> None:
        """Take note of what was acknowledged."""
        self.acknowledged |= self.watcher.acks.keys()
        for task_id in self.watcher.acks:
            self.unacknowledged.pop(task_id, None)


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[SqliteStore]:
    """Open the store of a folder that no process uses."""
    store = SqliteStore(folder, full=False)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


async def tasks_of(store: SqliteStore) -> list[Task]:
    rows = await store.tasks("local", before=None, limit=100_000, states=set(State))
    return [row.task for row in rows]


async def look_into(folder: Path, aside: Path) -> dict[tuple[str, int], str]:
    """Check what a killed process left, in a copy; return which images are stored: (prompt, seed) to file."""
    images = {path.name: path for path in (folder / "outputs").glob("??/[!.]*")}
    for path in images.values():
        identify(path.read_bytes())
        assert path.read_bytes().endswith(b"\xff\xd9"), "an image that is not whole"
    shutil.rmtree(aside, ignore_errors=True)
    shutil.copytree(folder, aside, ignore=shutil.ignore_patterns("outputs", "lock*"))
    with closing(sqlite3.connect(aside / "xinflight.db")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    async with opened(aside) as store:
        return {
            (task.params.prompt, output.seed): output.output_id
            for task in await tasks_of(store)
            for output in task.outputs
            if output.output_id in images
        }


@pytest.mark.timeout(300 + 10 * KILLS)
async def test_killed_again_and_again(tmp_path: Path, emulate: Serve) -> None:
    """Every acknowledged task ends once, no stored image is made again, no model gets more than it has replicas."""
    print(f"XINFLIGHT_TEST_SEED={SEED}")
    dice = random.Random(SEED)
    engine = Counting(msgspec.structs.replace(QUICK, replicas=2))
    xinference = await emulate(engine)
    folder = tmp_path / "data"
    watcher = Assembler()
    load = Load(watcher, dice)
    stored: dict[tuple[str, int], int] = {}
    for _ in range(KILLS):
        if dice.random() < 0.2:
            starting = await launch(folder, xinference)
            await asyncio.sleep(dice.uniform(0.2, 1.0))
            await starting.kill()
        async with running(folder, xinference) as server:
            watching = asyncio.create_task(watcher.watch(server.url))
            sending = asyncio.create_task(load.run(0.02))
            # After so many answers, however long they take: from the first word to the middle of everything.
            await watcher.acknowledged(len(watcher.acks) + dice.randrange(40))
            await server.kill()
            with suppress(aiohttp.ClientError, ConnectionError):
                await watching
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
            watcher.shown.clear()
        load.settle()
        for image in await look_into(folder, tmp_path / "aside"):
            stored.setdefault(image, engine.asked[image])
    async with running(folder, xinference) as server:
        watching = asyncio.create_task(watcher.watch(server.url))
        async with asyncio.timeout(4 * LONG):
            while load.acknowledged - watcher.ended.keys():
                assert not watching.done(), watching
                await asyncio.sleep(0.05)
        server.terminate()
        assert await server.ended() == 0
        await watching
    assert not [line for line in server.log if "Traceback" in line]
    await check_the_end(folder, watcher, load.acknowledged)
    assert engine.peak["painter"] <= 2
    assert not engine.twice_at_once
    again = {image: engine.asked[image] - times for image, times in stored.items()}
    assert set(again.values()) <= {0}, "a stored image was made again"
    print(f"{len(load.acknowledged)} tasks, {len(stored)} images stored before a kill, {engine.peak} at once")
    assert len(load.acknowledged) >= 3 * KILLS


async def check_the_end(folder: Path, watcher: Assembler, acknowledged: set[str]) -> None:
    """Hold the store and the files against what the client put together."""
    async with opened(folder) as store:
        tasks = {task.task_id: task for task in await tasks_of(store)}
        events = await store.events_of_owner("local", after=0, upto=2**62, limit=10**6)
        assert acknowledged <= tasks.keys()
        ends = Counter(event.uid for event in events if event.message.ends)
        for task_id in acknowledged:
            assert tasks[task_id].state in (State.COMPLETED, State.CANCELLED)
            assert ends[tasks[task_id].uid] == 1
        known = {event.seq: event.message.task_id for event in events}
        assert known == {seq: event["task_id"] for seq, event in watcher.events.items()}
        files = {path.name for path in (folder / "outputs").glob("??/*")}
        recorded = {output.output_id for task in tasks.values() for output in task.outputs if output.file is not None}
        assert files == recorded


class Cutter:
    """A line between a client and a server that breaks after so many bytes, in the middle of a frame too."""

    def __init__(self, host: str, port: int) -> None:
        self._to = host, port
        self.left = 0
        self._server: asyncio.Server | None = None

    @asynccontextmanager
    async def open(self) -> AsyncIterator[str]:
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        async with self._server:
            yield f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(*self._to)
        pumps = [
            asyncio.create_task(self._pump(reader, far_writer)),
            asyncio.create_task(self._pump(far_reader, writer)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            writer.transport.abort()
            far_writer.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while self.left > 0 and (data := await reader.read(4096)):
            writer.write(data[: self.left])
            self.left -= len(data)
            await writer.drain()


@pytest.mark.timeout(300 + 2 * CUTS)
async def test_cut_again_and_again(tmp_path: Path, emulate: Serve) -> None:
    """What a client assembles over many cut lines is what an undisturbed one saw, in order and without a gap."""
    print(f"XINFLIGHT_TEST_SEED={SEED}")
    dice = random.Random(SEED)
    engine = Counting(painter(step_seconds=0.02, decode_seconds=0.02, replicas=2))
    calm, cut, source = Assembler(), Assembler(), Assembler()
    async with running(tmp_path / "data", await emulate(engine)) as server:
        host, port = server.url.removeprefix("http://").rstrip("/").split(":")
        cutter = Cutter(host, int(port))
        watching = [asyncio.create_task(each.watch(server.url)) for each in (calm, source)]
        load = Load(source, dice)
        sending = asyncio.create_task(load.run(0.07))
        async with cutter.open() as line:
            cuts = 0
            # Some are cut before a replay is whole: of those that are, there must be enough to prove something.
            while cuts < CUTS or cut.resumed < CUTS // 4:
                # From the middle of the handshake to long after the replay.
                cutter.left = dice.choice((dice.randrange(200, 3000), dice.randrange(200, 25_000)))
                with suppress(aiohttp.ClientError, ConnectionError, TypeError):
                    await cut.watch(line)
                cuts += 1
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
            # All of them: one that is under way when the server stops may be told to one of the two only.
            await eventually(lambda: load.unacknowledged.keys() <= source.acks.keys())
            load.settle()
            cutter.left = 2**40
            watching.append(asyncio.create_task(cut.watch(line)))
            async with asyncio.timeout(4 * LONG):
                while any(load.acknowledged - each.ended.keys() for each in (calm, cut)):
                    assert not any(task.done() for task in watching)
                    await asyncio.sleep(0.02)
            server.terminate()
            await asyncio.gather(*watching)
    print(f"{len(load.acknowledged)} tasks, {len(calm.events)} events, {cut.resumed} whole replays in {cuts} cuts")
    assert {seq: lasting(event) for seq, event in calm.events.items()} == {
        seq: lasting(event) for seq, event in cut.events.items()
    }
    assert sum(is_end(event) for event in calm.events.values()) == len(calm.ended)
