"""A group is a name that several tasks share: what is listed and cancelled by it, and that it means nothing else."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from clients import Json, Recorder, WireClient, eventually, painter
from conftest import Front, Serve
from factories import accept, append, draw, end, ids, make_task, result
from streams import shared_server, unfinished
from xinflight.cli import serving
from xinflight.demo import Faults
from xinflight.protocol import State
from xinflight.settings import Settings
from xinflight.storage import Store

ANN, BOB, BOSS = {"X-User": "ann"}, {"X-User": "bob"}, {"X-User": "boss"}


@pytest.fixture
async def engine() -> AsyncIterator[Recorder]:
    """Give an engine whose images wait to be thawed, until the test is over."""
    engine = Recorder([painter(replicas=2)])
    engine.faults = Faults(freeze=0)
    yield engine
    go_on(engine)


@pytest.fixture
async def http(server: str) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(server) as session:
        yield session


def go_on(engine: Recorder) -> None:
    engine.faults = Faults()
    engine.thaw()


async def listed(client: WireClient, **which: Any) -> list[str]:
    return [task["task_id"] for task in (await client.ask(action="list", **which))["tasks"]]


async def generate(client: WireClient, **tasks: str | None) -> None:
    """Start a task under each name, in this group or in none."""
    for task_id, group in tasks.items():
        ack = await client.ask(action="generate", prompt="boat", task_id=task_id, group=group)
        assert ack["params"].get("group") == group


def states(tasks: list[Json]) -> dict[str, str]:
    return {task["task_id"]: task["was"] for task in tasks}


async def test_a_cancel_of_a_group_ends_what_runs_and_what_waits_of_it(engine: Recorder, client: WireClient) -> None:
    await generate(client, a="red", b="blue", c="red", d=None, e="red")
    await eventually(lambda: len(engine.posts) == 2)
    answer = await client.ask(action="cancel", group="red")
    assert states(answer["tasks"]) == {"a": "starting", "c": "queued", "e": "queued"}
    await eventually(lambda: engine.aborts)
    go_on(engine)
    ends = await client.ends("a", "b", "c", "d", "e")
    told = {task_id: end.get("upstream", end["type"]) for task_id, end in ends.items()}
    assert told == {"a": "stopped", "b": "result", "c": "never_started", "d": "result", "e": "never_started"}
    assert (await client.ask(action="cancel", group="red"))["tasks"] == [], "what has ended is not unfinished"


async def test_a_cancel_of_a_group_spares_what_is_excepted(engine: Recorder, client: WireClient) -> None:
    await generate(client, a="red", b="red", c=None)
    answer = await client.ask(action="cancel", group="red", **{"except": ["b", "zzz"]})
    assert states(answer["tasks"]).keys() == {"a"}
    go_on(engine)
    ends = await client.ends("a", "b", "c")
    assert {task_id: end["type"] for task_id, end in ends.items()} == {"a": "cancelled", "b": "result", "c": "result"}


async def test_a_cancel_of_a_group_waits_for_what_is_being_stored(engine: Recorder, client: WireClient) -> None:
    """A script that sends both without waiting for an `ack` means the tasks that it has just sent."""
    for number in range(3):
        await client.send(action="generate", prompt="boat", task_id=f"t{number}", group="red")
    answer = await client.ask(action="cancel", group="red")
    assert states(answer["tasks"]).keys() == {"t0", "t1", "t2"}
    go_on(engine)
    await client.ends("t0", "t1", "t2")


async def test_groups_over_rest(engine: Recorder, client: WireClient, http: aiohttp.ClientSession) -> None:
    for task_id, group in (("a", "red"), ("b", "blue"), ("c", "red")):
        body = {"prompt": "boat", "task_id": task_id, "group": group}
        async with http.post("/api/v1/tasks", json=body) as response:
            assert (await response.json())["params"]["group"] == group
    async with http.get("/api/v1/tasks", params={"group": "red", "limit": "1"}) as response:
        page = await response.json()
        assert [task["task_id"] for task in page["tasks"]] == ["c"]
        following = str(response.links["next"]["url"])
    assert "group=red" in following
    async with http.get(following) as response:
        page = await response.json()
        assert ([task["task_id"] for task in page["tasks"]], page.get("next")) == (["a"], None)
    for expected in ({"a", "c"}, set()):
        async with http.post("/api/v1/groups/red/cancel") as response:
            assert response.status == 200
            assert states((await response.json())["tasks"]).keys() == expected
        go_on(engine)
        await client.ask(action="follow", scope="all", after=f"{client.seen[0]['epoch']}:0")
        await client.ends("a", "c")
    assert await listed(client, group="red", state="cancelled") == ["c", "a"]
    assert await listed(client, group="red", state="unfinished") == []
    assert await listed(client, group="blue") == ["b"]
    assert await listed(client, group="re") == []


@pytest.mark.parametrize("group", ["a%20b", "%3Cb%3E", "g" * 65, "%0a", "%D1%8F"])
async def test_what_no_group_can_be_called(http: aiohttp.ClientSession, group: str) -> None:
    async with http.post(f"/api/v1/groups/{group}/cancel") as response:
        problem = await response.json()
        assert (response.status, problem["code"], problem["field"]) == (422, "out_of_bounds", "group")
        assert problem["limit"] == "1 to 64 of A-Z a-z 0-9 . _ : ~ -"


async def test_the_group_is_part_of_what_an_id_stands_for(engine: Recorder, client: WireClient) -> None:
    await generate(client, a="red")
    again = await client.ask(action="generate", prompt="boat", task_id="a", group="red")
    assert again["type"] == "ack"
    other = await client.ask(action="generate", prompt="boat", task_id="a", group="blue")
    assert (other["code"], other["field"]) == ("task_id_conflict", "task_id")
    go_on(engine)
    await client.ends("a")


async def test_a_group_outlives_a_restart(
    engine: Recorder, emulate: Serve, tmp_path: Path, stack: AsyncExitStack
) -> None:
    """What waits of it can be cancelled by its name afterwards, and what ended is listed."""
    url = await emulate(engine)
    settings = Settings(port=0, data_dir=str(tmp_path), drain=0.0, xinference_url=url, default_size="64x64")
    async with serving(settings, demo=False) as (base, _), WireClient.connect(base) as client:
        await generate(client, a="red", b="blue", c="red")
        await eventually(lambda: len(engine.posts) == 2)
        await client.ask(action="cancel", task_id="a")
        await eventually(lambda: engine.aborts)
        engine.thaw()
        await client.ends("a")
    base, _ = await stack.enter_async_context(serving(settings, demo=False))
    client = await stack.enter_async_context(WireClient.connect(base))
    assert await listed(client, group="red") == ["c", "a"]
    assert states((await client.ask(action="cancel", group="red"))["tasks"]).keys() == {"c"}
    go_on(engine)
    await client.ask(action="resume", scope="all", after=f"{client.seen[0]['epoch']}:0")
    assert {name: one["type"] for name, one in (await client.ends("b", "c")).items()} == {
        "b": "result",
        "c": "cancelled",
    }


async def test_owners_have_groups_of_their_own(engine: Recorder, emulate: Serve, stack: AsyncExitStack) -> None:
    """Under one name, too; an admin cancels that of one owner."""
    async with shared_server(xinference_url=await emulate(engine)) as (base, gateway):
        ann, bob, boss = [
            await stack.enter_async_context(WireClient.connect(base, headers=user)) for user in (ANN, BOB, BOSS)
        ]
        for client in (ann, bob):
            await generate(client, a="red", b=None)
        assert (await bob.ask(action="cancel", group="red", owner="ann"))["code"] == "forbidden"
        assert (await boss.ask(action="cancel", group="red"))["tasks"] == []
        assert states((await bob.ask(action="cancel", group="red"))["tasks"]).keys() == {"a"}
        assert (unfinished(gateway, "ann"), await listed(ann, group="red")) == (2, ["a"])
        async with aiohttp.ClientSession(base) as http:
            path, query = "/api/v1/groups/red/cancel", {"owner": "ann"}
            async with http.post(path, headers=BOB, params=query) as response:
                assert response.status == 403
            async with http.post(path, headers=BOSS, params=query) as response:
                assert states((await response.json())["tasks"]).keys() == {"a"}
        go_on(engine)
        await ann.ends("a")


async def test_pages_of_a_group(store: Store) -> None:
    """In either store: by state, newest first, without the tasks of other groups and owners."""
    for number in range(12):
        task = make_task(f"t{number}", owner="bob" if number % 6 == 5 else "ann")
        task.params.group = ["red", "blue", None][number % 3]
        await store.commit([accept(task)])
        if number < 6:
            draw(task)
            end(task)
            await store.commit([append(task, result(task))])
    assert await ids(store, group="red") == ["t9", "t6", "t3", "t0"]
    assert await ids(store, group="red", states={State.COMPLETED}) == ["t3", "t0"]
    assert await ids(store, group="red", states={State.QUEUED, State.RUNNING}) == ["t9", "t6"]
    assert await ids(store, group="blue", limit=2) == ["t10", "t7"]
    third = (await store.tasks("ann", before=None, limit=3, states={State.QUEUED}, group="red"))[-1].number
    assert await ids(store, group="red", before=third) == ["t3", "t0"]
    assert await ids(store, "bob", group="red") == []
    assert await ids(store, group="green") == []


async def test_openai_clients_name_a_group(front: Front) -> None:
    engine, client = await front()
    async with aiohttp.ClientSession() as http:
        url = client.ws._response.url.origin()
        body = {"prompt": "boat", "group": "red", "size": "64x64"}
        async with http.post(f"{url}/v1/images/generations", json=body) as response:
            assert response.status == 200
    assert len(await listed(client, group="red", state="completed")) == 1
    assert engine.prompts == ["boat"]
