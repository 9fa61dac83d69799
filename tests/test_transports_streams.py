"""The same events over every transport: followed at once, cut at random, read slowly."""

import asyncio
import base64
import io
import random
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import pytest
from PIL import Image

from clients import PAINTER, Json, Recorder, WireClient, eventually, is_end, painter
from conftest import Front, Serve
from streams import EVENT_STREAM, NDJSON, STREAMS, PackClient, all_lines, lines, shared_server, stored, unfinished
from xinflight.demo import Emulator
from xinflight.errors import StorageUnavailable
from xinflight.gateway import Gateway
from xinflight.web import streams as web_stream

CLIENTS = {"json": WireClient, "msgpack": PackClient}


@pytest.fixture
async def http(server: str) -> AsyncIterator[aiohttp.ClientSession]:
    """Give a session on `server`."""
    async with aiohttp.ClientSession(server) as http:
        yield http


def in_order(messages: list[Json]) -> bool:
    """Tell whether numbers rise, and a percentage never falls."""
    seqs = [message["seq"] for message in messages if "seq" in message]
    shown: dict[tuple[str, int], int] = {}
    for message in messages:
        if message["type"] == "progress":
            key = message["task_id"], message["index"]
            if message["progress"] < shown.get(key, 0):
                return False
            shown[key] = message["progress"]
    return seqs == sorted(seqs)


def ended(messages: list[Json]) -> set[str]:
    return {message["task_id"] for message in messages if is_end(message)}


# The same events everywhere

LOAD: list[Json] = [
    {"task_id": "plain", "prompt": "a boat", "n": 2, "steps": 6},
    {
        "task_id": "inline",
        "prompt": "a ship",
        "n": 2,
        "steps": 4,
        "response_format": "b64_json",
        "metadata": [1, "图"],
    },
    {"task_id": "cancelled", "prompt": "a heron", "steps": 200},
    {"task_id": "expires", "prompt": "a lamp", "steps": 200, "timeout": 0.6},
    {"task_id": "partly", "prompt": "a clock", "n": 3, "steps": 5},
]
IDS = {load["task_id"] for load in LOAD}


async def run_load(client: WireClient) -> None:
    """Let tasks come to every kind of end, but failed."""
    for load in LOAD:
        assert (await client.ask(action="generate", **load))["type"] == "ack"
    await client.ask(action="cancel", task_id="partly", index=1)
    await client.ends("plain")
    await client.ask(action="cancel", task_id="cancelled")
    await client.ends(*IDS)


async def follow_socket(url: str, kind: type[WireClient], cursor: str, cuts: Callable[[], int]) -> list[Json]:
    """Follow all over a WebSocket that is cut after some messages, resuming after the highest cursor seen."""
    epoch, _, seq = cursor.rpartition(":")
    seen: list[Json] = []
    highest = int(seq)
    while ended(seen) != IDS:
        async with kind.connect(url) as client:
            await client.send(action="resume", scope="all", after=f"{epoch}:{highest}")
            for _ in range(cuts()):
                message = await client.receive()
                assert message["type"] != "recovered" or message["recovered"]
                if "seq" in message:
                    highest = max(highest, message["seq"])
                if "seq" in message or message["type"] == "progress":
                    seen.append(message)
                if ended(seen) == IDS:
                    break
            assert client.ws._response.connection is not None
            assert client.ws._response.connection.transport is not None
            client.ws._response.connection.transport.abort()
    return seen


async def follow_stream(url: str, accept: str, cursor: str, cuts: Callable[[], int], *, header: bool) -> list[Json]:
    """Follow all over an answer that is cut after some messages, resuming by header or query."""
    epoch, _, seq = cursor.rpartition(":")
    seen: list[Json] = []
    highest = int(seq)
    async with aiohttp.ClientSession() as http:
        while ended(seen) != IDS:
            after = f"{epoch}:{highest}"
            asked: Json = {"headers": {"Accept": accept, "Last-Event-ID": after}} if header else {}
            asked = asked or {"headers": {"Accept": accept}, "params": {"after": after}}
            left = cuts()
            async with http.get(f"{url}api/v1/events", **asked) as response:
                async for line in lines(response):
                    assert line.data["type"] != "recovered"
                    if "seq" in line.data:
                        assert line.id == (f"{epoch}:{line.data['seq']}" if accept == EVENT_STREAM else None)
                        highest = line.data["seq"]
                    if line.data["type"] == "progress":
                        assert "seq" not in line.data
                        assert line.id is None
                    if "seq" in line.data or line.data["type"] == "progress":
                        seen.append(line.data)
                    left -= 1
                    if left <= 0 or ended(seen) == IDS:
                        break
                response.close()
    return seen


@pytest.mark.parametrize("cut", [False, True], ids=["whole", "cut"])
async def test_everyone_hears_the_same(front: Front, *, cut: bool) -> None:
    """WebSocket in JSON and MessagePack, SSE and NDJSON tell the same stored events, however often they are cut."""
    _, client = await front(painter(replicas=3))
    url = str(client.ws._response.url.origin()) + "/"
    cursor = client.seen[0]["cursor"]
    dice = random.Random(4)
    once: Callable[[], int] = (lambda: dice.randint(1, 12)) if cut else (lambda: 1_000_000)
    async with asyncio.TaskGroup() as group:
        followers = {
            "json": group.create_task(follow_socket(url, WireClient, cursor, once)),
            "msgpack": group.create_task(follow_socket(url, PackClient, cursor, once)),
            "sse": group.create_task(follow_stream(url, EVENT_STREAM, cursor, once, header=True)),
            "sse by query": group.create_task(follow_stream(url, EVENT_STREAM, cursor, once, header=False)),
            "ndjson": group.create_task(follow_stream(url, NDJSON, cursor, once, header=False)),
            "ndjson by header": group.create_task(follow_stream(url, NDJSON, cursor, once, header=True)),
        }
        group.create_task(run_load(client))
    seen = {name: follower.result() for name, follower in followers.items()}
    wanted = stored(seen["json"])
    assert {message["task_id"] for message in wanted} == IDS
    assert {message["type"] for message in wanted} == {"accepted", "output", "result", "cancelled", "error"}
    for name, messages in seen.items():
        assert stored(messages) == wanted, name
        assert in_order(messages), name
        assert any(message["type"] == "progress" for message in messages), name
        images = [m for m in messages if m["type"] == "output" and m["task_id"] == "inline"]
        for image in images:
            inline = image["b64_json"]
            assert isinstance(inline, bytes if name == "msgpack" else str)
            assert len(inline if name == "msgpack" else base64.b64decode(inline)) == image["bytes"]
        assert not any("b64_json" in m for m in messages if m["type"] == "output" and m["task_id"] != "inline")


@pytest.mark.parametrize("accept", STREAMS)
async def test_one_task_is_followed_from_its_start(
    http: aiohttp.ClientSession, client: WireClient, accept: str
) -> None:
    """POST answers with all of the task; its own stream tells the same later, from any point of it."""
    body = {"prompt": "boat", "task_id": "a", "n": 3, "steps": 4}
    async with http.post("/api/v1/tasks", json=body, headers={"Accept": accept}) as response:
        assert response.status == 200
        assert response.headers["Location"].endswith("/api/v1/tasks/a")
        assert response.headers["Cache-Control"] == "no-store"
        assert response.headers["X-Accel-Buffering"] == "no"
        assert response.charset == "utf-8"
        first = [line.data for line in await all_lines(response)]
    assert in_order(first)
    whole = stored(first)
    assert [message["type"] for message in whole] == ["accepted", *["output"] * 3, "result"]
    epoch = client.seen[0]["epoch"]
    for i, message in enumerate(whole[:-1]):
        after = f"{epoch}:{message['seq']}"
        async with http.get(f"/api/v1/tasks/a/events?after={after}", headers={"Accept": accept}) as response:
            assert stored([line.data for line in await all_lines(response)]) == whole[i + 1 :]
    # The same POST again tells the same, without making anything.
    async with http.post("/api/v1/tasks", json=body, headers={"Accept": accept}) as response:
        assert stored([line.data for line in await all_lines(response)]) == whole
    # Where both say a cursor, the header is the newer one: an EventSource repeats its URL.
    headers = {"Accept": accept, "Last-Event-ID": f"{epoch}:{whole[-2]['seq']}"}
    async with http.get(f"/api/v1/tasks/a/events?after={epoch}:0", headers=headers) as response:
        assert stored([line.data for line in await all_lines(response)]) == whole[-1:]


async def test_events_have_names_for_who_asks(http: aiohttp.ClientSession) -> None:
    """`?named=1` puts the type into `event:`; without it there is none, or `onmessage` would not hear it."""
    body = {"prompt": "boat", "steps": 4}
    headers = {"Accept": EVENT_STREAM}
    async with http.post("/api/v1/tasks?named=1", json=body, headers=headers) as response:
        named = await all_lines(response)
    assert {line.event for line in named} == {"accepted", "progress", "output", "result"}
    assert all(line.event == line.data["type"] for line in named)
    async with http.post("/api/v1/tasks", json=body, headers=headers) as response:
        assert {line.event for line in await all_lines(response)} == {None}


@pytest.mark.parametrize("accept", STREAMS)
async def test_silence_is_broken(http: aiohttp.ClientSession, accept: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Comments (SSE) or empty lines (NDJSON) keep proxies from closing; they are no messages."""
    assert web_stream.KEEPALIVE == 15.0
    monkeypatch.setattr(web_stream, "KEEPALIVE", 0.05)
    silence: list[str] = []
    async with http.get("/api/v1/events", headers={"Accept": accept}) as response:

        async def listen() -> None:
            async for line in lines(response, silence.append):
                raise AssertionError(line)

        listening = asyncio.create_task(listen())
        await eventually(lambda: len(silence) >= 3)
        listening.cancel()
    assert set(silence) == {": keep-alive" if accept == EVENT_STREAM else ""}


# Images inline


async def test_inline_images_within_the_limit(emulate: Serve) -> None:
    """Each `output` has its file and the end none; of a task by GET, what fits; pages of tasks carry none."""
    ask: Json = {"prompt": "boat", "n": 2, "steps": 1, "seed": 5, "size": "64x64", "response_format": "b64_json"}
    url = await emulate(Emulator([PAINTER]))
    async with shared_server(xinference_url=url) as (base, _), aiohttp.ClientSession(base) as http:
        async with http.post("/api/v1/tasks", json=ask, headers={"Accept": NDJSON, "X-User": "a"}) as response:
            sizes = [m.data["bytes"] for m in await all_lines(response) if m.data["type"] == "output"]
    room = sum(sizes) - 1
    async with shared_server(xinference_url=url, inline_bytes=room) as (base, _), aiohttp.ClientSession(base) as http:
        user = {"X-User": "a"}
        async with PackClient.connect(base, headers=user) as client:
            assert client.seen[0]["limits"]["inline_bytes"] == room
            await client.ask(action="generate", task_id="a", **ask)
            end = (await client.ends("a"))["a"]
            assert [len(m["b64_json"]) for m in client.of("a", "output")] == sizes
            listed = (await client.ask(action="list"))["tasks"]
        async with http.get("/api/v1/tasks/a/events", headers={**user, "Accept": NDJSON}) as response:
            told = (await all_lines(response))[-1].data["data"]["data"]
        async with http.get("/api/v1/tasks/a", headers=user) as response:
            described = (await response.json())["data"]
        assert [len(base64.b64decode(p.get("b64_json", ""))) for p in described] == [sizes[0], 0]
        for images in (end["data"]["data"], told):
            assert [p.get("b64_json") for p in images] == [None, None]
        for images in (end["data"]["data"], told, described):
            assert all(p["url"] for p in images)
        async with http.get("/api/v1/tasks", headers=user) as response:
            listed += (await response.json())["tasks"]
        assert [len(task["data"]) for task in listed] == [2, 2]
        assert not any("b64_json" in image for task in listed for image in task["data"])
    small = min(sizes) - 1
    async with (
        shared_server(xinference_url=url, inline_bytes=small) as (base, _),
        aiohttp.ClientSession(base) as http,
    ):
        async with http.post("/api/v1/tasks", json=ask, headers={"Accept": NDJSON, "X-User": "a"}) as response:
            above = [m.data for m in await all_lines(response) if m.data["type"] == "output"]
        assert [bool(p["url"]) and "b64_json" not in p for p in above] == [True, True]


# Readers that go, and readers that are let go

USER = {"X-User": "ann"}


def connections(gateway: Gateway) -> int:
    return gateway.connections.count


@pytest.mark.parametrize("accept", STREAMS)
async def test_a_reader_that_left_is_forgotten(emulate: Serve, accept: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of it stays, and an owner without any reader counts as gone: `on_disconnect: cancel` acts."""
    monkeypatch.setattr(web_stream, "KEEPALIVE", 0.05)
    engine = Recorder([PAINTER])
    url = await emulate(engine)
    async with (
        shared_server(xinference_url=url, disconnect_grace=0.1) as (base, gateway),
        aiohttp.ClientSession(base, headers={**USER, "Accept": accept}) as http,
    ):
        body = {"prompt": "boat", "steps": 200, "on_disconnect": "cancel", "task_id": "a"}
        async with http.post("/api/v1/tasks", json=body) as response, http.get("/api/v1/events") as other:
            await anext(lines(response))
            await anext(lines(other))
            assert connections(gateway) == 2
            response.close()
            await eventually(lambda: connections(gateway) == 1)
            await asyncio.sleep(0.3)
            assert engine.aborts == []
            other.close()
        await eventually(lambda: connections(gateway) == 0)
        await eventually(lambda: len(engine.aborts) == 1)


@pytest.mark.parametrize("path", ["/api/v1/events", "/v1/images/generations"])
async def test_a_reader_that_takes_nothing_is_let_go(
    emulate: Serve, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After PATIENCE its connection is broken off; it holds neither a place nor, over OpenAI's API, a task."""
    monkeypatch.setattr(web_stream, "PATIENCE", 0.2)
    noise = random.Random(1).randbytes(3 * 600 * 600)
    file = io.BytesIO()
    Image.frombytes("RGB", (600, 600), noise).save(file, "PNG")
    engine = Emulator([painter(replicas=8)], paint=lambda order: file.getvalue())
    async with (
        shared_server(xinference_url=await emulate(engine), outputs=64) as (base, gateway),
        aiohttp.ClientSession(base, headers=USER) as http,
    ):
        body = {"prompt": "boat", "n": 16, "steps": 1, "response_format": "b64_json"}
        if path == "/v1/images/generations":
            asked = http.post(path, json={**body, "stream": True})
        else:
            asked = http.get(path)
        async with asked as response:
            await eventually(lambda: connections(gateway) == 1)
            if path == "/api/v1/events":
                async with http.post("/api/v1/tasks", json=body):
                    pass
            # It reads nothing; 16 MB are more than the system holds for it.
            await eventually(lambda: connections(gateway) == 0)
            with pytest.raises(aiohttp.ClientError):
                await response.read()
        await eventually(lambda: not unfinished(gateway, "ann"))


async def test_a_stream_that_can_not_go_on_is_broken_off(emulate: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that has begun can't become a 503: it is torn, so that its reader comes back with its cursor."""
    async with (
        shared_server(xinference_url=await emulate(Emulator([PAINTER]))) as (base, gateway),
        aiohttp.ClientSession(base, headers={**USER, "Accept": NDJSON}) as http,
    ):
        async with http.post("/api/v1/tasks", json={"prompt": "boat", "steps": 1, "task_id": "a"}) as response:
            whole = stored([line.data for line in await all_lines(response)])
        works = gateway.journal.store.events_of_tasks
        asked = 0

        async def fails_later(*args: Any, **options: Any) -> Any:
            nonlocal asked
            asked += 1
            if asked > 1:
                raise StorageUnavailable
            return await works(*args, **options)

        monkeypatch.setattr(gateway.journal.store, "events_of_tasks", fails_later)
        async with http.get("/api/v1/tasks/a/events") as response:
            assert response.status == 200
            with pytest.raises(aiohttp.ClientPayloadError):
                await response.read()
        async with http.get("/api/v1/tasks/a/events") as response:
            assert (response.status, (await response.json(content_type=None))["code"]) == (503, "storage_unavailable")
        monkeypatch.undo()
        async with http.get("/api/v1/tasks/a/events") as response:
            assert stored([line.data for line in await all_lines(response)]) == whole
