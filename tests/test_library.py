"""Stars, tags, deleted outputs that come back, searches and preferences, over the wire."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, closing
from pathlib import Path

import aiohttp
import pytest

from clients import Json, Recorder, ShiftedClock, WireClient, eventually
from conftest import Serve
from factories import finished, lease
from xinflight.cli import serving
from xinflight.demo import Faults
from xinflight.model import UNDO_SECONDS, Marks, marked_message
from xinflight.settings import Settings
from xinflight.storage import Mark, SqliteStore

FIELDS = {"action": "generate", "size": "64x64", "steps": 2}


@pytest.fixture
async def http(stack: AsyncExitStack) -> aiohttp.ClientSession:
    return await stack.enter_async_context(aiohttp.ClientSession())


async def make(client: WireClient, task_id: str, prompt: str = "a boat", n: int = 1) -> list[Json]:
    """Generate; return the outputs."""
    await client.ask(**FIELDS, task_id=task_id, prompt=prompt, n=n)
    end = (await client.ends(task_id))[task_id]
    outputs: list[Json] = end["data"]["data"]
    return outputs


async def listed(client: WireClient, **query: object) -> dict[str, list[Json]]:
    """Return the outputs of the tasks of a page."""
    page = await client.ask(action="list", **query)
    return {task["task_id"]: task.get("data", []) for task in page["tasks"]}


async def status(http: aiohttp.ClientSession, url: str) -> int:
    async with http.get(url) as response:
        await response.read()
        return response.status


async def told(client: WireClient) -> list[list[Json]]:
    """Return the outputs of each `marked`, once an answer has come that must follow them."""
    await client.ask(action="ping")
    return [message["outputs"] for message in client.seen if message["type"] == "marked"]


async def test_stars_and_tags_reach_every_tab_and_are_found(
    server: str, client: WireClient, stack: AsyncExitStack
) -> None:
    other = await stack.enter_async_context(WireClient.connect(server))
    await other.ask(action="follow", scope="all")
    await make(client, "a", "a red boat", n=2)
    await make(client, "b")
    answer = await client.ask(action="mark", task_id="a", index=1, starred=True, tags=["sea", "sea"])
    assert answer["tasks"] == [{"task_id": "a", "was": "completed", "index": 1}]
    await client.ask(action="mark", task_id="b", tags=["sea"])
    await client.ask(action="mark", task_id="b", tags=["sea"])
    marks = [[{"index": 1, "starred": True, "tags": ["sea"]}], [{"index": 0, "tags": ["sea"]}]]
    assert await told(other) == marks, "once each, since the last one changed nothing"
    found = await listed(client, starred=True)
    assert {task_id: [each.get("starred", False) for each in data] for task_id, data in found.items()} == {
        "a": [False, True]
    }
    assert list(await listed(client, tag="sea")) == ["b", "a"]
    assert list(await listed(client, search="red bo", kind="text2image", model="painter")) == ["a"]
    assert list(await listed(client, search="!?")) == []
    await client.ask(action="mark", task_id="a", index=1, starred=False)
    assert list(await listed(client, starred=True)) == []
    assert (await listed(client, tag="sea"))["a"][1]["tags"] == ["sea"], "a star says nothing of tags"


async def test_who_was_away_is_told_with_the_rest(server: str, client: WireClient, stack: AsyncExitStack) -> None:
    await make(client, "a")
    cursor = (await client.ask(action="list"))["cursor"]
    for starred in (True, False, True):
        await client.ask(action="mark", task_id="a", index=0, starred=starred)
    back = await stack.enter_async_context(WireClient.connect(server))
    answer = await back.ask(action="resume", scope="all", after=cursor)
    assert answer["recovered"]
    assert await told(back) == [[{"index": 0, "starred": True}]], "the newest takes the place of those before"


async def test_what_is_not_finished_or_unknown_has_no_marks(
    client: WireClient, engine: Recorder, http: aiohttp.ClientSession, server: str
) -> None:
    engine.faults = Faults(freeze=1, requests=1)
    await client.ask(**FIELDS, task_id="a", prompt="a boat")
    for message in (
        {"action": "mark", "task_id": "a", "index": 0, "starred": True},
        {"action": "delete", "task_id": "a", "index": 0},
        {"action": "restore", "task_id": "a", "index": 7},
    ):
        answer = await client.ask(**message)
        assert (answer["code"], answer["field"]) == ("not_found", "index")
    for message in ({"action": "mark", "starred": True}, {"action": "restore", "index": 0}):
        assert (await client.ask(**message, task_id="no"))["tasks"][0]["was"] == "unknown"
    async with http.post(f"{server}api/v1/tasks/no/mark", json={"starred": True}) as response:
        assert (response.status, (await response.json())["field"]) == (404, "task_id")
    engine.thaw()
    await client.ends("a")


async def test_one_of_several_is_starred_while_the_others_run(client: WireClient, engine: Recorder) -> None:
    engine.script = [Faults(), Faults(freeze=1)]
    await client.ask(**FIELDS, task_id="a", prompt="a boat", n=2)
    output = await client.has(lambda m: m["type"] == "output")
    await client.ask(action="mark", task_id="a", starred=True)
    assert [each.get("starred") for each in (await listed(client, starred=True))["a"]] == [True]
    engine.thaw()
    await client.ends("a")
    assert await told(client) == [[{"index": output["index"], "starred": True}]]


async def test_a_deleted_output_is_gone_at_once_and_comes_back(
    client: WireClient, http: aiohttp.ClientSession, server: str, stack: AsyncExitStack
) -> None:
    keep, gone = await make(client, "a", n=2)
    api = f"{server}api/v1"
    async with http.post(f"{api}/shares", json={"task_id": "a", "index": 1}) as response:
        link = (await response.json())["url"]
    async with http.delete(f"{api}/tasks/a/outputs/1") as response:
        assert response.status == 204
    page = (await client.ask(action="list"))["tasks"][0]
    assert ([each["index"] for each in page["data"]], page["deleted"]) == ([0], [1])
    async with http.get(f"{api}/tasks/a") as response:
        assert await response.json() == page
    assert [await status(http, url) for url in (keep["url"], gone["url"], link)] == [200, 404, 404]
    assert await status(http, f"{api}/tasks/a/outputs/1") == 404
    async with http.post(f"{api}/shares", json={"task_id": "a", "index": 1}) as response:
        assert response.status == 404
    async with http.get(f"{api}/shares") as response:
        assert (await response.json())["shares"] == []
    image = {"action": "generate", "prompt": "a boat", "image": gone["output_id"]}
    assert (await client.ask(**image))["code"] in ("image_not_found", "model_unsuitable")
    fresh = await stack.enter_async_context(WireClient.connect(server))
    await fresh.ask(action="follow", task_id="a", after=client.seen[0]["cursor"])
    outputs = {message["index"]: message for message in fresh.of("a", "output")}
    assert (outputs[1]["deleted"], "url" in outputs[1]) == (True, False)
    assert [each["index"] for each in fresh.of("a", "result")[0]["data"]["data"]] == [0]
    async with http.post(f"{api}/tasks/a/outputs/1/restore") as response:
        assert (response.status, (await response.json())["was"]) == (200, "completed")
    assert [each["index"] for each in (await listed(client))["a"]] == [0, 1]
    assert [await status(http, url) for url in (gone["url"], link)] == [200, 200]


async def test_after_its_time_it_is_gone_for_ever(
    clock: ShiftedClock, client: WireClient, http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    keep, gone = await make(client, "a", n=2)
    await client.ask(action="delete", task_id="a", index=1)
    clock.advance(UNDO_SECONDS + 1)
    await eventually(lambda: not list((tmp_path / "data" / "outputs").glob(f"*/{gone['output_id']}*")))
    await eventually(lambda: rows(tmp_path, "outputs") == 1)
    answer = await client.ask(action="restore", task_id="a", index=1)
    assert (answer["code"], answer["field"]) == ("not_found", "index")
    assert [each["index"] for each in (await listed(client))["a"]] == [0]
    assert (await status(http, keep["url"]), await status(http, gone["url"])) == (200, 404)
    # With the last one its task goes.
    await client.ask(action="delete", task_id="a", index=0)
    assert list(await listed(client)) == [], "already hidden"
    clock.advance(UNDO_SECONDS + 1)
    await client.has(lambda m: m["type"] == "notice" and m["kind"] == "deleted" and m["task_id"] == "a")
    assert rows(tmp_path, "tasks") == 0


def rows(folder: Path, table: str) -> int:
    queries = {"outputs": "SELECT count(*) FROM outputs", "tasks": "SELECT count(*) FROM tasks"}
    with closing(sqlite3.connect(folder / "data" / "xinflight.db")) as connection:
        return int(connection.execute(queries[table]).fetchone()[0])


async def test_a_deleted_output_waits_for_the_end_of_its_task(
    clock: ShiftedClock, client: WireClient, engine: Recorder, tmp_path: Path
) -> None:
    engine.script = [Faults(), Faults(freeze=1)]
    await client.ask(**FIELDS, task_id="a", prompt="a boat", n=2)
    index = (await client.has(lambda m: m["type"] == "output"))["index"]
    await client.ask(action="delete", task_id="a", index=index)
    clock.advance(UNDO_SECONDS + 1)
    await client.ask(action="ping")
    assert rows(tmp_path, "outputs") == 2
    engine.thaw()
    end = (await client.ends("a"))["a"]
    assert [each["index"] for each in end["data"]["data"]] == [1 - index]
    # The next try comes a moment later.
    await eventually(lambda: after(clock, 5.0) and rows(tmp_path, "outputs") == 1)


def after(clock: ShiftedClock, seconds: float) -> bool:
    clock.advance(seconds)
    return True


async def test_an_erasure_takes_what_is_hidden_at_once(
    client: WireClient, http: aiohttp.ClientSession, server: str, tmp_path: Path
) -> None:
    """And the words that a search finds it by: in its index, deleted ones stay until its parts are merged."""
    (output,) = await make(client, "a", "a secret boat")
    await client.ask(action="mark", task_id="a", tags=["private"])
    await listed(client, search="boat")
    await client.ask(action="delete", task_id="a", index=0)
    await client.ask(action="prefer", change={"theme": "dark"})
    async with http.delete(f"{server}api/v1/account") as response:
        assert (await response.json())["complete"] is True
    assert not list((tmp_path / "data" / "outputs").glob(f"*/{output['output_id']}*"))
    with closing(sqlite3.connect(tmp_path / "data" / "xinflight.db")) as connection:
        connection.execute("CREATE VIRTUAL TABLE temp.terms USING fts5vocab('main', 'search', 'row')")
        assert connection.execute("SELECT term FROM terms").fetchall() == []
    assert (await client.ask(action="restore", task_id="a", index=0))["tasks"][0]["was"] == "unknown"
    assert (await client.ask(action="prefer"))["version"] == 0


async def test_words_of_deleted_tasks_are_overwritten_by_and_by(tmp_path: Path) -> None:
    """An index keeps what was deleted in the parts in which it was, until they are merged."""
    store = SqliteStore(tmp_path / "data", full=False)
    await store.open()
    await lease(store)
    tasks = [await finished(store, f"t{number}") for number in range(6)]
    for task in tasks:
        message = marked_message(task, marks := [Marks(index=0, tags=[f"secret{task.task_id}"])], 1.0)
        await store.commit([Mark(task=task, message=message, marks=marks)])
    for task in tasks[:5]:
        await store.delete(task.uid)

    def secrets() -> int:
        with closing(sqlite3.connect(tmp_path / "data" / "xinflight.db")) as connection:
            blocks = [block for (block,) in connection.execute("SELECT block FROM search_data")]
        return sum(b"secret" in block or b"ecrett" in block for block in blocks)

    assert secrets() > 1
    while await store.library.overwrite():
        pass
    assert secrets() == 1, "that of the task that is still there"
    assert not await store.library.overwrite()
    await store.close()


async def test_preferences_are_the_same_on_all_devices(
    server: str, client: WireClient, stack: AsyncExitStack, http: aiohttp.ClientSession
) -> None:
    other = await stack.enter_async_context(WireClient.connect(server))
    assert (await client.ask(action="prefer"))["preferences"] == {}
    answer = await client.ask(action="prefer", change={"theme": "dark", "dock": {"n": 4, "size": None}, "odd": 1})
    assert (answer["version"], answer["preferences"]) == (1, {"theme": "dark", "dock": {"n": 4, "size": None}})
    notice = await other.has(lambda m: m["type"] == "notice" and m["kind"] == "preferences")
    assert (notice["version"], notice["preferences"]) == (1, answer["preferences"])
    path = f"{server}api/v1/account/preferences"
    async with http.patch(path, json={"theme": None, "sound": True}) as response:
        body = await response.json()
    assert body == {"version": 2, "preferences": {"sound": True, "dock": {"n": 4, "size": None}}}
    async with http.patch(path, json={"sound": True}) as response:
        assert (await response.json())["version"] == 2, "nothing changed"
    async with http.get(path) as response:
        assert await response.json() == body
    too_long = {f"field-{number}": "x" * 2000 for number in range(9)}
    for change, code in (({"theme": "pink"}, "wrong_shape"), ({"dock": too_long}, "out_of_bounds")):
        assert (await client.ask(action="prefer", change=change))["code"] == code


@asynccontextmanager
async def served(upstream: str, folder: Path) -> AsyncIterator[WireClient]:
    """Serve on a data folder inside the block; give a client."""
    settings = Settings(port=0, data_dir=str(folder / "data"), drain=0.0, xinference_url=upstream)
    async with serving(settings, demo=False) as (url, _), WireClient.connect(url) as client:
        yield client


async def test_what_is_noted_survives_a_restart(
    engine: Recorder, emulate: Serve, clock: ShiftedClock, tmp_path: Path
) -> None:
    upstream = await emulate(engine)
    async with served(upstream, tmp_path) as client:
        await make(client, "a", "a red boat", n=2)
        await make(client, "b")
        await client.ask(action="mark", task_id="a", index=0, starred=True)
        await client.ask(action="delete", task_id="a", index=1)
        await client.ask(action="delete", task_id="b", index=0)
        await client.ask(action="prefer", change={"language": "zh-CN"})
    async with served(upstream, tmp_path) as client:
        assert {key: [each["index"] for each in data] for key, data in (await listed(client)).items()} == {"a": [0]}
        assert list(await listed(client, search="red", starred=True)) == ["a"]
        await client.ask(action="restore", task_id="b", index=0)
        assert list(await listed(client)) == ["b", "a"]
        assert (await client.ask(action="prefer"))["preferences"] == {"language": "zh-CN"}
        clock.advance(UNDO_SECONDS + 1)
        await eventually(lambda: rows(tmp_path, "outputs") == 2)


async def test_what_failed_or_came_too_late_is_listed_together(
    clock: ShiftedClock, client: WireClient, engine: Recorder
) -> None:
    engine.script = [Faults(error="CUDA out of memory."), Faults(freeze=1)]
    await client.ask(**FIELDS, task_id="failed", prompt="a boat")
    await client.ends("failed")
    await client.ask(**FIELDS, task_id="late", prompt="a boat", timeout=60)
    await client.has(lambda m: m["type"] == "progress" and m["task_id"] == "late" and m["state"] == "running")
    clock.advance(61)
    engine.thaw()
    await client.ends("late")
    # An image of several is enough, also beside made ones.
    engine.script = [Faults(error="CUDA out of memory.")]
    await make(client, "partly", n=3)
    await make(client, "made")
    assert list(await listed(client, state="unsuccessful")) == ["partly", "late", "failed"]
    assert list(await listed(client, state="unsuccessful", search="boat")) == ["partly", "late", "failed"]
    assert list(await listed(client, state="failed")) == ["failed"]
    # Also to those who come later it is told why.
    (partly,) = (await client.ask(action="list", state="unsuccessful", limit=1))["tasks"]
    assert partly["failures"] == [{"index": partly["failed"][0], "code": "upstream_out_of_memory"}]
    assert list(await listed(client, state="expired")) == ["late"]


async def test_tags_are_told_for_those_who_tag_on(
    server: str, client: WireClient, http: aiohttp.ClientSession
) -> None:
    await make(client, "a")
    await client.ask(action="mark", task_id="a", tags=["sea", "seal", "boat"])
    for query, tags in {"": ["boat", "sea", "seal"], "?prefix=sea&limit=1": ["sea"], "?prefix=no": []}.items():
        async with http.get(f"{server}api/v1/tags{query}") as response:
            assert (response.status, await response.json()) == (200, {"tags": tags})
    async with http.get(f"{server}api/v1/tags?limit=0") as response:
        assert (response.status, (await response.json())["field"]) == (422, "limit")
