"""Uploads to a server in a process of its own: its memory, a full disk, and a kill in the middle."""

import asyncio
import io
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pytest

from clients import Json, Recorder, eventually
from conftest import Serve
from image_files import chunk, image_file, png
from server_process import Server, running

pytestmark = pytest.mark.process

UPLOADS = "/api/v1/uploads"
PNG = {"Content-Type": "image/png"}
MEGABYTE = 1_000_000


def large(megabytes: int, seed: bytes = b"a") -> bytes:
    """Return a PNG of so many MB, nearly all of it text."""
    text = b"comment\0" + seed * (megabytes * MEGABYTE - 1000)
    return png(8, 8, bytes(72), chunk(b"tEXt", text))


async def upload(url: str, data: bytes, headers: dict[str, str] | None = None) -> tuple[int, Json]:
    async with (
        aiohttp.ClientSession(url) as http,
        http.post(UPLOADS, data=io.BytesIO(data), headers=headers or PNG) as response,
    ):
        return response.status, await response.json(content_type=None)


class Memory:
    """What a process takes of memory, in bytes."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._folder = Path(f"/proc/{process.pid}")

    def _of(self, name: str) -> int:
        status = (self._folder / "status").read_text("ascii")
        line = next(line for line in status.splitlines() if line.startswith(f"{name}:"))
        return int(line.split()[1]) * 1024

    @property
    def now(self) -> int:
        return self._of("VmRSS")

    @property
    def peak(self) -> int:
        """The most since `forget_peak` (proc(5), `clear_refs`)."""
        return self._of("VmHWM")

    def forget_peak(self) -> None:
        (self._folder / "clear_refs").write_text("5", "ascii")


@pytest.fixture
async def server(engine: Recorder, emulate: Serve, tmp_path: Path) -> AsyncIterator[Server]:
    async with running(tmp_path / "data", await emulate(engine)) as server:
        yield server


async def test_an_upload_of_20_mb_adds_less_than_5_mb_of_memory(server: Server) -> None:
    memory = Memory(server.process)
    # Once to load what is loaded at the first use.
    assert (await upload(server.url, large(6)))[0] == 201
    for number, form in enumerate((False, True, False)):
        data = large(20, b"%d" % number)
        body, headers = data, PNG
        if form:
            body = b'--b\r\nContent-Disposition: form-data; name="f"; filename="a"\r\n\r\n' + data + b"\r\n--b--\r\n"
            headers = {"Content-Type": "multipart/form-data; boundary=b"}
        before = await asyncio.to_thread(lambda: memory.now)
        await asyncio.to_thread(memory.forget_peak)
        status, info = await upload(server.url, body, headers)
        assert (status, info["bytes"]) == (201, len(data))
        added = await asyncio.to_thread(lambda: memory.peak) - before
        print(f"20 MB {'as a form' if form else 'raw'}: {added / MEGABYTE:.2f} MB")
        assert added < 5 * MEGABYTE


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Give a disk of 4 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "xinflight-test", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, check=False).returncode != 0:
        pytest.skip("only root may mount a small disk")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


async def test_a_full_disk_is_no_end(engine: Recorder, emulate: Serve, small_disk: Path) -> None:
    folder = small_disk / "data"
    async with running(folder, await emulate(engine)) as server:
        assert (await upload(server.url, image_file()))[0] == 201
        status, problem = await upload(server.url, large(6))
        assert (status, problem["code"]) == (503, "storage_unavailable")
        # What had come of it is gone, so there is room for what fits.
        assert len(list((folder / "uploads").glob("*"))) == 1
        assert (await upload(server.url, large(1)))[0] == 201
        async with aiohttp.ClientSession(server.url) as http, http.get("/healthz") as response:
            assert response.status == 200


async def test_what_a_kill_leaves_is_gone_after_the_next_start(
    engine: Recorder, emulate: Serve, tmp_path: Path
) -> None:
    folder, url = tmp_path / "data", await emulate(engine)
    files = folder / "uploads"
    async with running(folder, url) as server:
        assert (await upload(server.url, image_file()))[0] == 201
        (whole,) = files.glob("*")
        place = urlsplit(server.url)
        _, writer = await asyncio.open_connection(place.hostname, place.port)
        head = (f"POST {UPLOADS} HTTP/1.1", "Host: localhost", "Content-Type: image/png", "Content-Length: 9000000")
        writer.write("\r\n".join((*head, "", "")).encode() + large(1))
        await eventually(lambda: len(list(files.glob("*"))) == 2)
        await server.kill()
        writer.close()
    # What a kill between the file and its row leaves, and something that is not ours.
    orphan, foreign = files / ("x" * 24), files / "notes.txt"
    orphan.write_bytes(b"an upload that nobody knows")
    foreign.write_bytes(b"somebody's own")
    assert len(list(files.glob("*"))) == 4
    async with running(folder, url) as server:
        assert sorted(files.glob("*")) == sorted([whole, foreign])
        assert (await upload(server.url, image_file()))[0] == 200
