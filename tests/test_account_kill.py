"""SIGKILL between the steps of a deletion: nothing is lost that was not delivered, nothing stays that was to go."""

import asyncio
from pathlib import Path

import aiohttp
import pytest

from clients import LONG, Recorder, WireClient
from conftest import Serve
from factories import accept, append, draw, end, lease, make_task
from server_process import QUICK, running
from xinflight.model import end_message, output_message
from xinflight.storage import SqliteStore, draw_id

pytestmark = pytest.mark.process

SECRET = "a boat that nobody else knows of"
JPEG = bytes.fromhex("ffd8ffe000104a46494600010100000100010000ffc0000b080040004001011100")


def files(folder: Path) -> list[Path]:
    return [path for path in (folder / "outputs").rglob("*") if path.is_file()]


async def test_what_is_not_kept_outlives_a_kill_until_it_is_delivered(tmp_path: Path, emulate: Serve) -> None:
    """Killed after the end was sent and one of two images was fetched: all is there again, and goes when fetched."""
    xinference = await emulate(Recorder([QUICK]))
    folder = tmp_path / "data"
    async with aiohttp.ClientSession() as http:
        async with running(folder, xinference) as server:
            async with WireClient.connect(server.url) as client:
                await client.send(action="generate", prompt=SECRET, task_id="a", n=2, store=False)
                await client.ends("a")
                first = client.of("a", "output")[0]["url"]
                async with http.get(first) as response:
                    assert response.status == 200
                    await response.read()
                epoch = client.seen[0]["epoch"]
            await server.kill()
        async with running(folder, xinference) as server, WireClient.connect(server.url) as client:
            again = await client.ask(action="resume", tasks=["a"], after=f"{epoch}:0")
            assert again["recovered"] is True
            assert [m["type"] for m in client.of("a")][-1] == "result"
            outputs = client.of("a", "output")
            assert len(outputs) == 2
            for output in outputs:
                url = server.url.rstrip("/") + "/outputs/" + output["url"].rpartition("/")[2]
                async with http.get(url) as response:
                    assert response.status == 200
                    await response.read()
            await client.until(lambda m: m["type"] == "notice" and m["kind"] == "deleted")
            assert (await client.ask(action="list"))["tasks"] == []
            server.terminate()
            await server.ended()
    assert files(folder) == []
    assert SECRET.encode() not in b"".join(path.read_bytes() for path in folder.glob("xinflight.db*"))


async def fill(folder: Path, count: int) -> list[Path]:
    """Store tasks with an image each, as a server leaves them; return the files of the images."""
    made = []
    store = SqliteStore(folder, full=False)
    await store.open()
    await lease(store)
    for number in range(count):
        task = make_task(f"t{number}", "local", prompt=SECRET)
        task.outputs[0].output_id = draw_id()
        path = folder / "outputs" / task.outputs[0].output_id[:2] / task.outputs[0].output_id
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(JPEG)
        made.append(path)
        await store.commit([accept(task)])
        draw(task)
        end(task)
        message = output_message(task, task.outputs[0], 1010.0)
        await store.commit([append(task, message), append(task, end_message(task))])
    await store.close()
    return made


async def test_an_erasure_that_was_killed_is_completed_by_the_next(tmp_path: Path, emulate: Serve) -> None:
    """Whatever the kill left, the second erasure finds: no file remains, not even among those set aside."""
    count = 600
    xinference = await emulate(Recorder([QUICK]))
    folder = tmp_path / "data"
    images = await fill(folder, count)
    async with aiohttp.ClientSession() as http:
        async with running(folder, xinference) as server:
            erasing = asyncio.create_task(http.delete(f"{server.url.rstrip('/')}/api/v1/account"))
            async with asyncio.timeout(LONG):
                # The newest go first.
                while images[-20].exists():  # noqa: ASYNC110 - another process says nothing
                    await asyncio.sleep(0.001)
            await server.kill()
            with pytest.raises(aiohttp.ClientError):
                await erasing
        left = len(files(folder))
        assert 0 < left < count, "killed in the middle"
        async with running(folder, xinference) as server:
            async with http.delete(f"{server.url.rstrip('/')}/api/v1/account") as response:
                assert response.status == 200
                erased = await response.json()
            assert erased["complete"] is True
            assert left <= erased["tasks"] <= left + 1
            async with http.get(f"{server.url.rstrip('/')}/api/v1/tasks") as response:
                assert (await response.json())["tasks"] == []
            await server.kill()
    assert files(folder) == []
    assert SECRET.encode() not in b"".join(path.read_bytes() for path in folder.glob("xinflight.db*"))
