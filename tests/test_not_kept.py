"""`store: false`: nothing of a task is kept once its end and its images were delivered, and all of it until then."""

import base64
import sqlite3
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, closing
from pathlib import Path
from typing import Any

import aiohttp
import openai
import pytest

from clients import Json, Recorder, ShiftedClock, WireClient
from conftest import Front, Serve
from factories import accept, append, cancelled, draw, end, finished, lease, make_task, result
from streams import NDJSON, all_lines, shared_server
from xinflight.demo import Faults
from xinflight.model import Task, digest
from xinflight.protocol import JSON, State
from xinflight.storage import SqliteStore, Store
from xinflight.tasks import deliveries
from xinflight.tasks.deliveries import DELIVERY_SECONDS

SECRET = "a boat that nobody else knows of"
GENERATE = {"action": "generate", "prompt": SECRET, "store": False, "size": "64x64", "steps": 2}


@pytest.fixture
async def http(stack: AsyncExitStack) -> aiohttp.ClientSession:
    return await stack.enter_async_context(aiohttp.ClientSession())


async def fetch(http: aiohttp.ClientSession, url: str, **options: Any) -> int:
    async with http.get(url, **options) as response:
        await response.read()
        return response.status


def deleted(client: WireClient, task_id: str) -> bool:
    return any(m["type"] == "notice" and m["kind"] == "deleted" for m in client.of(task_id))


async def until_deleted(client: WireClient, task_id: str) -> None:
    await client.until(lambda m: m["type"] == "notice" and m.get("task_id") == task_id and m["kind"] == "deleted")


async def listed(client: WireClient) -> list[str]:
    return [task["task_id"] for task in (await client.ask(action="list"))["tasks"]]


def files(folder: Path) -> list[str]:
    return [path.name for path in (folder / "outputs").glob("*/*")]


def urls(messages: list[Json]) -> list[str]:
    return [message["url"] for message in messages]


async def test_it_is_gone_once_its_end_was_sent_and_its_images_were_fetched(
    client: WireClient, http: aiohttp.ClientSession, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing of it is left: no task, no event, no file, and no byte of the prompt in the database."""
    ack = await client.ask(**GENERATE, task_id="a", n=2)
    assert ack["params"]["store"] is False
    await client.ends("a")
    first, second = urls(client.of("a", "output"))
    assert await fetch(http, first) == 200
    assert await listed(client) == ["a"], "one image was not fetched yet"
    assert await fetch(http, second) == 200
    await until_deleted(client, "a")
    assert await listed(client) == []
    assert [await fetch(http, url) for url in (first, second)] == [404, 404]
    assert files(tmp_path / "data") == []
    with closing(sqlite3.connect(tmp_path / "data" / "xinflight.db")) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        assert [connection.execute(f"SELECT count(*) FROM {table}").fetchone() for table in ("tasks", "events")] == [
            (0,),
            (0,),
        ]
    assert SECRET.encode() not in (tmp_path / "data" / "xinflight.db").read_bytes()
    assert [record for record in caplog.records if record.name == "aiohttp.server"] == [], "each was sent once"


async def test_a_fetch_before_the_end_counts(
    client: WireClient, engine: Recorder, http: aiohttp.ClientSession
) -> None:
    engine.script = [Faults(), Faults(freeze=1)]
    await client.send(**GENERATE, task_id="a", n=2)
    output = await client.until(lambda m: m["type"] == "output")
    assert await fetch(http, output["url"]) == 200
    assert await listed(client) == ["a"]
    engine.thaw()
    await client.ends("a")
    (other,) = set(urls(client.of("a", "output"))) - {output["url"]}
    assert await fetch(http, other) == 200
    await until_deleted(client, "a")


async def test_without_images_the_end_is_enough(client: WireClient, engine: Recorder) -> None:
    engine.faults = Faults(freeze=1)
    await client.send(action="generate", prompt="a boat", task_id="before")
    await client.ask(**GENERATE, task_id="a")
    await client.send(action="cancel", task_id="a")
    assert (await client.ends("a"))["a"]["upstream"] == "never_started"
    await until_deleted(client, "a")
    assert await listed(client) == ["before"]
    engine.thaw()


async def test_an_inline_image_needs_no_fetch(client: WireClient, tmp_path: Path) -> None:
    await client.send(**GENERATE, task_id="a", response_format="b64_json")
    await client.ends("a")
    (output,) = client.of("a", "output")
    assert base64.b64decode(output["b64_json"]).startswith(b"\xff\xd8\xff")
    await until_deleted(client, "a")
    assert files(tmp_path / "data") == []


async def test_an_inline_image_that_is_too_large_must_be_fetched(front: Front, http: aiohttp.ClientSession) -> None:
    _, client = await front(inline_bytes=10)
    await client.send(**GENERATE, task_id="a", response_format="b64_json")
    await client.ends("a")
    assert await listed(client) == ["a"]
    (url,) = urls(client.of("a", "output"))
    assert await fetch(http, url) == 200
    await until_deleted(client, "a")


async def test_an_admin_who_looks_takes_no_delivery(
    engine: Recorder, emulate: Serve, http: aiohttp.ClientSession
) -> None:
    async with (
        shared_server(xinference_url=await emulate(engine)) as (url, _),
        WireClient.connect(url, headers={"X-User": "ann"}) as ann,
    ):
        await ann.send(**GENERATE, task_id="a")
        await ann.ends("a")
        (image,) = urls(ann.of("a", "output"))
        assert await fetch(http, image, headers={"X-User": "boss"}) == 200
        assert await listed(ann) == ["a"]
        assert await fetch(http, image, headers={"X-User": "ann"}) == 200
        await until_deleted(ann, "a")


async def test_half_a_file_is_no_fetch(client: WireClient, http: aiohttp.ClientSession) -> None:
    await client.send(**GENERATE, task_id="a")
    await client.ends("a")
    (url,) = urls(client.of("a", "output"))
    assert await fetch(http, url, headers={"Range": "bytes=0-9"}) == 206
    async with http.head(url) as response:
        assert response.status == 200
    assert await fetch(http, url, headers={"If-None-Match": "*"}) == 304
    assert await listed(client) == ["a"]
    assert not deleted(client, "a")
    assert await fetch(http, url) == 200
    await until_deleted(client, "a")


@pytest.mark.parametrize("subscribed", [True, False])
async def test_over_rest(server: str, client: WireClient, http: aiohttp.ClientSession, subscribed: bool) -> None:
    """A stream delivers its end, and so does a GET of the ended task by a client that asks again and again."""
    accept_ = {"Accept": NDJSON} if subscribed else {}
    body = {key: value for key, value in GENERATE.items() if key != "action"} | {"task_id": "a"}
    async with http.post(f"{server}api/v1/tasks", json=body, headers=accept_) as response:
        if subscribed:
            output = next(line.data for line in await all_lines(response) if line.data["type"] == "output")
        else:
            assert response.status == 202
            while True:
                async with http.get(f"{server}api/v1/tasks/a") as polled:
                    task = await polled.json()
                if task["state"] == "completed":
                    break
            (output,) = task["data"]
    assert await fetch(http, output["url"]) == 200
    await until_deleted(client, "a")
    assert await fetch(http, f"{server}api/v1/tasks/a") == 404


@pytest.mark.parametrize("inline", [True, False])
async def test_over_openais_api(server: str, client: WireClient, http: aiohttp.ClientSession, inline: bool) -> None:
    body = {"prompt": SECRET, "store": False, "response_format": "b64_json" if inline else "url"}
    async with http.post(f"{server}v1/images/generations", json=body) as response:
        (image,) = (await response.json())["data"]
    if not inline:
        assert len(await listed(client)) == 1
        assert await fetch(http, image["url"]) == 200
    await client.until(lambda m: m["type"] == "notice" and m["kind"] == "deleted")
    assert await listed(client) == []


async def test_over_openais_api_as_a_stream(server: str, client: WireClient) -> None:
    async with openai.AsyncOpenAI(base_url=f"{server}v1", api_key="any", max_retries=0) as api:
        answer = await api.images.generate(prompt=SECRET, stream=True, extra_body={"store": False})
        assert [event.type async for event in answer] == ["image_generation.completed"]
    await client.until(lambda m: m["type"] == "notice" and m["kind"] == "deleted")
    assert await listed(client) == []


async def test_the_same_id_is_a_new_task_afterwards(client: WireClient, engine: Recorder) -> None:
    for count in (1, 2):
        await client.send(**GENERATE, task_id="a", response_format="b64_json")
        await until_deleted(client, "a")
        assert len(engine.posts) == count


async def test_store_is_part_of_the_content(client: WireClient, engine: Recorder) -> None:
    engine.faults = Faults(freeze=1)
    await client.ask(**GENERATE, task_id="a")
    refused = await client.ask(**{**GENERATE, "store": True}, task_id="a")
    assert refused["code"] == "task_id_conflict"
    assert (await client.ask(**GENERATE, task_id="a"))["type"] == "ack"


def test_a_digest_without_it_is_what_it_was() -> None:
    plain = JSON.decode_generate(b'{"prompt":"a boat"}')
    assert digest(plain) == digest(JSON.decode_generate(b'{"prompt":"a boat","store":true}'))
    assert digest(plain) != digest(JSON.decode_generate(b'{"prompt":"a boat","store":false}'))


async def test_cursors_of_whoever_saw_the_end_stay_valid(
    client: WireClient, server: str, stack: AsyncExitStack
) -> None:
    """As after a `delete`: only a cursor from before its end may have missed something."""
    epoch = client.seen[0]["epoch"]
    await client.send(**{**GENERATE, "store": True}, task_id="kept")
    kept = (await client.ends("kept"))["kept"]
    await client.send(**GENERATE, task_id="a", response_format="b64_json")
    await until_deleted(client, "a")
    last = (await client.ends("a"))["a"]["seq"]
    later = await stack.enter_async_context(WireClient.connect(server))
    assert later.seen[0]["cursor"] == f"{epoch}:{last}"
    assert (await later.ask(action="resume", scope="all", after=f"{epoch}:{last}"))["recovered"] is True
    assert (await later.ask(action="resume", scope="all", after=f"{epoch}:{kept['seq']}"))["recovered"] is False
    assert (await later.ask(action="resume", tasks=["kept"], after=f"{epoch}:0"))["recovered"] is True


# At the latest


@pytest.mark.usefixtures("clock")
async def test_it_is_gone_ten_minutes_after_its_end_at_the_latest(
    clock: ShiftedClock, client: WireClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliveries, "PAUSE", 0.05)
    await client.send(**GENERATE, task_id="a")
    await client.ends("a")
    clock.advance(DELIVERY_SECONDS - 60.0)
    assert await listed(client) == ["a"]
    clock.advance(61.0)
    await until_deleted(client, "a")
    assert await listed(client) == []
    assert files(tmp_path / "data") == []


async def test_a_restart_deletes_what_is_overdue_and_goes_on_waiting_for_the_rest(
    clock: ShiftedClock, serve: Serve, emulate: Serve, engine: Recorder, tmp_path: Path, stack: AsyncExitStack
) -> None:
    folder = tmp_path / "data"
    now = clock.time()
    async for store in opened(folder):
        for task_id, ago in (("overdue", DELIVERY_SECONDS + 1.0), ("waiting", DELIVERY_SECONDS - 60.0)):
            await done(store, task_id, now - ago)
    client = await stack.enter_async_context(
        WireClient.connect(await serve(xinference_url=await emulate(engine), default_size="64x64"))
    )
    while await listed(client) != ["waiting"]:
        await client.ask(action="ping")
    answer = await client.ask(action="resume", tasks=["waiting"], after=f"{client.seen[0]['epoch']}:0")
    assert answer["recovered"] is True
    await until_deleted(client, "waiting")


async def test_a_restart_ends_a_deletion_that_had_begun(
    serve: Serve, emulate: Serve, engine: Recorder, clock: ShiftedClock, tmp_path: Path, stack: AsyncExitStack
) -> None:
    """A task whose file is gone was delivered: nobody is shown an image that can't be fetched."""
    async for store in opened(tmp_path / "data"):
        task = make_task("half", "local", created=clock.time() - 2.0)
        task.params.store = False
        await store.commit([accept(task)])
        draw(task)
        end(task, at=clock.time() - 1.0)
        await store.commit([append(task, result(task))])
    client = await stack.enter_async_context(WireClient.connect(await serve(xinference_url=await emulate(engine))))
    while await listed(client):
        await client.ask(action="ping")


async def opened(folder: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(folder, full=False)
    await store.open()
    await lease(store)
    yield store
    await store.close()


async def done(store: Store, task_id: str, at: float) -> Task:
    """Store a task that is not to be kept, and that ended without an image."""
    task = make_task(task_id, "local", created=at - 1.0)
    task.params.store = False
    await store.commit([accept(task)])
    end(task, State.CANCELLED, at=at)
    await store.commit([append(task, cancelled(task))])
    return task


# The store


async def test_the_store_finds_what_is_not_to_be_kept(store: Store) -> None:
    await finished(store, "kept")
    early, late = await done(store, "early", 100.0), await done(store, "late", 200.0)
    running = make_task("running")
    running.params.store = False
    await store.commit([accept(running)])

    def ids(tasks: list[Task]) -> list[str]:
        return sorted(task.task_id for task in tasks)

    assert ids(await store.not_kept()) == ["early", "late", "running"]
    assert ids(await store.not_kept(ended_before=100.0)) == []
    assert ids(await store.not_kept(ended_before=200.0)) == ["early"]
    assert ids(await store.not_kept(ended_before=201.0)) == ["early", "late"]
    await store.delete(early.uid)
    await store.delete(late.uid)
    assert ids(await store.not_kept()) == ["running"]


async def test_nothing_is_remembered_of_what_is_gone() -> None:
    """Not of what was delivered, nor of what its owner deleted."""
    async with shared_server() as (_, gateway):
        deliveries = gateway.deliveries
        gone, kept = make_task("gone"), make_task("kept")
        gone.params.store = False
        deliveries.add(gone)
        deliveries.add(kept)
        assert [deliveries.awaits(task.outputs[0].output_id, "ann") for task in (gone, kept)] == [True, False]
        await deliveries._delete_overdue()
        left = [deliveries._undelivered, deliveries._by_output, deliveries._due]
        assert not any(left)


async def test_what_was_shown_before_its_end_is_stored_is_deleted_after_that(clock: ShiftedClock) -> None:
    """A response may have shown the end of a task whose end the store does not have yet: until then it stays."""
    async with shared_server() as (_, gateway):
        deliveries, store = gateway.deliveries, gateway.journal.store
        await deliveries.close()
        await lease(store)
        task, other = make_task("a"), make_task("b")
        for each in (task, other):
            each.params.store = False
            await store.commit([accept(each)])
            deliveries.add(each)
        end(other, State.CANCELLED)
        await store.commit([append(other, cancelled(other))])
        for each in (task, other):
            end(each, State.CANCELLED)
            deliveries.shown(each, ())
        await deliveries._delete_delivered()
        assert [await store.task("ann", task_id) is None for task_id in "ab"] == [False, True]
        await store.commit([append(task, cancelled(task))])
        await deliveries._delete_delivered()
        assert await store.task("ann", "a") is None
        assert not deliveries._undelivered
