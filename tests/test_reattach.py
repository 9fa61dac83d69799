"""The same task id with the same content is the same task, for whoever asks, while it runs and after."""

from contextlib import AsyncExitStack
from typing import Any

from clients import Json, Recorder, WireClient, is_end
from xinflight.demo import Faults

STORED = ("accepted", "output", "result", "cancelled", "error")


async def ask(client: WireClient, task_id: str = "a", **fields: Any) -> Json:
    """Ask for the one generation of these tests."""
    return await client.ask(**{"action": "generate", "prompt": "boat", "task_id": task_id, "seed": 1, **fields})


def stored(messages: list[Json]) -> list[tuple[int, str]]:
    """Return seq and type of the stored events among messages."""
    return [(m["seq"], m["type"]) for m in messages if m["type"] in STORED and "seq" in m]


async def test_on_the_same_connection_while_it_runs(client: WireClient, engine: Recorder) -> None:
    """A second ask is answered with the state, and everything still comes once."""
    engine.faults = Faults(freeze=15, requests=1)
    await ask(client, steps=30)
    await client.until(lambda m: m["type"] == "progress" and m["progress"] > 10)
    ack = await ask(client, steps=30)
    assert (ack["type"], ack["state"]) == ("ack", "running")
    engine.thaw()
    await client.ends("a")
    assert (await client.ask(action="ping"))["type"] == "pong"
    assert [kind for _, kind in stored(client.seen)] == ["accepted", "output", "result"]
    assert len(engine.posts) == 1


async def test_on_another_connection_while_it_runs(server: str, client: WireClient, engine: Recorder) -> None:
    """What was stored is replayed after the ack, then the newest snapshot, then it is live; the first one goes on."""
    await ask(client, n=3, steps=20)
    await client.until(lambda m: m["type"] == "output")
    async with WireClient.connect(server) as other:
        ack = await ask(other, n=3, steps=20)
        assert ack["state"] == "running"
        assert other.seen[-1] is ack
        await other.ends("a")
        await client.ends("a")
        after_ack = [m["type"] for m in other.of("a")][1:]
        assert after_ack[:2] == ["accepted", "output"]
        assert after_ack.count("progress") > 1
        assert stored(other.seen) == stored(client.seen)
    assert [kind for _, kind in stored(client.seen)] == ["accepted", "output", "output", "output", "result"]
    assert len(engine.posts) == 3


async def test_after_the_end(server: str, client: WireClient, engine: Recorder, stack: AsyncExitStack) -> None:
    """Its stored events come again, once for each time it is asked, on any connection, and nothing is drawn."""
    await ask(client, n=2)
    await client.ends("a")
    first = [m for m in client.of("a") if m["type"] in STORED]
    other = await stack.enter_async_context(WireClient.connect(server))
    for who in (client, other, other):
        before = len(who.seen)
        ack = await ask(who, n=2)
        assert ack["state"] == "completed"
        await who.until(is_end)
        await who.ask(action="ping")
        again = [m for m in who.seen[before:] if m.get("task_id") == "a" and m["type"] != "ack"]
        assert again == first
    assert len(engine.posts) == 2


async def test_a_cancelled_one_and_a_failed_one(client: WireClient) -> None:
    """An end is an end: the same id starts nothing new, whatever the end was."""
    await ask(client, steps=100)
    await client.ask(action="cancel", task_id="a")
    await client.ends("a")
    await ask(client, "b", timeout=0.01)
    await client.ends("b")
    for task_id, fields, state in (("a", {"steps": 100}, "cancelled"), ("b", {"timeout": 0.01}, "expired")):
        ack = await ask(client, task_id, **fields)
        assert ack["state"] == state
        end = await client.until(is_end)
        assert end["task_id"] == task_id


async def test_an_id_of_the_servers_choice(server: str, client: WireClient) -> None:
    """Whoever lost the line can come back with the id of the ack."""
    ack = await client.ask(action="generate", prompt="boat", seed=4)
    await client.ends(ack["task_id"])
    async with WireClient.connect(server) as other:
        again = await other.ask(action="generate", prompt="boat", seed=4, task_id=ack["task_id"])
        assert again["state"] == "completed"
        assert again["params"] == ack["params"]
        assert (await other.until(is_end))["type"] == "result"


async def test_ref_and_language_are_no_content(client: WireClient) -> None:
    """A retry in another language, with another ref, is the same generation in the language it had."""
    await ask(client, lang="zh-CN")
    assert (await ask(client, lang="en"))["type"] == "ack"
    end = (await client.ends("a"))["a"]
    assert end["message"] == "已完成"


async def test_a_random_seed_stays_what_it_was(client: WireClient) -> None:
    """The seed is drawn once: asking again without one gives the same image."""
    first = await client.ask(action="generate", prompt="boat", task_id="a")
    again = await client.ask(action="generate", prompt="boat", task_id="a")
    assert first["params"]["seed"] == again["params"]["seed"]
    end = (await client.ends("a"))["a"]
    assert end["data"]["data"][0]["seed"] == first["params"]["seed"]


async def test_the_first_connection_may_go(server: str, engine: Recorder, stack: AsyncExitStack) -> None:
    """A task outlives the connection that started it, and its events wait for who asks."""
    async with WireClient.connect(server) as first:
        await ask(first, steps=20)
    async with WireClient.connect(server) as second:
        await ask(second, steps=20)
        assert (await second.ends("a"))["a"]["type"] == "result"
        assert [kind for _, kind in stored(second.seen)] == ["accepted", "output", "result"]
    assert len(engine.posts) == 1


async def test_who_follows_everything_is_replayed_an_ended_one_too(server: str, client: WireClient) -> None:
    """Following all from now on is no reason to leave out what was before."""
    await ask(client)
    await client.ends("a")
    async with WireClient.connect(server) as other:
        await other.ask(action="follow", scope="all")
        assert (await ask(other))["state"] == "completed"
        assert (await other.ends("a"))["a"]["type"] == "result"
