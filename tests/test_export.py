"""The export: one ZIP with all that is an owner's, made while it is sent."""

import asyncio
import csv
import io
import json
import zipfile
from contextlib import AsyncExitStack
from pathlib import Path, PurePosixPath
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from clients import FakeClock, Json, Recorder, eventually
from conftest import Serve
from factories import accept, charge, draw, finished, lease, make_task
from image_files import image_file
from streams import who
from xinflight.account import export as export_module
from xinflight.account.export import Export
from xinflight.account.exported import file_name
from xinflight.app import setup
from xinflight.demo import Faults
from xinflight.gateway import Gateway
from xinflight.model import Usage
from xinflight.settings import Settings
from xinflight.storage import Blobs, MemoryBlobs, MemoryStore, Store, StoredFile
from xinflight.supervise import Supervisor
from xinflight.uploads import Uploads

EXPORT = "/api/v1/account/export"


class Home:
    """A server of several owners on a data folder."""

    def __init__(self, http: aiohttp.ClientSession, gateway: Gateway) -> None:
        self.http, self.gateway = http, gateway

    async def make(self, user: str, task_id: str, **fields: Any) -> None:
        body = {"prompt": "a red boat", "task_id": task_id, **fields}
        headers = {"X-User": user, "Accept": "application/x-ndjson"}
        async with self.http.post("/api/v1/tasks", json=body, headers=headers) as response:
            assert response.status == 200
            await response.read()

    async def start(self, user: str, task_id: str) -> None:
        body = {"prompt": "a red boat", "task_id": task_id}
        async with self.http.post("/api/v1/tasks", json=body, headers={"X-User": user}) as response:
            assert response.status == 202

    async def export(self, user: str) -> zipfile.ZipFile:
        async with self.http.get(EXPORT, headers={"X-User": user}) as response:
            assert response.status == 200
            assert response.content_type == "application/zip"
            assert response.headers["Cache-Control"] == "no-store"
            assert ".zip" in response.headers["Content-Disposition"]
            return read(await response.read())


@pytest.fixture
async def home(engine: Recorder, emulate: Serve, tmp_path: Path, stack: AsyncExitStack) -> Home:
    app = web.Application()
    settings = Settings(
        xinference_url=await emulate(engine), default_size="64x64", drain=0.0, data_dir=str(tmp_path / "data")
    )
    gateway = setup(app, settings, authenticate=who)
    server = await stack.enter_async_context(TestServer(app))
    return Home(await stack.enter_async_context(aiohttp.ClientSession(str(server.make_url("")))), gateway)


def read(data: bytes) -> zipfile.ZipFile:
    """Open an archive, whose entries must all be whole."""
    archive = zipfile.ZipFile(io.BytesIO(data))
    assert archive.testzip() is None
    assert len(set(archive.namelist())) == len(archive.namelist())
    return archive


def lines(archive: zipfile.ZipFile, name: str) -> list[Json]:
    return [json.loads(line) for line in archive.read(name).splitlines()]


def manifest(archive: zipfile.ZipFile) -> Json:
    found: Json = json.loads(archive.read("manifest.json"))
    return found


async def test_all_that_is_theirs_and_nothing_else(home: Home) -> None:
    await home.make("ann", "a", n=2, metadata={"note": "mine"}, seed=7)
    await home.make("ann", "b", prompt="图片 / ../..\\ boat?")
    await home.make("bob", "secret", prompt="a heron")
    async with home.http.post(
        "/api/v1/shares", json={"task_id": "a", "index": 1}, headers={"X-User": "ann"}
    ) as response:
        assert response.status in (200, 201), await response.text()
    for user in ("ann", "bob"):
        sent = {"X-User": user, "Content-Type": "image/webp"}
        image = image_file("WEBP", size=(64, 48 if user == "ann" else 64))
        async with home.http.post("/api/v1/uploads", data=image, headers=sent) as response:
            assert response.status == 201
    archive = await home.export("ann")
    (upload,) = lines(archive, "uploads.jsonl")
    assert upload["file"] == f"uploads/{upload['upload_id']}.webp"
    assert [name for name in archive.namelist() if name.startswith("uploads/")] == [upload["file"]]
    assert (upload["width"], upload["height"]) == (64, 48)
    assert len(archive.read(upload["file"])) == upload["bytes"]
    newest, oldest = lines(archive, "tasks.jsonl")
    assert [newest["task_id"], oldest["task_id"]] == ["b", "a"]
    assert oldest["state"] == "completed"
    assert oldest["metadata"] == {"note": "mine"}
    assert oldest["params"]["prompt"] == "a red boat"
    assert oldest["created"] < oldest["ended"]
    assert oldest["ended"].endswith("Z")
    assert [output["seed"] for output in oldest["outputs"]] == [7, 8]
    files = [output["file"] for task in (oldest, newest) for output in task["outputs"]]
    assert sorted(name for name in archive.namelist() if name.startswith("outputs/")) == sorted(files)
    for output in (*oldest["outputs"], *newest["outputs"]):
        data = archive.read(output["file"])
        assert data.startswith(b"\xff\xd8\xff")
        assert len(data) == output["bytes"]
    assert "a-red-boat" in files[0]
    assert "图片-boat" in files[2]
    assert [(share["task_id"], share["index"]) for share in lines(archive, "shares.jsonl")] == [("a", 1)]
    assert manifest(archive) | {"created": ""} == {
        "format": 1,
        "owner": "ann",
        "created": "",
        "tasks": 2,
        "files_listed": 4,
        "files": 4,
        "bytes": upload["bytes"] + sum(output["bytes"] for task in (oldest, newest) for output in task["outputs"]),
        "uploads": 1,
        "shares": 1,
    }
    assert archive.namelist()[0] == "README.txt"
    assert archive.namelist()[-1] == "manifest.json"
    assert b"heron" not in b"".join(archive.read(name) for name in archive.namelist())


async def test_of_an_owner_who_has_nothing(home: Home) -> None:
    archive = await home.export("eve")
    assert archive.namelist() == [
        *("README.txt", "tasks.jsonl", "uploads.jsonl", "shares.jsonl", "usage.csv", "manifest.json")
    ]
    assert archive.read("tasks.jsonl") == b""
    assert manifest(archive)["tasks"] == 0


async def test_what_is_unfinished_is_listed_without_files(home: Home, engine: Recorder) -> None:
    engine.script = [Faults(freeze=1)]
    await home.start("ann", "running")
    (task,) = lines(await home.export("ann"), "tasks.jsonl")
    assert task["state"] in ("queued", "starting", "running")
    assert "ended" not in task
    assert "file" not in task["outputs"][0]
    engine.thaw()


async def test_one_at_a_time_per_owner(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    await home.make("ann", "a")
    entered, go_on = hold_files(home.gateway.blobs, monkeypatch)
    exporting = asyncio.create_task(home.export("ann"))
    await entered.wait()
    for method, path in (("GET", EXPORT), ("DELETE", "/api/v1/account")):
        async with home.http.request(method, path, headers={"X-User": "ann"}) as response:
            assert response.status == 409
            assert (await response.json(content_type=None))["code"] == "account_busy"
    await home.export("bob")
    go_on.set()
    assert manifest(await exporting)["files"] == 1
    await home.export("ann")


def hold_files(blobs: Blobs, monkeypatch: pytest.MonkeyPatch) -> tuple[asyncio.Event, asyncio.Event]:
    """Make the files wait; return what is set once the first is asked for, and what lets them go on."""
    entered, go_on = asyncio.Event(), asyncio.Event()
    get = blobs.get

    async def held(output_id: str) -> Any:
        entered.set()
        await go_on.wait()
        return await get(output_id)

    monkeypatch.setattr(blobs, "get", held)
    return entered, go_on


async def test_a_client_that_leaves_frees_everything(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_module, "PART", 10)
    await home.make("ann", "a")
    entered, go_on = hold_files(home.gateway.blobs, monkeypatch)
    async with home.http.get(EXPORT, headers={"X-User": "ann"}) as response:
        assert response.status == 200
        await entered.wait()
        response.close()
    go_on.set()
    await eventually(lambda: not home.gateway.account._busy)
    await eventually(lambda: not home.gateway.connections.of_owner("ann"))
    await home.export("ann")


async def test_an_error_in_the_middle_breaks_the_download(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client must not take it for the end."""
    monkeypatch.setattr(export_module, "PART", 10)
    await home.make("ann", "a")

    async def broken(output_id: str) -> None:
        raise OSError("disk")

    with monkeypatch.context() as patch:
        patch.setattr(home.gateway.blobs, "get", broken)
        with pytest.raises(aiohttp.ClientError):
            await home.export("ann")
    await eventually(lambda: not home.gateway.account._busy)
    await home.export("ann")


async def test_who_may(home: Home) -> None:
    async with home.http.get(EXPORT) as response:
        assert response.status == 401
    async with home.http.get(EXPORT, headers={"X-User": "ann", "Accept": "text/html"}) as response:
        assert response.status == 406
    async with home.http.head(EXPORT, headers={"X-User": "ann"}) as response:
        assert (response.status, response.content_type) == (200, "application/zip")


# Without a server


@pytest.fixture
async def store() -> Store:
    made = MemoryStore(1000)
    await made.open()
    await lease(made)
    return made


async def exported(store: Store, blobs: Blobs) -> zipfile.ZipFile:
    clock = FakeClock()
    uploads = Uploads(store, blobs, Settings(), clock, Supervisor(clock))
    return read(
        b"".join([part async for part in Export(store, blobs, uploads, "ann", 2000.0, lambda task: task).parts()])
    )


async def test_what_comes_and_goes_while_it_is_made(store: Store) -> None:
    """New tasks are left out; a file that was listed and is deleted is missing, and that is told."""

    class Changing(MemoryBlobs):
        async def get(self, output_id: str) -> Any:
            if not later:
                later.append(await finished(store, "later"))
                await store.delete(tasks[0].uid)
                await self.delete(tasks[0].outputs[0].output_id)
            return await super().get(output_id)

    blobs = Changing(2**20)
    later: list[Any] = []
    tasks = [await finished(store, f"t{number}") for number in range(3)]
    for task in (tasks[0], tasks[2]):
        blobs._files[task.outputs[0].output_id] = StoredFile(media_type="image/jpeg", data=b"\xff\xd8\xff")
    archive = await exported(store, blobs)
    assert [line["task_id"] for line in lines(archive, "tasks.jsonl")] == ["t2", "t1", "t0"]
    assert [name for name in archive.namelist() if "outputs/" in name] == [file_name(tasks[2], tasks[2].outputs[0])]
    assert (manifest(archive)["files_listed"], manifest(archive)["files"]) == (3, 1)


async def test_many_pages(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_module, "PAGE", 2)
    for number in range(5):
        await finished(store, f"t{number}")
    archive = await exported(store, MemoryBlobs(1))
    assert [line["task_id"] for line in lines(archive, "tasks.jsonl")] == [f"t{number}" for number in (4, 3, 2, 1, 0)]


async def test_usage_is_in_it(store: Store) -> None:
    await store.commit([charge(Usage(owner="ann", day="2026-01-01", seconds=1.5, outputs=1, bytes=9))])
    rows = list(csv.reader(io.StringIO((await exported(store, MemoryBlobs(1))).read("usage.csv").decode())))
    assert rows == [["owner", "day", "seconds", "outputs", "bytes"], ["ann", "2026-01-01", "1.5", "1", "9"]]


@pytest.mark.parametrize(
    ("prompt", "slug"),
    [
        ("a red boat", "a-red-boat"),
        ("../../etc/passwd", "etc-passwd"),
        ("C:\\x\0\n\u202egpj.exe", "C-x-gpj-exe"),
        ("...", "image"),
        ("/", "image"),
        ("红船，夜晚", "红船-夜晚"),
        ("नाव", "नाव"),
        ("word " * 50, "word-word-word-word-word-word-word-word"),
        ("x" * 5000, "x" * 40),
    ],
)
def test_names_are_speaking_and_harmless(prompt: str, slug: str) -> None:
    task = make_task(prompt=prompt, created=1_795_289_600.0)
    draw(task)
    name = file_name(task, task.outputs[0])
    assert name == f"outputs/2026-11-21/193320_{slug}_seed-{task.outputs[0].seed}_{task.uid}_0.jpg"
    assert len(PurePosixPath(name).parts) == 3
    assert len(PurePosixPath(name).name.encode()) < 255


async def test_an_old_clock_is_no_error(store: Store) -> None:
    """A ZIP knows no time before 1980."""
    task = make_task(created=0.0)
    await store.commit([accept(task)])
    (line,) = lines(await exported(store, MemoryBlobs(1)), "tasks.jsonl")
    assert line["created"] == "1970-01-01T00:00:00.000Z"
