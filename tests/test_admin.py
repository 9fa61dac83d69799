"""What admins do for others, and that nobody else can: cancel, drain, and the log of it."""

import json
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from clients import Recorder, WireClient, eventually, painter
from conftest import Serve
from server_process import launch
from streams import unfinished
from xinflight.demo import Emulator, Faults
from xinflight.gateway import Gateway

pytest_plugins = ["shared_fixtures"]

ANN, BOB, BOSS = {"X-User": "ann"}, {"X-User": "bob"}, {"X-User": "boss"}


@pytest.fixture
def engine() -> Recorder:
    """Give an engine whose images wait to be thawed."""
    engine = Recorder([painter()])
    engine.faults = Faults(freeze=1)
    return engine


async def connect(stack: AsyncExitStack, base: str, user: dict[str, str]) -> WireClient:
    return await stack.enter_async_context(WireClient.connect(base, headers=user))


async def post(http: aiohttp.ClientSession, path: str, user: dict[str, str], **query: str) -> tuple[int, Any]:
    async with http.post(path, headers=user, params=query) as response:
        body = await response.read()
        return response.status, json.loads(body) if body else None


async def test_an_admin_cancels_anybodys(
    shared: tuple[str, Gateway],
    http: aiohttp.ClientSession,
    stack: AsyncExitStack,
    engine: Recorder,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One image, a task, or all of one owner, over both APIs; the owner sees the end as ever."""
    base, gateway = shared
    ann, bob, boss = [await connect(stack, base, user) for user in (ANN, BOB, BOSS)]
    for client in (ann, bob):
        for task_id in ("a", "b", "c"):
            await client.ask(action="generate", prompt="boat", task_id=task_id, n=2)
    capsys.readouterr()
    (told,) = (await boss.ask(action="cancel", owner="ann", task_id="b"))["tasks"]
    assert (told["task_id"], told["was"]) == ("b", "queued")
    assert (await post(http, "/api/v1/tasks/c/cancel", BOSS, owner="ann"))[1]["was"] == "queued"
    ends = await ann.ends("b", "c")
    assert {end["type"] for end in ends.values()} == {"cancelled"}
    await ann.has(lambda m: m["type"] == "progress" and m["task_id"] == "a" and m["state"] == "running")
    await boss.ask(action="cancel", owner="ann", task_id="a", index=1)
    answer = await boss.ask(action="cancel", owner="ann", scope="all")
    assert [task["task_id"] for task in answer["tasks"]] == ["a"]
    await eventually(lambda: engine.aborts)
    # Once: what comes after it stands still again.
    Emulator.thaw(engine)
    await ann.ends("a")
    assert (unfinished(gateway, "ann"), unfinished(gateway, "bob")) == (0, 3)
    lines = [line for line in capsys.readouterr().out.splitlines() if "admin action" in line]
    assert len(lines) == 4
    assert all("admin=boss" in line and "action=cancel" in line and "owner=ann" in line for line in lines)


async def test_without_an_owner_an_admin_acts_for_itself(shared: tuple[str, Gateway], stack: AsyncExitStack) -> None:
    base, gateway = shared
    ann, boss = await connect(stack, base, ANN), await connect(stack, base, BOSS)
    await ann.ask(action="generate", prompt="boat", task_id="a")
    assert (await boss.ask(action="cancel", task_id="a"))["tasks"][0]["was"] == "unknown"
    assert (await boss.ask(action="cancel", scope="all"))["tasks"] == []
    assert unfinished(gateway, "ann") == 1


async def test_nobody_else_acts_for_others_or_learns_who_there_is(
    shared: tuple[str, Gateway], http: aiohttp.ClientSession, stack: AsyncExitStack
) -> None:
    base, gateway = shared
    ann, bob = await connect(stack, base, ANN), await connect(stack, base, BOB)
    await ann.ask(action="generate", prompt="boat", task_id="a")
    refusals = []
    for owner in ("ann", "nobody", "bob"):
        for request in ({"task_id": "a"}, {"task_id": "z"}, {"scope": "all"}):
            refusal = await bob.ask(action="cancel", owner=owner, **request)
            refusals.append({name: refusal[name] for name in ("type", "code", "field", "message")})
        status, problem = await post(http, "/api/v1/tasks/a/cancel", BOB, owner=owner)
        assert (status, problem["code"], problem["field"]) == (403, "forbidden", "owner")
    assert [refusal["code"] for refusal in refusals] == ["forbidden"] * 9
    assert all(refusal == refusals[0] for refusal in refusals)
    assert unfinished(gateway, "ann") == 1


async def test_an_owner_that_is_not_there_has_nothing(
    shared: tuple[str, Gateway], http: aiohttp.ClientSession, stack: AsyncExitStack
) -> None:
    boss = await connect(stack, shared[0], BOSS)
    assert (await boss.ask(action="cancel", owner="nobody", task_id="a"))["tasks"][0]["was"] == "unknown"
    assert (await post(http, "/api/v1/tasks/a/cancel", BOSS, owner="nobody"))[0] == 404


@pytest.mark.parametrize("owner", ["", "a" * 129, "a" * 10_000, "a\nadmin=x", "\x1b[31m", "\u202e", " ann"])
async def test_an_owner_that_can_not_be_is_refused(
    shared: tuple[str, Gateway],
    http: aiohttp.ClientSession,
    stack: AsyncExitStack,
    capsys: pytest.CaptureFixture[str],
    owner: str,
) -> None:
    """And is not logged: what a client says must not forge a line."""
    boss = await connect(stack, shared[0], BOSS)
    assert (await boss.ask(action="cancel", owner=owner, task_id="a"))["code"] == "out_of_bounds"
    assert (await post(http, "/api/v1/tasks/a/cancel", BOSS, owner=owner[:4000]))[1]["code"] == "out_of_bounds"
    assert "admin action" not in capsys.readouterr().out


async def test_an_admin_moves_anybodys_among_its_owners(
    shared: tuple[str, Gateway], http: aiohttp.ClientSession, stack: AsyncExitStack
) -> None:
    base, _ = shared
    ann, boss = await connect(stack, base, ANN), await connect(stack, base, BOSS)
    for task_id in ("a", "b", "c", "d"):
        await ann.ask(action="generate", prompt="boat", task_id=task_id)
    assert (await boss.ask(action="move", owner="ann", task_id="d", to="first"))["type"] == "ok"
    async with http.post(
        "/api/v1/tasks/c/move", params={"owner": "ann"}, json={"before": "d"}, headers=BOSS
    ) as moved:
        assert moved.status == 200
    async with http.post(
        "/api/v1/tasks/c/move", params={"owner": "ann"}, json={"to": "last"}, headers=BOB
    ) as refused:
        assert refused.status == 403
    assert (await boss.ask(action="move", task_id="d", to="first"))["code"] == "not_found"
    assert [entry["task_id"] for entry in (await whole(http))["waiting"]] == ["c", "d", "b"]


async def whole(http: aiohttp.ClientSession, user: dict[str, str] = BOSS, **query: str) -> Any:
    async with http.get("/api/v1/admin/queue", headers=user, params=query) as response:
        assert response.status == 200
        return await response.json()


async def test_an_admin_pauses_anybodys_and_cancels_all_of_one(
    shared: tuple[str, Gateway],
    http: aiohttp.ClientSession,
    stack: AsyncExitStack,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Over both APIs; the owner is told, and may end the pause."""
    base, gateway = shared
    ann, bob, boss = [await connect(stack, base, user) for user in (ANN, BOB, BOSS)]
    for client in (ann, bob):
        for task_id in ("a", "b", "c"):
            await client.ask(action="generate", prompt="boat", task_id=task_id)
    capsys.readouterr()
    assert (await post(http, "/api/v1/tasks/c/pause", BOSS, owner="ann"))[1]["was"] == "queued"
    await ann.has(lambda m: m["type"] == "progress" and m["task_id"] == "c" and m["step"] == "paused")
    (held,) = (await boss.ask(action="pause", scope="all", owner="ann"))["tasks"][-1:]
    assert held["task_id"] == "b"
    for owner in ("ann", "nobody"):
        status, problem = await post(http, "/api/v1/tasks/unpause", BOB, owner=owner)
        assert (status, problem["code"], problem["field"]) == (403, "forbidden", "owner")
    assert (await bob.ask(action="unpause", scope="all", owner="ann"))["code"] == "forbidden"
    assert "ann" in gateway._pools.paused_owners
    assert "boss" not in gateway._pools.paused_owners
    assert (await ann.ask(action="unpause", scope="all"))["type"] == "ok"
    assert [
        task["task_id"] for task in (await post(http, "/api/v1/tasks/cancel", BOSS, owner="ann"))[1]["tasks"]
    ] == [
        "a",
        "b",
        "c",
    ]
    assert (await post(http, "/api/v1/tasks/cancel", BOB, owner="ann"))[0] == 403
    assert unfinished(gateway, "bob") == 3
    lines = [line for line in capsys.readouterr().out.splitlines() if "admin action" in line]
    assert [line.count("owner=ann") for line in lines] == [1, 1, 1]
    assert ["action=pause" in lines[0], "action=pause" in lines[1], "action=cancel" in lines[2]] == [True] * 3


# The queue of everybody


async def test_an_admin_sees_the_work_of_all_and_not_what_it_is_about(
    shared: tuple[str, Gateway], http: aiohttp.ClientSession, stack: AsyncExitStack
) -> None:
    """Running first, then what waits in the order in which it will run; owners take turns; no paused work."""
    base, _ = shared
    ann, bob = await connect(stack, base, ANN), await connect(stack, base, BOB)
    secret = {"prompt": "a secret", "negative_prompt": "a secret", "metadata": "a secret"}
    await ann.ask(action="generate", task_id="a", **secret)
    await ann.until(lambda message: message.get("state") == "running")
    await ann.ask(action="generate", task_id="b", n=2, priority=3, **secret)
    await bob.ask(action="generate", task_id="a", **secret)
    await bob.ask(action="generate", task_id="held", **secret)
    await bob.ask(action="pause", task_id="held")
    seen = await whole(http)
    (running,) = seen["running"]
    assert {name: running[name] for name in ("owner", "task_id", "index", "pool", "model", "state")} == {
        "owner": "ann",
        "task_id": "a",
        "index": 0,
        "pool": "painter",
        "model": "painter",
        "state": "running",
    }
    waiting = [(entry["owner"], entry["task_id"], entry["index"], entry.get("position")) for entry in seen["waiting"]]
    assert waiting == [("bob", "a", 0, 1), ("ann", "b", 0, 2), ("ann", "b", 1, 3)]
    assert [entry.get("priority", 0) for entry in seen["waiting"]] == [0, 3, 3]
    assert (seen["running_count"], seen["waiting_count"], "next" in seen) == (1, 3, False)
    bobs = await whole(http, owner="bob")
    assert [(entry["task_id"], entry["step"]) for entry in bobs["waiting"]] == [("a", "queued"), ("held", "paused")]
    assert (bobs["running"], bobs["waiting_count"]) == ([], 2)
    assert "secret" not in str((seen, bobs))


async def test_the_queue_of_one_comes_in_pages_that_lose_nothing(
    shared: tuple[str, Gateway], http: aiohttp.ClientSession, stack: AsyncExitStack
) -> None:
    """What is left of the page before, or comes to the front meanwhile, neither hides nor repeats anything."""
    ann = await connect(stack, shared[0], ANN)
    for number in range(6):
        await ann.ask(action="generate", prompt="boat", task_id=f"t{number}")
    assert [entry["task_id"] for entry in (await whole(http, limit="3"))["waiting"]] == ["t1", "t2", "t3"]
    first = await whole(http, limit="3", owner="ann")
    assert [entry["task_id"] for entry in first["waiting"]] == ["t1", "t2", "t3"]
    assert [entry["position"] for entry in first["waiting"]] == [1, 2, 3]
    await ann.ask(action="cancel", task_id="t1")
    await ann.ask(action="cancel", task_id="t3")
    await ann.ask(action="generate", prompt="boat", task_id="urgent", priority=5)
    second = await whole(http, limit="3", owner="ann", cursor=first["next"])
    assert ([entry["task_id"] for entry in second["waiting"]], "next" in second) == (["t4", "t5"], False)
    assert second["waiting_count"] == 4
    assert (await whole(http, owner="nobody"))["waiting"] == []
    for query in ({"limit": "0"}, {"limit": "201"}, {"cursor": "x"}, {"cursor": "1~2"}, {"owner": ""}):
        async with http.get("/api/v1/admin/queue", headers=BOSS, params=query) as response:
            assert response.status == 422


# Drain


async def test_only_an_admin_drains(
    shared: tuple[str, Gateway], http: aiohttp.ClientSession, engine: Recorder, stack: AsyncExitStack
) -> None:
    """What runs is finished, everybody is told, nothing new is accepted; the host's process lives on."""
    base, gateway = shared
    assert (await post(http, "/api/v1/admin/drain", ANN))[0] == 403
    assert (await post(http, "/api/v1/admin/drain", {}))[0] == 401
    assert not gateway.draining
    ann = await connect(stack, base, ANN)
    assert await post(http, "/api/v1/admin/drain", BOSS) == (202, None)
    notice = await ann.until(lambda message: message["type"] == "notice")
    assert notice["kind"] == "draining"
    await ann.closed()
    assert ann.ws.close_code == 1012
    for path, status in (("/readyz", 503), ("/healthz", 200)):
        async with http.get(path) as response:
            assert (response.status, (await response.json())["status"]) == (status, "draining")
    async with http.post("/api/v1/tasks", json={"prompt": "boat"}, headers=ANN) as response:
        assert (response.status, (await response.json(content_type=None))["code"]) == (503, "shutting_down")
    assert await post(http, "/api/v1/admin/drain", BOSS) == (202, None)


@pytest.mark.process
async def test_a_drained_server_exits_once_what_runs_is_finished(
    tmp_path: Path, engine: Recorder, emulate: Serve, stack: AsyncExitStack
) -> None:
    server = await launch(tmp_path, await emulate(engine), drain=60)
    await server.up()
    client = await stack.enter_async_context(WireClient.connect(server.url))
    await client.ask(action="generate", prompt="boat", task_id="a")
    await client.until(lambda message: message.get("state") == "running")
    async with aiohttp.ClientSession() as session, session.post(f"{server.url}api/v1/admin/drain") as response:
        assert response.status == 202
    await client.until(lambda message: message["type"] == "notice" and message["kind"] == "draining")
    engine.thaw()
    assert (await client.ends("a"))["a"]["type"] == "result"
    assert await server.ended() == 0
    assert any("admin action" in line and "drain" in line for line in server.log)


async def test_what_is_only_for_the_caller_takes_no_owner(http: aiohttp.ClientSession) -> None:
    """An admin who deletes a task of `ann` would otherwise have deleted the admin's own."""
    for path in ("/api/v1/shares", "/api/v1/tasks/a/mark", "/api/v1/tasks/a/outputs/0/restore"):
        status, problem = await post(http, path, BOSS, owner="ann")
        assert (status, problem["code"], problem["field"]) == (403, "forbidden", "owner"), path
    async with http.delete("/api/v1/tasks/a", headers=BOSS, params={"owner": "ann"}) as response:
        assert response.status == 403
