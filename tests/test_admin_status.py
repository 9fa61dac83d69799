"""What admins see of the server and of its owners: slots, shares, who waits, what failed, and how Xinference is."""

from collections import Counter
from contextlib import AsyncExitStack
from random import Random
from typing import Any

import aiohttp
import pytest

from clients import FakeClock, Recorder, WireClient, eventually, painter
from factories import make_task
from scripted_gateway import ScriptedGateway, turns
from streams import shared_server
from xinflight.demo import Faults
from xinflight.gateway import Gateway
from xinflight.protocol import ListQueue, UpstreamState
from xinflight.tasks.active_tasks import ActiveTasks
from xinflight.tasks.failures import Failures
from xinflight.tasks.fair_shares import FairShares
from xinflight.tasks.runs import ActiveTask

pytest_plugins = ["shared_fixtures"]

BOSS = {"X-User": "boss"}


@pytest.fixture
def engine() -> Recorder:
    """Give an engine with two replicas whose images wait to be thawed."""
    engine = Recorder([painter(replicas=2)])
    engine.faults = Faults(freeze=1)
    return engine


async def connect(stack: AsyncExitStack, base: str, owner: str) -> WireClient:
    return await stack.enter_async_context(WireClient.connect(base, headers={"X-User": owner}))


async def ask(http: aiohttp.ClientSession, what: str, **query: str) -> Any:
    async with http.get(f"/api/v1/admin/{what}", headers=BOSS, params=query) as response:
        assert response.status == 200, await response.text()
        return await response.json()


async def test_an_admin_is_told_to_be_one(shared: tuple[str, Gateway], stack: AsyncExitStack) -> None:
    for owner, admin in (("ann", None), ("boss", True)):
        assert (await connect(stack, shared[0], owner)).seen[0].get("admin") is admin


async def test_who_waits_with_counts_and_shares(
    shared: tuple[str, Gateway], http: aiohttp.ClientSession, stack: AsyncExitStack
) -> None:
    """By name, in pages; nobody who has ended everything, and no share for who does not wait."""
    base, _ = shared
    ann, bob, carol = [await connect(stack, base, owner) for owner in ("ann", "bob", "carol")]
    await carol.ask(action="generate", prompt="boat", task_id="a")
    await carol.until(lambda message: message.get("state") == "running")
    await ann.ask(action="generate", prompt="boat", task_id="a", n=4)
    await ann.until(lambda message: message.get("state") == "running")
    await bob.ask(action="generate", prompt="boat", task_id="a", n=2)
    await bob.ask(action="generate", prompt="boat", task_id="held")
    await bob.ask(action="pause", task_id="held")
    seen = (await ask(http, "owners"))["owners"]
    assert [(owner["owner"], owner["pools"]) for owner in seen] == [
        ("ann", [{"pool": "painter", "tasks": 1, "running": 1, "waiting": 3, "share": 0.5}]),
        ("bob", [{"pool": "painter", "tasks": 2, "waiting": 2, "paused": 1, "share": 0.5}]),
        ("carol", [{"pool": "painter", "tasks": 1, "running": 1}]),
    ]
    assert [owner["connections"] for owner in seen] == [1, 1, 1]
    assert [owner.get("paused", False) for owner in seen] == [False] * 3
    first = await ask(http, "owners", limit="2")
    assert ([owner["owner"] for owner in first["owners"]], first["next"]) == (["ann", "bob"], "bob")
    # Who comes and goes before it does not move the next page.
    await ann.ask(action="cancel", scope="all")
    second = await ask(http, "owners", limit="2", cursor=first["next"])
    assert ([owner["owner"] for owner in second["owners"]], "next" in second) == (["carol"], False)
    assert [owner["owner"] for owner in (await ask(http, "owners", prefix="b"))["owners"]] == ["bob"]
    await bob.ask(action="pause", scope="all")
    (bobs,) = (await ask(http, "owners", prefix="bob"))["owners"]
    assert bobs["paused"] is True
    assert bobs["pools"] == [{"pool": "painter", "tasks": 2, "paused": 2}]


async def test_the_slots_of_each_model_and_what_keeps_them(
    shared: tuple[str, Gateway], http: aiohttp.ClientSession, stack: AsyncExitStack, engine: Recorder
) -> None:
    """A request that nobody waits for any more keeps its slot, and is told apart."""
    ann = await connect(stack, shared[0], "ann")
    await ann.ask(action="generate", prompt="boat", task_id="a", n=4, timeout=3600)
    await eventually(lambda: len(engine.prompts) == 2)
    status = await ask(http, "status")
    assert status["pools"] == [
        {
            "pool": "painter",
            "models": [{"model": "painter", "replicas": 2, "slots": 2, "busy": 2}],
            "tasks": 1,
            "waiting": 2,
            "owners": 1,
        }
    ]
    gateway = shared[1]
    (runner,) = [each for each in gateway._pools.runners() if each.pool == "painter"]
    # As its timeout does: the output ends, its request does not.
    for run, _, _ in runner.in_slots[:1]:
        runner._cancellation.expire(run.active)
    (pool,) = (await ask(http, "status"))["pools"]
    assert pool["models"][0]["quarantined"] == 2
    queue = await ask(http, "queue")
    assert [(entry["state"], entry["quarantined"]) for entry in queue["running"]] == [("expired", True)] * 2
    assert all(entry["elapsed"] >= 0 for entry in queue["running"])


async def test_a_request_of_before_a_restart_keeps_its_slot() -> None:
    async with ScriptedGateway.begin() as gateway:
        for task_id in ("a", "old"):
            await gateway.submit(task_id=task_id, model="m")
        await turns()
        (runner,) = [each for each in gateway.pools.runners() if each.pool == "m"]
        (run,) = [run for run in runner.positions.first(9) if run.task.task_id == "old"]
        # As the recovery does when it finds that the request may still run.
        runner._slots.occupy(run, "m")
        seen = (await gateway.queue.of_everybody(ListQueue())).running
        assert [(entry.task_id, entry.quarantined) for entry in seen] == [("a", False), ("old", True)]
        (models,) = [pool.models for pool in gateway.queue.pools() if pool.pool == "m"]
        assert [(model.busy, model.quarantined) for model in models] == [(2, 1)]
        runner._slots.free(run, "m")
        assert len((await gateway.queue.of_everybody(ListQueue())).running) == 1


async def test_what_failed_is_counted_by_code(
    shared: tuple[str, Gateway], http: aiohttp.ClientSession, stack: AsyncExitStack, engine: Recorder
) -> None:
    engine.faults = Faults(error="the pipeline broke")
    ann = await connect(stack, shared[0], "ann")
    await ann.ask(action="generate", prompt="boat", task_id="a", n=2)
    end = (await ann.ends("a"))["a"]
    (failure,) = (await ask(http, "status"))["failures"]
    assert (failure["pool"], failure["code"]) == ("painter", end["code"])
    assert (failure["requests"], failure["outputs"]) == (2, 2)
    assert failure["last"] <= (await ask(http, "status"))["timestamp"]


async def test_since_when_and_why_xinference_is_away(
    shared: tuple[str, Gateway], http: aiohttp.ClientSession
) -> None:
    gateway = shared[1]
    well = (await ask(http, "status"))["upstream"]
    assert (well["state"], well.get("cure", ""), well.get("cause", "")) == ("ready", "", "")
    assert well["server"] == gateway.settings.xinference_url.removeprefix("http://").rstrip("/")
    upstream = gateway.upstream
    for before in (0.0, well["since"] + 1000.0):
        # The time is that of the change, not that of a later look.
        upstream.since = before
        upstream._update(UpstreamState.UNREACHABLE, upstream.models, upstream.unsuitable, "no route to host")
    assert upstream.since == well["since"] + 1000.0
    upstream._update(UpstreamState.READY, upstream.models, upstream.unsuitable)
    assert well["since"] <= upstream.since < well["since"] + 1000.0
    upstream._update(UpstreamState.UNREACHABLE, upstream.models, upstream.unsuitable, "no route to host")
    away = (await ask(http, "status", lang="zh-CN"))["upstream"]
    assert (away["state"], away["cause"]) == ("unreachable", "no route to host")
    assert away["since"] >= well["since"]
    assert away["cure"] != (await ask(http, "status"))["upstream"]["cure"]


async def test_the_address_of_xinference_is_told_without_its_password() -> None:
    async with (
        shared_server(xinference_url="http://name:secret@127.0.0.1:9") as (base, _),
        aiohttp.ClientSession(base) as http,
    ):
        status = await ask(http, "status")
    assert status["upstream"]["server"] == "127.0.0.1:9"
    assert "secret" not in str(status)


# Parts


async def test_failures_are_forgotten_after_an_hour() -> None:
    clock = FakeClock()
    failures = Failures(clock)
    failures.request_failed("painter", "upstream_died")
    await clock.advance(3500.0)
    failures.output_failed("painter", "upstream_died")
    failures.request_failed("other", "upstream_busy")
    failures.request_failed("other", "upstream_busy")
    counts = [(count.pool, count.code, count.requests, count.outputs) for count in failures.recent()]
    assert counts == [("other", "upstream_busy", 2, 0), ("painter", "upstream_died", 1, 1)]
    await clock.advance(500.0)
    counts = [(count.pool, count.code, count.requests, count.outputs) for count in failures.recent()]
    assert counts == [("other", "upstream_busy", 2, 0), ("painter", "upstream_died", 0, 1)]
    await clock.advance(4000.0)
    assert failures.recent() == []
    assert failures._last == {}


def test_shares_follow_the_weights_of_those_who_wait() -> None:
    shares = FairShares()
    for owner, weight in (("ann", 1.0), ("bob", 3.0)):
        shares.begin_waiting(owner)
        shares.set_weight(owner, weight)
    assert [shares.share(owner) for owner in ("ann", "bob", "nobody")] == [0.25, 0.75, None]
    shares.set_weight("bob", 1.0)
    assert shares.share("ann") == 0.5
    shares.stop_waiting("bob")
    assert [shares.share(owner) for owner in ("ann", "bob")] == [1.0, None]


def test_owners_are_in_order_however_they_come_and_go() -> None:
    """The index of names, and the count of paused tasks, are those that a look at all tasks would find."""
    dice = Random(7)
    tasks, there = ActiveTasks(), list[ActiveTask]()
    for number in range(500):
        if there and dice.random() < 0.45:
            tasks.remove(there.pop(dice.randrange(len(there))))
        else:
            task = make_task(f"t{number}", f"owner {dice.randrange(20)}")
            task.paused = dice.random() < 0.3
            there.append(ActiveTask(task=task, sequence=number, bytes=1))
            tasks.add(there[-1])
        if there:
            tasks.pause(dice.choice(there), paused=dice.random() < 0.5)
        owners = [active.task.owner for active in there]
        assert list(tasks.owners("")) == sorted(set(owners))
        assert list(tasks.owners("owner 3")) == sorted({owner for owner in owners if owner >= "owner 3"})
        paused = Counter(active.task.owner for active in there if active.task.paused)
        assert tasks.count_paused() == paused.total()
        assert all(tasks.count_paused(owner) == paused[owner] for owner in set(owners))


# Hold


async def test_nothing_is_started_while_the_server_is_held(
    shared: tuple[str, Gateway], http: aiohttp.ClientSession, stack: AsyncExitStack, engine: Recorder
) -> None:
    """Work is accepted and waits, also for a model that comes meanwhile; what runs goes on; nobody else may do it."""
    ann = await connect(stack, shared[0], "ann")
    await ann.ask(action="generate", prompt="boat", task_id="running")
    await ann.until(lambda message: message.get("state") == "running")
    assert await hold(http, "hold", "ann") == 403
    assert await hold(http, "hold") == 204
    assert (await ask(http, "status"))["held"] is True
    await ann.ask(action="generate", prompt="boat", task_id="later")
    # Whoever waits hears why nothing moves.
    await ann.until(lambda message: message["type"] == "queue" and message.get("held") is True)
    engine.launch(painter(uid="fresh"))
    gateway = shared[1]
    await gateway.upstream._probe()
    await eventually(lambda: any(runner.pool == "fresh" for runner in gateway._pools.runners()))
    await ann.ask(action="generate", prompt="boat", task_id="fresh", model="fresh")
    engine.faults = Faults()
    engine.thaw()
    assert (await ann.ends("running"))["running"]["type"] == "result"
    seen = await ask(http, "queue")
    assert (seen["running"], {entry["task_id"] for entry in seen["waiting"]}) == ([], {"later", "fresh"})
    assert len(engine.prompts) == 1
    assert await hold(http, "release") == 204
    await ann.until(lambda message: message["type"] == "queue" and "held" not in message)
    ends = await ann.ends("later", "fresh")
    assert {end["type"] for end in ends.values()} == {"result"}
    assert "held" not in await ask(http, "status")


async def hold(http: aiohttp.ClientSession, what: str, owner: str = "boss") -> int:
    async with http.post(f"/api/v1/admin/{what}", headers={"X-User": owner}) as response:
        return response.status
