"""`xinflight backup` beside a busy server in a process of its own, and killed in the middle."""

import asyncio
import itertools
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from clients import LONG, Json, Recorder, eventually, painter
from conftest import Serve
from image_files import image_file
from kind_table import WRITER
from server_process import running
from xinflight.model import Task, identify
from xinflight.protocol import State
from xinflight.storage import SqliteStore

pytestmark = [pytest.mark.process, pytest.mark.timeout(300)]

ENDED = ("completed", "failed", "cancelled", "expired")


async def start_backup(folder: Path, target: Path) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", "-c", "from xinflight.cli import main; main()"),
        *("backup", str(target), "--data-dir", str(folder)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=folder.parent,
    )


async def back_up(folder: Path, target: Path) -> Path:
    """Make a backup and return its path."""
    process = await start_backup(folder, target)
    out, err = await asyncio.wait_for(process.communicate(), LONG)
    assert process.returncode == 0, err.decode()
    return Path(out.decode().strip())


class People:
    """Clients over REST: one generates, one repaints its uploads, one chats, one deletes what has ended.

    `images` are the bytes that each completed task was answered with, by its id.
    """

    def __init__(self, http: aiohttp.ClientSession) -> None:
        self._http = http
        self._numbers = itertools.count(1)
        self.accepted: list[str] = []
        self.images: dict[str, list[bytes]] = {}

    async def call(self, method: str, path: str, **options: Any) -> Json:
        async with self._http.request(method, path, **options) as response:
            assert response.status < 300, await response.text()
            return {} if response.status == 204 else dict(await response.json())

    async def make(self, path: str, **fields: Any) -> str:
        """Ask for something and wait for its end; remember its images."""
        task_id = f"t{next(self._numbers)}"
        await self.call("POST", path, json={"task_id": task_id, **fields})
        self.accepted.append(task_id)
        task = await self.ended(task_id)
        self.images[task_id] = await self.load(task)
        return task_id

    async def ended(self, task_id: str) -> Json:
        while True:
            task = await self.call("GET", f"/api/v1/tasks/{task_id}")
            if task["state"] in ENDED:
                return task
            await asyncio.sleep(0.02)

    async def load(self, task: Json) -> list[bytes]:
        images = []
        for output in task.get("data", []):
            if "url" in output:
                async with self._http.get(output["url"]) as response:
                    assert response.status == 200
                    images.append(await response.read())
        return images

    async def go_on(self, count: int) -> None:
        """Wait until so many more tasks have been accepted."""
        enough = len(self.accepted) + count
        await eventually(lambda: len(self.accepted) >= enough)

    async def generate(self) -> None:
        while True:
            await self.make("/api/v1/tasks", prompt="boat", n=2)

    async def repaint(self) -> None:
        for number in itertools.count():
            data = image_file("PNG", (64 + number, 64))
            upload = await self.call("POST", "/api/v1/uploads", data=data, headers={"Content-Type": "image/png"})
            await self.make("/api/v1/tasks", prompt="boat", image=upload["upload_id"], strength=0.8)
            await self.call("DELETE", f"/api/v1/uploads/{upload['upload_id']}")

    async def chat(self) -> None:
        while True:
            await self.make("/api/v1/chats", messages=[{"role": "user", "content": "Hello"}], max_tokens=8)

    async def delete(self) -> None:
        while True:
            await asyncio.sleep(0.05)
            if len(self.images) > 10:
                # The oldest: the end of the newest may be told, but not stored yet.
                task_id = next(iter(self.images))
                del self.images[task_id]
                await self.call("DELETE", f"/api/v1/tasks/{task_id}")

    @asynccontextmanager
    async def busy(self) -> AsyncIterator[None]:
        """Let all of them work inside the block."""
        async with asyncio.TaskGroup() as group:
            work = [self.generate, self.generate, self.repaint, self.chat, self.delete]
            tasks = [group.create_task(each(), name=each.__name__) for each in work]
            yield
            for task in tasks:
                task.cancel()


async def tasks_of(folder: Path) -> list[Task]:
    """Return all tasks of a folder that no server uses."""
    store = SqliteStore(folder, full=False)
    await store.open()
    rows = await store.tasks("local", before=None, limit=10**6, states=set(State))
    assert await store.uploads.blob_ids() == {path.name for path in (folder / "uploads").glob("[!.]*")}
    await store.close()
    return [row.task for row in rows]


async def check(folder: Path) -> None:
    """Hold a backup against itself: all that its database names is there, and nothing else."""
    tasks = await tasks_of(folder)
    assert any(task.ended for task in tasks)
    named = {output.output_id: output.file for task in tasks for output in task.files}
    files = {path.name: path for path in (folder / "outputs").glob("*/*")}
    assert named.keys() == files.keys()
    for name, info in named.items():
        assert identify(files[name].read_bytes()) == info


async def test_backups_of_a_busy_server(tmp_path: Path, emulate: Serve) -> None:
    """Each is one moment. Served, the last one has what had ended with its bytes, and the rest comes to its end."""
    model = painter(step_seconds=0.005, decode_seconds=0.005, abilities=("text2image", "image2image"), replicas=2)
    engine = Recorder([model, WRITER])
    xinference = await emulate(engine)
    copies = []
    async with (
        running(tmp_path / "data", xinference) as server,
        aiohttp.ClientSession(server.url) as http,
    ):
        people = People(http)
        # Nobody deletes these, however much else is made and deleted while a backup is.
        lasting = [await people.make("/api/v1/tasks", prompt="boat", n=2) for _ in range(3)]
        kept = {task_id: people.images.pop(task_id) for task_id in lasting}
        async with people.busy():
            for _ in range(4):
                await people.go_on(15)
                copies.append(await back_up(tmp_path / "data", tmp_path / "backups"))
        assert not [line for line in server.log if "Traceback" in line or "storage_unavailable" in line]
        # Of these, what was there before the last backup.
        kept |= {task_id: images for task_id, images in people.images.items() if images}
    for copy in copies[:-1]:
        await check(copy)
    async with running(copies[-1], xinference) as server, aiohttp.ClientSession(server.url) as http:
        restored = People(http)
        page = await restored.call("GET", "/api/v1/tasks", params={"limit": "200"})
        found = {task["task_id"]: task for task in page["tasks"]}
        # The page has the newest, these are the oldest.
        found |= {task_id: await restored.call("GET", f"/api/v1/tasks/{task_id}") for task_id in lasting}
        for task_id, task in found.items():
            done = await restored.ended(task_id)
            if task["state"] == "completed" and task_id in kept:
                assert await restored.load(done) == kept[task_id]
            if task["state"] in ENDED:
                assert done["state"] == task["state"]
            else:
                # A chat that had begun can't be continued upstream.
                assert done["state"] == "completed" or done["kind"] == "chat"
    sent = {output.request_id for task in await tasks_of(tmp_path / "data") for output in task.outputs}
    assert not sent & set(engine.aborts), "the copy has aborted what the original runs"


@pytest.fixture
def hang_up_ends() -> Iterator[None]:
    """Let SIGHUP end processes that are started here, also under nohup, whose children ignore it."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("hang_up_ends")
@pytest.mark.parametrize("signal_number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
async def test_a_backup_that_is_stopped(tmp_path: Path, signal_number: int) -> None:
    """With all files copied and only the name missing, nothing looks whole; the next backup tidies up."""
    folder, target = tmp_path / "data", tmp_path / "backups"
    store = SqliteStore(folder, full=False)
    await store.open()
    await store.close()
    # Whoever opens it to read waits.
    os.mkfifo(folder / "session.key")
    process = await start_backup(folder, target)
    await eventually(lambda: list(target.glob(".partial-*/session.key")) or list(target.glob(".partial-*/*.db")))
    assert process.stderr is not None
    line = await asyncio.wait_for(process.stderr.readline(), LONG)
    assert b"database copied" in line
    process.send_signal(signal_number)
    await asyncio.wait_for(process.wait(), LONG)
    assert process.returncode != 0
    left = [path.name for path in target.iterdir() if path.name != ".lock"]
    assert len(left) == (signal_number == signal.SIGKILL)
    assert all(name.startswith(".partial-") for name in left)
    (folder / "session.key").unlink()
    made = await back_up(folder, target)
    assert sorted(path.name for path in target.iterdir()) == [".lock", made.name]
