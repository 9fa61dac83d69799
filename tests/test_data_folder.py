"""What a start makes of a data folder that others have used, or that lost a part."""

import os
import shutil
import stat
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import IO, Any

import imagesize
import pytest

from clients import Recorder, WireClient
from conftest import Serve
from xinflight.auth import TokenFile
from xinflight.cli import serving
from xinflight.model import MediaInfo, identify
from xinflight.settings import Settings
from xinflight.storage import MIGRATIONS, blobs_files

GOLDEN = Path(__file__).parent / "golden"

Life = Callable[..., AbstractAsyncContextManager[WireClient]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
async def life(engine: Recorder, emulate: Serve, folder: Path) -> Life:
    """Start a server on the folder, and stop it at the end of the block."""
    xinference = await emulate(engine)

    @asynccontextmanager
    async def live(**changed: Any) -> AsyncIterator[WireClient]:
        settings = Settings(port=0, xinference_url=xinference, data_dir=str(folder), drain=0.0, **changed)
        async with serving(settings, demo=False) as (url, _), WireClient.connect(url) as client:
            yield client

    return live


async def make(client: WireClient, *task_ids: str, **fields: object) -> None:
    """Make an image for each id."""
    for task_id in task_ids:
        await client.ask(**{"action": "generate", "prompt": "a boat", "task_id": task_id, "size": "64x64", **fields})
    await client.ends(*task_ids)


def images(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "outputs").glob("??/*"))


# Files that no task names


async def test_a_start_leaves_other_peoples_files_alone(life: Life, folder: Path) -> None:
    foreign = folder / "outputs" / "2024" / "holiday.jpg"
    foreign.parent.mkdir(parents=True)
    foreign.write_text("the sea")
    (folder / "outputs" / "ab" / "a folder").mkdir(parents=True)
    for task_id in "ab":
        async with life() as client:
            await make(client, task_id)
    assert foreign.read_text() == "the sea"
    assert len(images(folder)) == 3


async def test_a_lost_database_does_not_take_the_images_with_it(life: Life, folder: Path) -> None:
    async with life() as client:
        await make(client, "a", "b")
    made = images(folder)
    assert len(made) == 2
    (folder / "xinflight.db").unlink()
    async with life() as client:
        assert (await client.ask(action="list"))["tasks"] == []
        assert images(folder) == made
        await make(client, "c")
    # The start after that finds a database which knows nothing of them.
    async with life():
        pass
    assert sorted(path.name for path in (folder / "outputs" / "lost").iterdir()) == made
    assert len(images(folder)) == 1


# Who may read it


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def open_to_others(folder: Path) -> set[str]:
    return {path.name for path in (folder, *folder.rglob("*")) if mode(path) & 0o077}


async def test_nobody_else_may_read_a_data_folder(life: Life, folder: Path) -> None:
    mask = os.umask(0)
    try:
        async with life() as client:
            await make(client, "a")
            assert {"xinflight.db", "xinflight.db-wal", "xinflight.db-shm"} <= set(os.listdir(folder))
            assert open_to_others(folder) <= {"lock", "lock.holder"}
    finally:
        os.umask(mask)


def test_a_folder_that_is_made_for_the_token_is_private(folder: Path) -> None:
    """Beyond loopback the token is the first file of a data folder."""
    TokenFile(folder).add("ann", now=0.0)
    assert mode(folder) == 0o700
    assert mode(folder / "tokens.json") == mode(folder / "tokens.lock") == 0o600


async def test_a_folder_of_before_becomes_private(life: Life, folder: Path) -> None:
    """The database does; a folder that somebody made keeps its mode, for it may be shared on purpose."""
    os.mkdir(folder, mode=0o755)
    shutil.copyfile(GOLDEN / "schema-1.db", folder / "xinflight.db")
    (folder / "xinflight.db").chmod(0o644)
    async with life():
        assert mode(folder / "xinflight.db") == mode(folder / "xinflight.db-wal") == 0o600
        assert mode(folder / f"xinflight.before-{len(MIGRATIONS)}.db") == 0o600
    assert mode(folder) == 0o755


# A folder that goes away


async def test_a_folder_that_was_deleted_takes_no_more_work(life: Life, folder: Path) -> None:
    async with life() as client:
        await make(client, "a")
        shutil.rmtree(folder)
        answer = await client.ask(action="generate", prompt="a boat", task_id="b", size="64x64")
        assert (answer["type"], answer["code"]) == ("error", "storage_unavailable")
        assert [task["task_id"] for task in (await client.ask(action="list"))["tasks"]] == ["a"]
    assert folder.name not in os.listdir(folder.parent)


# What is made


async def test_an_image_is_identified_once_and_not_on_the_loop(life: Life, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twice on the loop, a large one would hold everybody up."""
    threads: list[threading.Thread] = []

    def watched(source: bytes | IO[bytes]) -> MediaInfo:
        threads.append(threading.current_thread())
        return identify(source)

    monkeypatch.setattr(blobs_files, "identify", watched)
    monkeypatch.setattr(imagesize, "get", counted := Counting(imagesize.get))
    async with life() as client:
        await make(client, "a")
    assert len(threads) == counted.calls == 1
    assert threads[0] is not threading.main_thread()


class Counting:
    """Calls a function, and counts how often."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.calls = 0
        self._function = function

    def __call__(self, *args: Any) -> Any:
        self.calls += 1
        return self._function(*args)
