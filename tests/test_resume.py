"""Coming back over the WebSocket: resume, follow, unfollow, list and delete, from several connections."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from clients import Json, Recorder, WireClient, eventually, is_end
from conftest import Serve
from xinflight.cli import serving
from xinflight.demo import Faults
from xinflight.settings import Settings

STORED = ("accepted", "output", "result", "cancelled", "error")


@pytest.fixture
async def other(server: str, stack: AsyncExitStack) -> WireClient:
    """Give a second connection of the same owner."""
    return await stack.enter_async_context(WireClient.connect(server))


def stored(client: WireClient) -> list[Json]:
    """Return the stored events a client has seen, in order."""
    return [m for m in client.seen if "seq" in m and m["type"] in STORED]


def cursor(client: WireClient) -> str:
    """Return the highest cursor that a client has seen."""
    epoch = client.seen[0]["epoch"]
    start = int(client.seen[0]["cursor"].split(":")[1])
    return f"{epoch}:{max([start, *(m['seq'] for m in client.seen if 'seq' in m)])}"


async def start(client: WireClient, *task_ids: str, **fields: object) -> None:
    for task_id in task_ids:
        ack = await client.ask(**{"action": "generate", "prompt": task_id, "task_id": task_id, **fields})
        assert ack["type"] == "ack", ack


async def make(client: WireClient, *task_ids: str, **fields: object) -> None:
    await start(client, *task_ids, **fields)
    await client.ends(*task_ids)


# Resume


async def test_resume_all_brings_what_was_missed_then_what_happens(
    server: str, client: WireClient, engine: Recorder
) -> None:
    engine.faults = Faults(freeze=6, requests=1)
    async with WireClient.connect(server) as first:
        await start(first, "a", "b", steps=12)
        await first.until(lambda m: m["type"] == "progress" and m["progress"] > 20)
        left_at = cursor(first)
    engine.thaw()
    await client.ask(action="follow", scope="all", after=left_at.split(":")[0] + ":0")
    await client.ends("a", "b")
    async with WireClient.connect(server) as again:
        answer = await again.ask(action="resume", after=left_at, scope="all")
        assert (answer["type"], answer["recovered"], answer.get("unknown", [])) == ("recovered", True, [])
        assert stored(again) == [m for m in stored(client) if m["seq"] > int(left_at.split(":")[1])]
        await start(client, "c")
        await again.ends("c")


async def test_resume_in_the_middle_gives_the_newest_snapshot_first(
    server: str, client: WireClient, engine: Recorder
) -> None:
    engine.faults = Faults(freeze=10)
    await start(client, "a", steps=40)
    shown = await client.until(lambda m: m["type"] == "progress" and m["progress"] > 20)
    async with WireClient.connect(server) as again:
        epoch = again.seen[0]["epoch"]
        await again.ask(action="resume", after=f"{epoch}:0", scope="all")
        kinds = [m["type"] for m in again.seen]
        assert kinds == ["welcome", "accepted", "progress", "recovered"]
        assert again.seen[2]["progress"] >= shown["progress"]
        engine.thaw()
        await again.ends("a")
        percent = [m["progress"] for m in again.of("a", "progress")]
        assert percent == sorted(percent)


async def test_resume_of_some_tasks_names_the_unknown_ones(client: WireClient, other: WireClient) -> None:
    await make(client, "a", "b")
    answer = await other.ask(action="resume", after=f"{other.seen[0]['epoch']}:0", tasks=["b", "nope"])
    assert (answer["recovered"], answer["unknown"]) == (True, ["nope"])
    assert {m["task_id"] for m in stored(other)} == {"b"}
    assert [m["type"] for m in stored(other)] == ["accepted", "output", "result"]
    assert stored(other) == [m for m in stored(client) if m["task_id"] == "b"]


async def test_another_epoch_or_a_cursor_from_the_future_is_a_gap(client: WireClient, other: WireClient) -> None:
    await make(client, "a")
    await start(client, "b", steps=60)
    await client.until(lambda m: m["type"] == "progress" and m["task_id"] == "b" and m["progress"] > 5)
    epoch = other.seen[0]["epoch"]
    for after in ("0123456789abcdef:3", f"{epoch}:999999999"):
        other.seen[1:] = []
        answer = await other.ask(action="resume", after=after, scope="all")
        assert answer["recovered"] is False
        assert stored(other) == []
    assert other.seen[0]["type"] == "welcome"
    # It is live from here all the same.
    assert (await other.ends("b"))["b"]["type"] == "result"


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"after": "x:1"}, "wrong_shape"),
        ({"after": "x:1", "scope": "all", "tasks": ["a"]}, "wrong_shape"),
        ({"scope": "all"}, "wrong_shape"),
        ({"after": "no cursor", "scope": "all"}, "out_of_bounds"),
        ({"after": "x:1", "tasks": ["a b"]}, "bad_task_id"),
    ],
)
async def test_a_resume_that_makes_no_sense_is_refused(client: WireClient, fields: Json, code: str) -> None:
    answer = await client.ask(action="resume", **fields)
    assert (answer["type"], answer["code"]) == ("error", code)


async def test_resumed_twice_nothing_comes_twice(client: WireClient, other: WireClient, engine: Recorder) -> None:
    engine.faults = Faults(freeze=3, requests=1)
    await start(client, "a", steps=30)
    after = f"{other.seen[0]['epoch']}:0"
    await other.ask(action="resume", after=after, tasks=["a"])
    await other.ask(action="resume", after=after, scope="all")
    await other.ask(action="follow", scope="all", after=after)
    await other.ask(action="generate", prompt="a", task_id="a", steps=30)
    engine.thaw()
    await other.ends("a")
    await other.ask(action="ping")
    assert [m["type"] for m in stored(other)] == ["accepted", "output", "result"]


async def test_follow_from_now_then_resume_fills_the_gap(client: WireClient, other: WireClient) -> None:
    """Who follows all from now on and then asks for what was before gets that, and no lie of a recovery."""
    await make(client, "a")
    await other.ask(action="follow", scope="all")
    assert stored(other) == []
    await make(client, "b")
    await other.ends("b")
    await other.ask(action="resume", after=f"{other.seen[0]['epoch']}:0", scope="all")
    assert {m["seq"] for m in stored(other)} == {m["seq"] for m in stored(client)}
    assert len(stored(other)) == len(stored(client))


# Follow


async def test_a_second_connection_hears_nothing_unless_it_follows(client: WireClient, other: WireClient) -> None:
    await make(client, "a")
    await other.ask(action="ping")
    assert {m["type"] for m in other.seen} == {"welcome", "pong"}
    answer = await other.ask(action="follow", task_id="nope")
    assert (answer["recovered"], answer["unknown"]) == (True, ["nope"])


async def test_follow_one_task(client: WireClient, other: WireClient, engine: Recorder) -> None:
    engine.faults = Faults(freeze=3, requests=1)
    await start(client, "a", "b", steps=30)
    answer = await other.ask(action="follow", task_id="b")
    assert (answer["type"], answer["recovered"]) == ("recovered", True)
    assert [m["task_id"] for m in other.seen if m["type"] == "progress"] == ["b"], "its newest snapshot"
    engine.thaw()
    await other.ends("b")
    assert {m["task_id"] for m in other.seen if "seq" in m} == {"b"}
    assert [m["type"] for m in stored(other)] == ["output", "result"], "from now on"


async def test_unfollow(client: WireClient, other: WireClient, engine: Recorder) -> None:
    engine.faults = Faults(freeze=3, requests=1)
    await start(client, "a", "b", steps=20)
    await other.ask(action="follow", task_id="a")
    await other.ask(action="follow", task_id="b")
    answer = await other.ask(action="unfollow", task_id="a")
    assert answer["tasks"][0]["task_id"] == "a"
    assert answer["tasks"][0]["was"] in ("queued", "starting", "running")
    assert (await other.ask(action="unfollow", task_id="nope"))["tasks"] == [{"task_id": "nope", "was": "unknown"}]
    engine.thaw()
    await client.ends("a")
    await other.ends("b")
    assert other.of("a", "output", "result") == []
    # What one connection does not want to hear, another one still hears.
    assert [m["type"] for m in client.of("a", "output", "result")] == ["output", "result"]


async def test_unfollow_all(client: WireClient, other: WireClient, engine: Recorder) -> None:
    engine.faults = Faults(freeze=3, requests=1)
    await other.ask(action="follow", scope="all")
    await start(client, "a", steps=20)
    await start(other, "b")
    assert (await other.ask(action="unfollow", scope="all"))["tasks"] == []
    engine.thaw()
    await client.ends("a")
    listed: dict[str, str] = {}
    while listed.get("b") != "completed":
        listed = {t["task_id"]: t["state"] for t in (await other.ask(action="list"))["tasks"]}
    assert not [m for m in other.seen if is_end(m)]


async def test_many_at_once_arrive_in_order_everywhere(client: WireClient, other: WireClient) -> None:
    await other.ask(action="follow", scope="all")
    names = [f"t{i}" for i in range(25)]
    for name in names:
        await client.send(action="generate", prompt=name, task_id=name, steps=1)
    await client.ends(*names)
    await other.ends(*names)
    for each in (client, other):
        seqs = [m["seq"] for m in stored(each)]
        assert seqs == sorted(set(seqs))
    assert stored(client) == stored(other)


# List


async def test_list_pages_through_everything_once(client: WireClient) -> None:
    names = [f"t{i}" for i in range(7)]
    for name in names:
        await start(client, name, steps=1)
    await client.ends(*names)
    found, after = [], None
    pages = 0
    while True:
        page = await client.ask(action="list", limit=3, **({} if after is None else {"cursor": after}))
        assert page["type"] == "tasks"
        found += [task["task_id"] for task in page["tasks"]]
        pages += 1
        after = page.get("next")
        if after is None:
            break
    assert (found, pages) == (names[::-1], 3)
    exactly = await client.ask(action="list", limit=7)
    assert "next" not in exactly, "a full last page is still the last one"


async def test_list_filters_and_tells_all(client: WireClient, engine: Recorder) -> None:
    await make(client, "done", steps=1, metadata={"album": 3})
    await start(client, "bad", prompt="x demo:error")
    await client.ends("bad")
    engine.faults = Faults(freeze=1)
    await start(client, "run")
    await start(client, "wait", "gone")
    await client.ask(action="cancel", task_id="gone")
    await client.ends("gone")
    states = {}
    for state in ("unfinished", "completed", "failed", "cancelled", "expired"):
        page = await client.ask(action="list", state=state)
        states[state] = [task["task_id"] for task in page["tasks"]]
    assert states == {
        "unfinished": ["wait", "run"],
        "completed": ["done"],
        "failed": ["bad"],
        "cancelled": ["gone"],
        "expired": [],
    }
    tasks = {task["task_id"]: task for task in (await client.ask(action="list"))["tasks"]}
    assert tasks["done"]["metadata"] == {"album": 3}
    assert tasks["done"]["params"]["prompt"] == "done"
    assert tasks["bad"]["code"] == "upstream_out_of_memory"
    assert tasks["bad"]["failed"] == [0]
    assert tasks["gone"]["cancelled"] == [0]
    assert tasks["done"]["created"] <= tasks["done"]["ended"]
    [image] = tasks["done"]["data"]
    assert image == client.of("done", "result")[0]["data"]["data"][0]
    assert (await client.ask(action="list", state="nonsense"))["type"] == "error"
    engine.thaw()


async def test_a_page_that_lists_and_resumes_misses_nothing(client: WireClient, other: WireClient) -> None:
    await make(client, "a", steps=1)
    await start(client, "b", steps=20)
    page = await other.ask(action="list")
    await client.ends("b")
    await other.ask(action="resume", after=page["cursor"], scope="all")
    await other.ends("b")
    assert {m["task_id"] for m in stored(other)} == {"b"}


# Delete


async def test_delete_forgets_task_and_image_and_tells_everybody(
    client: WireClient, other: WireClient, tmp_path: Path
) -> None:
    await make(client, "a", "b", steps=1)
    url = client.of("a", "result")[0]["data"]["data"][0]["url"]
    before = cursor(client)
    async with aiohttp.ClientSession() as http:
        async with http.get(url) as response:
            assert response.status == 200
        assert (await client.ask(action="delete", task_id="a"))["tasks"] == [{"task_id": "a", "was": "completed"}]
        async with http.get(url) as response:
            assert response.status == 404
    notice = await other.until(lambda m: m["type"] == "notice")
    assert (notice["kind"], notice["task_id"]) == ("deleted", "a")
    assert [t["task_id"] for t in (await other.ask(action="list"))["tasks"]] == ["b"]
    assert (await client.ask(action="delete", task_id="a"))["tasks"] == [{"task_id": "a", "was": "unknown"}]
    assert len(list((tmp_path / "data" / "outputs").glob("*/*"))) == 1
    # Who has seen its end misses nothing; who has not is told that there is a gap.
    assert (await other.ask(action="resume", after=before, scope="all"))["recovered"] is True
    await other.ask(action="unfollow", scope="all")
    assert (await other.ask(action="resume", after=before.split(":")[0] + ":0", scope="all"))["recovered"] is False
    answer = await other.ask(action="resume", after=before.split(":")[0] + ":0", tasks=["a", "b"])
    assert (answer["recovered"], answer["unknown"]) == (True, ["a"])


async def test_an_unfinished_one_is_not_deleted(client: WireClient) -> None:
    await start(client, "a", steps=40)
    answer = await client.ask(action="delete", task_id="a")
    assert (answer["type"], answer["code"], answer["field"]) == ("error", "task_unfinished", "task_id")
    assert (await client.ends("a"))["a"]["type"] == "result"


async def test_the_id_of_a_deleted_one_is_new(client: WireClient, engine: Recorder) -> None:
    await make(client, "a", steps=1)
    await client.ask(action="delete", task_id="a")
    client.seen[1:] = []
    await make(client, "a", steps=2)
    assert len(engine.posts) == 2
    assert [t["params"]["steps"] for t in (await client.ask(action="list"))["tasks"]] == [2]


async def test_the_same_id_again_after_the_end_replays_it(client: WireClient, other: WireClient) -> None:
    await make(client, "a", steps=1)
    ack = await other.ask(action="generate", prompt="a", task_id="a", steps=1)
    assert ack["state"] == "completed"
    await other.ends("a")
    assert stored(other) == stored(client)
    refused = await other.ask(action="generate", prompt="another", task_id="a", steps=1)
    assert refused["code"] == "task_id_conflict"


# Restart, and what a cap forgets


async def test_a_restart_keeps_epoch_cursors_and_history(emulate: Serve, engine: Recorder, tmp_path: Path) -> None:
    settings = {"xinference_url": await emulate(engine), "default_size": "64x64"}
    async with one_life(settings, tmp_path) as client:
        await make(client, "a", "b", steps=1)
        before, events = cursor(client), stored(client)
    async with one_life(settings, tmp_path) as client:
        welcome = client.seen[0]
        assert welcome["epoch"] == before.split(":")[0]
        assert welcome["cursor"] == before, "nothing was stored since"
        assert (await client.ask(action="resume", after=before, scope="all"))["recovered"] is True
        assert stored(client) == []
        await make(client, "c", steps=1)
        assert min(m["seq"] for m in client.of("c", *STORED)) == int(before.split(":")[1]) + 1
    async with one_life({**settings, "history_bytes": 0}, tmp_path) as client:
        epoch = client.seen[0]["epoch"]
        page = {"tasks": [1]}
        while page["tasks"]:
            page = await client.ask(action="list")
        answer = await client.ask(action="resume", after=before, scope="all")
        assert answer["recovered"] is False, "below the floor"
        answer = await client.ask(action="resume", after=f"{epoch}:{welcome['cursor'].split(':')[1]}", scope="all")
        assert answer["recovered"] is False
        # The files go after their rows.
        await eventually(lambda: not list((tmp_path / "data" / "outputs").glob("*/*")))
    assert events


@asynccontextmanager
async def one_life(settings: Json, tmp_path: Path) -> AsyncIterator[WireClient]:
    """Give a client of a server that is stopped at the end of the block."""
    known = {"port": 0, "data_dir": str(tmp_path / "data"), "drain": 0.0, **settings}
    async with serving(Settings(**known), demo=False) as (url, _), WireClient.connect(url) as client:
        yield client
