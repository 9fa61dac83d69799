"""A disk that is full or read-only, a database that is locked: new work is refused, finished work held and stored."""

import asyncio
import errno
import itertools
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import AsyncExitStack, closing
from pathlib import Path

import aiohttp
import pytest

from clients import LONG, Json, Recorder, ShiftedClock, WireClient, eventually, painter
from conftest import Front, Serve
from xinflight.demo import Faults
from xinflight.demo.drawing import draw
from xinflight.errors import StorageUnavailable, StoreUnusable
from xinflight.model import MediaInfo, Task
from xinflight.storage import FileBlobs, SqliteStore, sqlite_batch, sqlite_database
from xinflight.tasks import runner


class Disk:
    """A small file system of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._filler = folder / "filler"

    def fill(self) -> None:
        """Leave not one byte."""
        page = b"x" * os.statvfs(self.folder).f_frsize
        with self._filler.open("wb", buffering=0) as file:
            with pytest.raises(OSError, match="No space left"):
                file.writelines(itertools.repeat(page))

    def free(self) -> None:
        self._filler.unlink()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "xinflight-test", str(folder)]
    if os.geteuid() != 0 or shutil.which("mount") is None or subprocess.run(mount, check=False).returncode != 0:
        pytest.skip("only root may mount a small disk")
    yield Disk(folder)
    subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try to write an image again soon, and give a locked database up soon."""
    monkeypatch.setattr(runner, "STORAGE_PAUSE", 0.1)
    monkeypatch.setattr(sqlite_database, "BUSY_TIMEOUT", 0.05)


class Lock:
    """Another program that writes to the database."""

    def __init__(self, folder: Path) -> None:
        self._connection = sqlite3.connect(folder / "xinflight.db", isolation_level=None)

    def __enter__(self) -> None:
        self._connection.execute("BEGIN IMMEDIATE")

    def __exit__(self, *error: object) -> None:
        self._connection.rollback()
        self._connection.close()


async def start(client: WireClient, task_id: str, **fields: object) -> Json:
    return await client.ask(**{"action": "generate", "prompt": task_id, "task_id": task_id, **fields})


async def refused(client: WireClient, task_id: str, **fields: object) -> None:
    answer = await start(client, task_id, **fields)
    assert (answer["type"], answer.get("code"), answer.get("retryable")) == ("error", "storage_unavailable", True)


async def accepted(client: WireClient, task_id: str) -> Json:
    """Ask until it is accepted, and return its end."""
    async with asyncio.timeout(LONG):
        while (await start(client, task_id))["type"] != "ack":  # noqa: ASYNC110 - the server has no event to give
            await asyncio.sleep(0.1)
    return (await client.ends(task_id))[task_id]


def ends(client: WireClient) -> list[Json]:
    return [m for m in client.seen if m["type"] in ("result", "cancelled") or (m["type"] == "error" and "seq" in m)]


# The disk is full


@pytest.fixture
def failures(monkeypatch: pytest.MonkeyPatch) -> list[OSError]:
    """Give the errors of images that could not be written."""
    failed: list[OSError] = []
    write = FileBlobs._put

    def put(self: FileBlobs, output_id: str, data: bytes) -> MediaInfo:
        try:
            return write(self, output_id, data)
        except OSError as error:
            failed.append(error)
            raise

    monkeypatch.setattr(FileBlobs, "_put", put)
    return failed


@pytest.mark.usefixtures("quick_retries")
async def test_a_full_disk_refuses_and_holds(
    disk: Disk, engine: Recorder, emulate: Serve, serve: Serve, stack: AsyncExitStack, failures: list[OSError]
) -> None:
    url = await serve(xinference_url=await emulate(engine), default_size="64x64", data_dir=str(disk.folder / "data"))
    client = await stack.enter_async_context(WireClient.connect(url))
    await accepted(client, "before")
    engine.faults = Faults(freeze=1, requests=1)
    assert (await start(client, "a"))["type"] == "ack"
    # Before it is sent its request is stored; from then on the disk may fill.
    await eventually(lambda: len(engine.posts) == 2)
    disk.fill()
    engine.thaw()
    await client.until(lambda m: m["type"] == "progress" and m["step"] == "saving")
    # Tried again, it is held.
    await eventually(lambda: len(failures) >= 2)
    await refused(client, "b")
    assert (await client.ask(action="ping"))["type"] == "pong"
    page = await client.ask(action="list")
    assert [(task["task_id"], task["state"]) for task in page["tasks"]][1] == ("before", "completed")
    assert [m["task_id"] for m in ends(client)] == ["before"], "an end was told that is not stored"
    assert len(engine.posts) == 2
    disk.free()
    end = (await client.ends("a"))["a"]
    assert end["type"] == "result"
    assert engine.prompts == ["before", "a"], "it was held, not made again"
    assert (await accepted(client, "b"))["type"] == "result"
    async with aiohttp.ClientSession() as http, http.get(end["data"]["data"][0]["url"]) as answer:
        assert (answer.status, len(await answer.read())) == (200, end["data"]["data"][0]["bytes"])


@pytest.mark.usefixtures("quick_retries")
async def test_a_full_disk_after_a_kill_starts_with_what_to_do(disk: Disk, serve: Serve, engine: Recorder) -> None:
    disk.fill()
    with pytest.raises(StoreUnusable, match="free space"):
        await serve(data_dir=str(disk.folder / "data"), xinference_url="http://127.0.0.1:9")


@pytest.fixture
def broken_disk(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let no image be written while the list that this gives is not empty."""
    faults: list[str] = []
    write = FileBlobs._put

    def put(self: FileBlobs, output_id: str, data: bytes) -> MediaInfo:
        if faults:
            raise OSError(errno.EROFS, faults[0])
        return write(self, output_id, data)

    monkeypatch.setattr(FileBlobs, "_put", put)
    return faults


@pytest.mark.usefixtures("quick_retries")
async def test_past_the_limit_it_is_made_again_when_the_disk_is_back(front: Front, broken_disk: list[str]) -> None:
    """What can't be held is not made again and again meanwhile: the model would work for nothing."""
    size = len(draw(prompt="a", negative_prompt="", width=64, height=64, steps=10, guidance=0.0, seed=1))
    engine, client = await front(painter(replicas=2), unsaved_bytes=size, file_metadata="none")
    broken_disk.append("Read-only file system")
    # Nothing more is accepted once the first can't be written.
    engine.faults = Faults(freeze=3, requests=2)
    for task_id in ("a", "b"):
        assert (await start(client, task_id, prompt="a", seed=1))["type"] == "ack"
    engine.thaw()
    retried = await client.has(lambda m: m["type"] == "progress" and "retry_reason" in m.get("details", {}))
    assert retried["details"]["retry_reason"] == "storage_unavailable"
    await asyncio.sleep(1.0)
    assert len(engine.posts) == 2
    broken_disk.clear()
    ends = await client.ends("a", "b")
    assert {end["type"] for end in ends.values()} == {"result"}
    assert len(engine.posts) == 3


@pytest.mark.usefixtures("quick_retries")
async def test_a_held_image_that_expires_is_not_named(
    clock: ShiftedClock, client: WireClient, engine: Recorder, broken_disk: list[str], tmp_path: Path
) -> None:
    engine.script = [Faults(), Faults(freeze=10)]
    assert (await start(client, "a", n=2, timeout=600))["type"] == "ack"
    await client.until(lambda m: m["type"] == "output")
    broken_disk.append("Read-only file system")
    engine.thaw()
    await client.until(lambda m: m["type"] == "progress" and m["index"] == 1 and m["step"] == "saving")
    clock.advance(600)
    end = (await client.ends("a"))["a"]
    assert (end["type"], end["failed"]) == ("result", [1])
    assert [image["index"] for image in end["data"]["data"]] == [0]
    broken_disk.clear()
    await accepted(client, "b")
    assert len(list((tmp_path / "data" / "outputs").glob("*/*"))) == 2


async def test_saving_is_told_where_it_takes_a_while(client: WireClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of most images it would be one more message to everybody, a millisecond before that it is there."""
    put, go_on = FileBlobs.put, asyncio.Event()

    async def held(self: FileBlobs, output_id: str, data: bytes) -> MediaInfo:
        await go_on.wait()
        return await put(self, output_id, data)

    with monkeypatch.context() as disk:
        disk.setattr(FileBlobs, "put", held)
        await start(client, "slow")
        told = await client.until(lambda m: m["type"] == "progress" and m["step"] == "saving")
        assert told["progress"] == 99
        go_on.set()
        await client.ends("slow")
    monkeypatch.setattr(runner, "SLOW_SAVING", LONG)
    await client.send(action="generate", task_id="quick", prompt="a boat")
    await client.ends("quick")
    assert "saving" not in {message["step"] for message in client.of("quick", "progress")}


# The database is locked


@pytest.mark.usefixtures("quick_retries")
async def test_a_locked_database_refuses_and_holds(client: WireClient, engine: Recorder, tmp_path: Path) -> None:
    await accepted(client, "before")
    engine.faults = Faults(freeze=1, requests=1)
    assert (await start(client, "a"))["type"] == "ack"
    assert (await start(client, "b"))["type"] == "ack"
    with Lock(tmp_path / "data"):
        await refused(client, "c")
        engine.thaw()
        await eventually(lambda: not engine.in_flight["painter"] and "b" not in engine.prompts)
        await asyncio.sleep(0.5)
        assert [m["task_id"] for m in ends(client)] == ["before"]
        page = await client.ask(action="list", state="unfinished")
        assert [task["task_id"] for task in page["tasks"]] == ["b", "a"]
    done = await client.ends("a", "b")
    assert {end["type"] for end in done.values()} == {"result"}
    assert engine.prompts == ["before", "a", "b"]
    assert (await accepted(client, "c"))["type"] == "result"
    seqs = [m["seq"] for m in client.seen if "seq" in m and m["type"] != "progress"]
    assert seqs == sorted(seqs)


@pytest.mark.usefixtures("quick_retries")
async def test_an_idle_server_takes_work_again(client: WireClient, tmp_path: Path) -> None:
    with Lock(tmp_path / "data"):
        await refused(client, "a")
        await refused(client, "b")
    assert (await accepted(client, "a"))["type"] == "result"


@pytest.mark.usefixtures("quick_retries")
async def test_what_was_refused_leaves_nothing_behind(client: WireClient, engine: Recorder, tmp_path: Path) -> None:
    """One that expires, or is cancelled, before it was refused has no end to be told."""
    with Lock(tmp_path / "data"):
        await refused(client, "a", timeout=0.01)
        await refused(client, "b")
    assert (await accepted(client, "c"))["type"] == "result"
    assert [task["task_id"] for task in (await client.ask(action="list"))["tasks"]] == ["c"]
    assert client.of("a", "progress", "cancelled", "accepted") == []
    assert engine.prompts == ["c"]


@pytest.mark.usefixtures("quick_retries")
async def test_a_cancel_frees_the_model_though_it_can_not_be_stored(
    client: WireClient, engine: Recorder, tmp_path: Path
) -> None:
    engine.faults = Faults(freeze=5, requests=1)
    assert (await start(client, "a"))["type"] == "ack"
    await client.until(lambda m: m["type"] == "progress" and m["progress"] > 5)
    with Lock(tmp_path / "data"):
        await client.ask(action="cancel", task_id="a")
        await eventually(lambda: engine.aborts)
        engine.thaw()
        await eventually(lambda: not engine.in_flight["painter"])
        await asyncio.sleep(0.2)
        assert ends(client) == []
    assert (await client.ends("a"))["a"]["upstream"] == "stopped"


async def test_who_connects_meanwhile_is_welcome(server: str, tmp_path: Path) -> None:
    """What is stored can be read: the welcome has the newest cursor."""
    with Lock(tmp_path / "data"):
        async with WireClient.connect(server) as client:
            assert client.seen[0]["type"] == "welcome"


async def test_who_connects_while_nothing_can_be_read_is_told_to_come_back(
    server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unreadable(self: SqliteStore, owner: str) -> int:
        raise StorageUnavailable

    with monkeypatch.context() as patch:
        patch.setattr(SqliteStore, "last_seq", unreadable)
        async with aiohttp.ClientSession() as http, http.ws_connect(f"{server}ws/generate") as ws:
            await ws.receive()
            assert ws.close_code == 1013
    async with WireClient.connect(server) as client:
        assert client.seen[0]["type"] == "welcome"


@pytest.mark.usefixtures("quick_retries")
async def test_a_retry_waits_until_its_request_is_stored(
    clock: ShiftedClock, client: WireClient, engine: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who finds the task after a crash must know the request that may run."""
    monkeypatch.setattr(runner, "RETRY_PAUSES", (60.0,))
    engine.faults = Faults(refuse=0, requests=1)
    assert (await start(client, "a"))["type"] == "ack"
    await client.until(lambda m: m["type"] == "progress" and "retry_reason" in m.get("details", {}))
    with Lock(tmp_path / "data"):
        clock.advance(60.0)
        await asyncio.sleep(1.0)
        assert len(engine.posts) == 1
    assert (await client.ends("a"))["a"]["type"] == "result"
    assert len(engine.posts) == 2


# What can't be written at all


async def test_metadata_that_can_not_be_kept_is_refused(client: WireClient) -> None:
    answer = await start(client, "a", metadata={"x": 2**70})
    assert (answer["code"], answer["field"]) == ("out_of_bounds", "metadata")
    assert (await accepted(client, "b"))["type"] == "result"


async def test_a_task_that_can_not_be_encoded_harms_nobody_else(
    client: WireClient, engine: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bug of ours in one batch refuses who is new and lets the others live."""
    encode = sqlite_batch.row_of_task

    def fail(task: Task) -> dict[str, object]:
        if task.task_id == "poison":
            raise OverflowError("too large")
        return encode(task)

    monkeypatch.setattr(sqlite_batch, "row_of_task", fail)
    engine.faults = Faults(freeze=1, requests=1)
    assert (await start(client, "a"))["type"] == "ack"
    await refused(client, "poison")
    engine.thaw()
    assert (await client.ends("a"))["a"]["type"] == "result"
    assert (await accepted(client, "b"))["type"] == "result"


def test_the_lock_is_a_lock(tmp_path: Path) -> None:
    """Hold the tests' own fault against SQLite: a second writer can't write."""
    path = tmp_path / "xinflight.db"
    with closing(sqlite3.connect(path)) as first:
        first.execute("CREATE TABLE t (x)")
        with (
            Lock(tmp_path),
            closing(sqlite3.connect(path, timeout=0)) as second,
            pytest.raises(sqlite3.OperationalError),
        ):
            second.execute("INSERT INTO t VALUES (1)")
