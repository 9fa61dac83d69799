"""What a generation may cost, counted: hand-overs to threads, files, asyncio tasks. Each costs some 100 us."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import pytest
from yarl import URL

from bench.fake_upstream import FakeUpstream
from clients import Recorder, WireClient
from conftest import Serve
from factories import accept, append, charge, draw, end, finished, lease, make_task
from work_counts import counted, generate
from xinflight.demo import Faults, drawing
from xinflight.journal import journal
from xinflight.model import Usage, end_message, output_message
from xinflight.storage import FileBlobs, RecentBlobs, SqliteStore, StoredFile, blobs_recent, draw_id
from xinflight.upstream.http_aiohttp import AiohttpTransport

GENERATIONS = 5
JPEG = drawing.draw(prompt="a boat", negative_prompt="", width=64, height=48, steps=2, guidance=0.0, seed=1)


@pytest.fixture
async def client(serve: Serve, stack: AsyncExitStack) -> WireClient:
    """Give a client of a server with one model, whose images take no time."""
    upstream = await stack.enter_async_context(FakeUpstream(1, 0.0).serving())
    url = await serve(xinference_url=upstream)
    return await stack.enter_async_context(WireClient.connect(url))


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def test_a_generation_is_handed_to_a_thread_three_times(
    client: WireClient, http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To be accepted and ended, both of which must be stored before they are told, and for its file.

    That it may be sent is stored with its acceptance, since a slot is free; what it took, once for all of a second.
    """
    monkeypatch.setattr(journal, "CHARGE_SECONDS", 3600.0)
    await generate(client, http, "first")
    with counted(monkeypatch) as counts:
        for number in range(GENERATIONS):
            await generate(client, http, f"task-{number}")
    print(counts.table(GENERATIONS))
    assert counts.hand_overs == {"commit": 2 * GENERATIONS, "put": GENERATIONS}
    ours = {
        name: count for name, count in counts.tasks.items() if name.startswith(("Front.", "PoolRunner.", "Attempt."))
    }
    assert ours == dict.fromkeys(("PoolRunner._run", "Attempt._poll_progress", "Attempt._post"), GENERATIONS)
    # Written aside, then renamed.
    assert counts.files["rename"] == GENERATIONS


async def test_an_abort_is_written_before_the_client_is_told(
    emulate: Serve, serve: Serve, engine: Recorder, stack: AsyncExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where aiohttp's client writes a body in a task of its own: what comes first is what frees the model."""
    monkeypatch.setattr("xinflight.upstream.client.create_transport", AiohttpTransport)
    written: list[bytes] = []
    url = await serve(xinference_url=await emulate(engine), default_size="64x64")
    client = await stack.enter_async_context(WireClient.connect(url))
    engine.faults = Faults(freeze=3, requests=1)
    await client.send(action="generate", task_id="a", prompt="a boat")
    await client.until(lambda message: message["type"] == "progress" and message["progress"] > 0)
    # Every connection of the loop is of the same class.
    _, some = await asyncio.open_connection("127.0.0.1", URL(url).port)
    transport = type(some.transport)
    some.close()
    write = transport.write

    def noting(self: asyncio.WriteTransport, data: bytes) -> None:
        written.append(bytes(data[:200]))
        write(self, data)

    monkeypatch.setattr(transport, "write", noting)
    assert (await client.ask(action="cancel", task_id="a"))["type"] == "ok"
    order = ["abort" if b"/abort" in data else "ok" for data in written if b"/abort" in data or b'"ok"' in data]
    assert order == ["abort", "ok"]
    engine.thaw()


async def test_a_commit_is_a_handful_of_statements(tmp_path: Path) -> None:
    """Around each of them, the thread that runs it gives way to the loop and asks for its turn again."""
    store = SqliteStore(tmp_path / "data", full=False)
    await store.open()
    await lease(store)
    statements: list[str] = []
    connection = store._database._write
    assert connection is not None

    def ran() -> int:
        count = sum(not text.startswith("--") for text in statements)
        statements.clear()
        return count

    connection.set_trace_callback(statements.append)
    task = make_task()
    await store.commit([accept(task)])
    # BEGIN; the task, its output, the owner's seq before and after, the event; COMMIT.
    assert ran() == 7
    draw(task)
    end(task)
    await store.commit([append(task, output_message(task, task.outputs[0], 0.0)), append(task, end_message(task))])
    # The fence and the size of the task, and a second event, but no output.
    assert ran() == 9
    await store.commit([charge(Usage(owner="ann", day="2026-01-01", seconds=1.0), finish=n) for n in range(40)])
    # The fence, usage, finish tag, virtual time, and the tags that are behind it.
    assert ran() == 7
    assert [row.seconds for row in await store.usage("ann", first="2026-01-01", last="2026-01-01")] == [40.0]
    await store.close()


async def test_the_owner_of_a_fresh_output_is_known_until_a_task_is_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then the database is asked, which knows what is left."""
    store = SqliteStore(tmp_path / "data", full=False)
    await store.open()
    await lease(store)
    first, second = [await finished(store, task_id) for task_id in "ab"]
    with counted(monkeypatch) as counts:
        assert await store.output_owner(first.outputs[0].output_id) == "ann"
    assert not counts.hand_overs
    await store.delete(first.uid)
    with counted(monkeypatch) as counts:
        assert await store.output_owner(first.outputs[0].output_id) is None
        assert await store.output_owner(second.outputs[0].output_id) == "ann"
    assert counts.hand_overs == {"read": 2}
    await store.close()


async def test_a_fresh_file_is_read_from_memory_until_it_is_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blobs = RecentBlobs(FileBlobs(tmp_path, full=False))
    await blobs.put("fresh", JPEG)
    with counted(monkeypatch) as counts:
        assert await blobs.read("fresh") == JPEG
        stored = await blobs.get("fresh")
    assert not counts.hand_overs
    assert stored == StoredFile(media_type="image/jpeg", data=JPEG, path=tmp_path / "fr" / "fresh")
    await blobs.delete("fresh")
    assert await blobs.read("fresh") is None
    assert await blobs.get("fresh") is None


async def test_new_files_soon_need_no_new_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder for each costs more than the files, and there must not be thousands before that is over."""
    ids = [draw_id() for _ in range(1000)]
    blobs = FileBlobs(tmp_path / "outputs", full=False)
    assert len({blobs.path(output_id).parent for output_id in ids}) == 64
    await blobs.put(ids[0], JPEG)
    with counted(monkeypatch) as counts:
        await blobs.put(ids[0], JPEG)
    # Of one opening the interpreter tells twice.
    assert counts.files == {"open": 2, "rename": 1}
    blobs.close()


async def test_so_many_bytes_of_fresh_files_are_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The newest ones; what is too large is none of them, and all are on the disk."""
    room = 3 * (blobs_recent.ENTRY_BYTES + len(JPEG))
    monkeypatch.setattr(blobs_recent, "CACHE_BYTES", room)
    monkeypatch.setattr(blobs_recent, "FILE_BYTES", len(JPEG))
    blobs = RecentBlobs(FileBlobs(tmp_path, full=False))
    for number in range(5):
        await blobs.put(f"id-{number}", JPEG)
    await blobs.put("id-4", JPEG)
    await blobs.put("large", JPEG + b"more")
    with counted(monkeypatch) as counts:
        for number in range(5):
            assert await blobs.read(f"id-{number}") == JPEG
        assert await blobs.read("large") == JPEG + b"more"
    assert counts.hand_overs.total() == 3
