"""Erasure: everything of an owner is gone, of nobody else anything, and the owner may begin anew."""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from clients import LONG, Json, Recorder, WireClient, eventually
from conftest import Serve
from factories import accept, finished, make_task, seqs
from image_files import image_file
from scripted_gateway import Held, ScriptedGateway, turns
from streams import who
from xinflight.account.erasure import ERASURE_SECONDS, Erasure
from xinflight.app import setup
from xinflight.demo import Faults
from xinflight.errors import AccountBusy
from xinflight.gateway import Gateway
from xinflight.model import Task
from xinflight.settings import Settings
from xinflight.storage import MemoryStore, Outcome, SqliteStore, Store, Write

SECRET = "a boat with a secret name"


class Home:
    """A server of several owners on a data folder, and its HTTP API."""

    def __init__(self, url: str, gateway: Gateway, folder: Path, http: aiohttp.ClientSession) -> None:
        self.url, self.gateway, self.folder = url, gateway, folder
        self.http = http

    async def ask(self, user: str, method: str, path: str, status: int = 200, **body: Any) -> Json:
        options: Json = {"json": body} if body else {}
        async with self.http.request(
            method, f"{self.url}/api/v1/{path}", headers={"X-User": user}, **options
        ) as response:
            assert response.status == status, await response.text()
            answer: Json = await response.json(content_type=None)
            return answer

    async def make(self, user: str, task_id: str, **fields: Any) -> Json:
        """Generate, and wait for the end."""
        async with self.http.post(
            f"{self.url}/api/v1/tasks",
            json={"prompt": SECRET, "task_id": task_id, **fields},
            headers={"X-User": user, "Accept": "application/x-ndjson"},
        ) as response:
            end: Json = json.loads((await response.text()).strip().splitlines()[-1])
            return end

    async def upload(self, user: str) -> int:
        """Upload an image; return the status."""
        sent = {"X-User": user, "Content-Type": "image/png"}
        async with self.http.post(f"{self.url}/api/v1/uploads", data=image_file(), headers=sent) as response:
            return response.status

    async def listed(self, user: str) -> list[str]:
        return [task["task_id"] for task in (await self.ask(user, "GET", "tasks"))["tasks"]]

    @asynccontextmanager
    async def socket(self, user: str) -> AsyncIterator[WireClient]:
        async with WireClient.connect(self.url, headers={"X-User": user}) as client:
            yield client

    def bytes(self) -> bytes:
        """Return all that is in the database and its log."""
        return b"".join(path.read_bytes() for path in self.folder.glob("xinflight.db*"))


@pytest.fixture
async def home(engine: Recorder, emulate: Serve, tmp_path: Path, stack: AsyncExitStack) -> Home:
    app = web.Application()
    folder = tmp_path / "data"
    settings = Settings(
        xinference_url=await emulate(engine), default_size="64x64", drain=0.0, data_dir=str(folder), timeout=600.0
    )
    gateway = setup(app, settings, authenticate=who)
    server = await stack.enter_async_context(TestServer(app))
    http = await stack.enter_async_context(aiohttp.ClientSession())
    return Home(str(server.make_url("")).rstrip("/"), gateway, folder, http)


async def test_everything_is_gone_and_nothing_of_others(home: Home) -> None:
    """No task, event or file; not even a byte of the prompt in the database or its log."""
    mine = await home.make("ann", "a", n=2, metadata={"note": "private"})
    theirs = await home.make("bob", "b", prompt="a heron")
    for user in ("ann", "bob"):
        await home.upload(user)
    assert SECRET.encode() in home.bytes()
    erased = await home.ask("ann", "DELETE", "account")
    assert erased == {"complete": True, "tasks": 1, "outputs": 2, "uploads": 1, "unfinished": [], "running_on": []}
    assert await home.listed("ann") == []
    assert await home.listed("bob") == ["b"]
    statuses = []
    for end, user in ((mine, "ann"), (theirs, "bob")):
        for output in end["data"]["data"]:
            async with home.http.get(output["url"], headers={"X-User": user}) as response:
                statuses.append(response.status)
    assert statuses == [404, 404, 200]
    assert (await home.ask("ann", "GET", "uploads"))["uploads"] == []
    assert len((await home.ask("bob", "GET", "uploads"))["uploads"]) == 1
    assert len(list((home.folder / "uploads").glob("*"))) == 1
    left = home.bytes()
    assert SECRET.encode() not in left
    assert b"private" not in left
    assert b"a heron" in left
    await home.ask("ann", "GET", "tasks/a", status=404)


async def test_usage_of_today_outlives_what_is_not_kept_and_what_is_erased(home: Home) -> None:
    await home.make("ann", "a", n=2)
    await home.make("ann", "b", store=False, response_format="b64_json")

    async def used() -> tuple[int, bool]:
        usage = (await home.ask("ann", "GET", "account"))["usage"]
        return usage["outputs"], usage["seconds"] > 0

    # What an image used is stored when its slot is free, which is soon after its end.
    async with asyncio.timeout(LONG):
        while await used() != (3, True):
            pass
    await home.ask("ann", "DELETE", "account")
    assert await used() == (3, True)


async def test_it_can_be_repeated_and_never_used(home: Home) -> None:
    nothing = {"complete": True, "tasks": 0, "outputs": 0, "uploads": 0, "unfinished": [], "running_on": []}
    assert await home.ask("eve", "DELETE", "account") == nothing
    await home.make("ann", "a")
    assert (await home.ask("ann", "DELETE", "account"))["tasks"] == 1
    assert await home.ask("ann", "DELETE", "account") == nothing


async def test_what_is_unfinished_is_cancelled_and_awaited(home: Home, engine: Recorder) -> None:
    engine.script = [Faults(freeze=1)]
    async with home.socket("ann") as client:
        await client.send(action="generate", prompt=SECRET, task_id="running")
        await client.until(lambda m: m["type"] == "progress" and m["state"] == "running")
        await client.send(action="generate", prompt=SECRET, task_id="waiting")
        await client.until(lambda m: m["type"] == "ack" and m["task_id"] == "waiting")
        erasing = asyncio.create_task(home.ask("ann", "DELETE", "account"))
        ends = await client.ends("waiting")
        assert ends["waiting"]["type"] == "cancelled"
        refused = await client.ask(action="generate", prompt="another")
        assert (refused["code"], refused["retryable"]) == ("account_busy", True)
        assert (await home.ask("ann", "DELETE", "account", status=409))["code"] == "account_busy"
        engine.thaw()
        erased = await erasing
        assert (erased["complete"], erased["tasks"]) == (True, 2)
        assert await home.listed("ann") == []


async def test_other_tabs_are_told(home: Home) -> None:
    await home.make("ann", "a")
    async with home.socket("ann") as tab, home.socket("bob") as other:
        await home.ask("ann", "DELETE", "account")
        notice = await tab.until(lambda m: m["type"] == "notice")
        assert notice["kind"] == "erased"
        assert notice["message"]
        await other.ask(action="ping")
        assert not [m for m in other.seen if m["type"] == "notice"]


async def test_old_cursors_are_gaps_and_the_owner_begins_anew(home: Home) -> None:
    await home.make("ann", "a")
    async with home.socket("ann") as before:
        cursor = before.seen[0]["cursor"]
        await home.ask("ann", "DELETE", "account")
        async with home.socket("ann") as after:
            fresh = after.seen[0]["cursor"]
            assert fresh.partition(":")[0] == cursor.partition(":")[0]
            assert int(fresh.partition(":")[2]) > int(cursor.partition(":")[2])
            assert (await after.ask(action="resume", scope="all", after=cursor))["recovered"] is False
            assert (await after.ask(action="resume", scope="all", after=fresh))["recovered"] is True
            await after.send(action="generate", prompt="a new boat", task_id="a")
            end = (await after.ends("a"))["a"]
            assert end["type"] == "result"
            assert end["seq"] > int(fresh.partition(":")[2])
    assert await home.listed("ann") == ["a"]
    async with home.socket("ann") as later:
        answer = await later.ask(action="resume", scope="all", after=fresh)
        assert answer["recovered"] is True
        assert [m["type"] for m in later.of("a")][-1] == "result"
        assert (await later.ask(action="resume", scope="all", after=cursor))["recovered"] is False


async def test_cursors_of_others_stay_valid(home: Home) -> None:
    await home.make("bob", "b")
    await home.make("ann", "a")
    async with home.socket("bob") as client:
        epoch = client.seen[0]["epoch"]
        await home.ask("ann", "DELETE", "account")
        assert (await client.ask(action="resume", scope="all", after=f"{epoch}:0"))["recovered"] is True


async def test_after_an_error_in_the_middle_the_rest_goes_with_the_next(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    for task_id in ("a", "b", "c"):
        await home.make("ann", task_id)
    with monkeypatch.context() as patch:
        delete = home.gateway.blobs.delete
        left = [1]

        async def failing(output_id: str) -> None:
            if not left:
                raise OSError("read-only")
            left.pop()
            await delete(output_id)

        patch.setattr(home.gateway.blobs, "delete", failing)
        assert (await home.ask("ann", "DELETE", "account", status=503))["code"] == "storage_unavailable"
    assert len(await home.listed("ann")) == 2
    erased = await home.ask("ann", "DELETE", "account")
    assert (erased["tasks"], erased["complete"]) == (2, True)
    assert await home.listed("ann") == []


async def test_it_goes_on_when_its_client_leaves(home: Home) -> None:
    for task_id in ("a", "b"):
        await home.make("ann", task_id)
    held = Held(home.gateway.blobs, "delete")
    call = asyncio.create_task(home.gateway.account.erase("ann"))
    await held.entered.wait()
    call.cancel()
    await asyncio.wait([call])
    assert call.cancelled()
    held.go_on.set()
    await eventually(lambda: not home.gateway.account._busy)
    assert await home.listed("ann") == []


async def test_a_server_that_stops_stops_it_and_the_next_call_completes_it(home: Home) -> None:
    await home.make("ann", "a")
    held = Held(home.gateway.blobs, "delete")
    call = asyncio.create_task(home.gateway.account.erase("ann"))
    await held.entered.wait()
    await home.gateway.account.close()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert await home.listed("ann") == ["a"]
    held.go_on.set()
    assert (await home.gateway.account.erase("ann")).tasks == 1


async def test_nobody_is_erased_by_a_stranger(home: Home) -> None:
    await home.make("ann", "a")
    async with home.http.delete(f"{home.url}/api/v1/account") as response:
        assert response.status == 401
    async with home.http.delete(
        f"{home.url}/api/v1/account", headers={"X-User": "ann", "Origin": "https://evil.example"}
    ) as response:
        assert response.status == 403
    assert await home.listed("ann") == ["a"]


async def test_naming_an_owner_erases_nobody(home: Home) -> None:
    """Admins name owners in other requests: here the one who asks would lose everything."""
    await home.make("ann", "a")
    refused = await home.ask("ann", "DELETE", "account?owner=bob", status=403)
    assert (refused["code"], refused["field"]) == ("forbidden", "owner")
    assert await home.listed("ann") == ["a"]


# What does not end in time


def erasure_of(gateway: ScriptedGateway) -> Erasure:
    return Erasure(
        gateway.front,
        gateway.journal,
        gateway.retention,
        gateway.uploads,
        gateway.clock,
        on_erased=lambda _: None,
    )


class SlowToReturn(MemoryStore):
    """A store whose commits are done some time before anybody hears of it, as with a thread."""

    def __init__(self) -> None:
        super().__init__(100)
        self.heard = asyncio.Event()
        self.heard.set()

    async def commit(self, writes: Sequence[Write]) -> list[Outcome]:
        outcomes = await super().commit(writes)
        await self.heard.wait()
        return outcomes


async def test_an_end_that_was_stored_a_moment_before_is_not_waited_for() -> None:
    """Nobody was there who would have been sent it."""
    store = SlowToReturn()
    async with ScriptedGateway.begin(store) as gateway:
        gateway.watching = False
        await gateway.submit(task_id="a")
        await turns()
        store.heard.clear()
        gateway.upstream.pending[0].end("image")
        await turns()
        erasing = asyncio.create_task(erasure_of(gateway).erase("ann"), name="erase")
        await turns()
        store.heard.set()
        await turns()
        assert erasing.done()
        erased = await erasing
        assert (erased.tasks, erased.outputs, erased.unfinished) == (1, 1, [])


async def test_an_end_that_is_deleted_before_it_is_read_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """As that of a task that is not to be kept, which another client was told of."""
    async with ScriptedGateway.begin() as gateway:
        await gateway.submit(task_id="runs")
        await gateway.submit(task_id="waits", store=False)
        await turns()
        find = gateway.front.find

        async def find_last(owner: str, task_id: str) -> Task | None:
            task = await find(owner, task_id)
            await turns()
            if task_id == "waits" and task is not None:
                await gateway.store.delete(task.uid)
            return task

        monkeypatch.setattr(gateway.front, "find", find_last)
        erasing = asyncio.create_task(erasure_of(gateway).erase("ann"), name="erase")
        await turns()
        gateway.upstream.pending[0].end("aborted")
        await turns(1000)
        assert erasing.done()
        assert (await erasing).unfinished == []


async def test_what_does_not_end_in_time_is_told_and_stays() -> None:
    async with ScriptedGateway.begin() as gateway:
        erasure = erasure_of(gateway)
        await gateway.submit(task_id="stuck")
        await turns()
        patience = gateway.pools._runners["m"]._cancellation
        patience.cancel = lambda *_: None  # type: ignore[method-assign]
        erasing = asyncio.create_task(erasure.erase("ann"))
        await turns()
        await gateway.clock.advance(ERASURE_SECONDS)
        erased = await erasing
        assert erased.unfinished == ["stuck"]
        assert gateway.unfinished("ann", "stuck")
        # And afterwards the owner is welcome again.
        del patience.cancel
        assert not isinstance(await gateway.submit(task_id="more"), AccountBusy)
        gateway.upstream.pending[0].end("image")
        await turns()


# The store


async def test_the_store_forgets_an_owner(store: Store) -> None:
    mine, theirs = await finished(store, "a"), await finished(store, "b", owner="bob")
    last = await store.last_seq("ann")
    await store.delete(mine.uid)
    await store.forget("ann", used_before="2026-01-02")
    position = await store.last_seq("ann")
    assert position > last
    assert await store.trimmed_to("ann") == position
    await store.commit([accept(make_task("a"))])
    assert await seqs(store) == [position + 1]
    assert await store.trimmed_to("ann") == position
    assert (await store.last_seq("bob"), await store.trimmed_to("bob")) == (3, 0)
    assert await store.task("bob", "b") == theirs


async def test_usage_of_today_stays_since_limits_count_it(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "data", full=False)
    await store.open()
    with closing(sqlite3.connect(tmp_path / "data" / "xinflight.db")) as connection:
        for owner, day in (("ann", "2026-01-01"), ("ann", "2026-01-02"), ("bob", "2026-01-01")):
            connection.execute("INSERT INTO usage VALUES (?, ?, 1.0, 1, 1)", (owner, day))
        connection.execute("INSERT INTO unreadable VALUES ('u', 'ann', 'a', X'00'), ('v', 'bob', 'a', X'00')")
        connection.commit()
    await store.forget("ann", used_before="2026-01-02")
    left = await store.usage_of_all(after=("2026-01-01", ""), last="2026-12-31", limit=10)
    assert [(row.owner, row.day) for row in left] == [("bob", "2026-01-01"), ("ann", "2026-01-02")]
    with closing(sqlite3.connect(tmp_path / "data" / "xinflight.db")) as connection:
        assert connection.execute("SELECT owner FROM unreadable").fetchall() == [("bob",)]
    await store.close()
