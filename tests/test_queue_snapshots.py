"""`queue` snapshots: one message per owner and second at most, for whoever watches, with what that one follows."""

import asyncio
from asyncio import gather
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest

from clients import Recorder, WireClient, eventually
from scripted_gateway import ScriptedGateway, turns
from streams import EVENT_STREAM, lines
from xinflight.auth import Identity
from xinflight.demo import Faults
from xinflight.journal import QUEUED_OUTPUTS, Subscriber
from xinflight.model import Event, Task
from xinflight.protocol import Generate, Queue, QueueInfo, Step, UpstreamState
from xinflight.tasks.queue_positions import SLICE, WaitingTimes
from xinflight.tasks.queue_snapshots import queued_output


async def submit(gateway: ScriptedGateway, *task_ids: str, owner: str = "ann", **fields: Any) -> list[Task]:
    found = await gather(*(gateway.submit(owner, task_id=task_id, **fields) for task_id in task_ids))
    tasks = [task for task in found if isinstance(task, Task)]
    assert len(tasks) == len(task_ids)
    await turns()
    return tasks


async def second(gateway: ScriptedGateway, seconds: float = 1.0) -> None:
    """Let time pass, and a pass over a long queue come to its end."""
    await gateway.clock.advance(seconds)
    await turns(200)
    await gateway.drain()


async def next_image(gateway: ScriptedGateway) -> None:
    gateway.upstream.pending[0].end("image")
    await turns()


def told(queue: Queue | QueueInfo) -> list[tuple[str, int | None]]:
    return [(output.task_id, output.position) for output in queue.outputs]


@pytest.mark.parametrize("count", [3, 1500])
async def test_a_move_of_the_head_is_one_message_however_many_wait(count: int) -> None:
    async with ScriptedGateway.begin(tasks_per_owner=5000) as gateway:
        await submit(gateway, "running", *(f"t{number}" for number in range(count)))
        await second(gateway, 2.0)
        queues, events = gateway.queues["ann"], len(gateway.sent["ann"])
        before = len(queues)
        await next_image(gateway)
        await second(gateway)
        assert len(queues) == before + 1
        assert queues[-1].waiting == count - 1
        assert told(queues[-1]) == [(f"t{place}", place) for place in range(1, min(count, QUEUED_OUTPUTS + 1))]
        # The output, the end of its task, and the start of the next one: nothing of those that wait.
        assert len(gateway.sent["ann"]) <= events + 4
        # Nothing moves, and the time passes as it was told: nothing is told.
        await second(gateway)
        assert len(queues) == before + 1
        await gateway.front.cancel_all("ann", [])
        await second(gateway)
        # That nothing waits any more is the last news.
        assert (queues[-1].outputs, queues[-1].waiting) == ([], 0)


async def test_moves_within_a_second_are_told_once() -> None:
    async with ScriptedGateway.begin() as gateway:
        await submit(gateway, "running", *"abcdef")
        await second(gateway, 2.0)
        before = len(gateway.queues["ann"])
        for _ in range(4):
            await next_image(gateway)
            await gateway.drain()
        await second(gateway)
        assert len(gateway.queues["ann"]) <= before + 2
        assert told(gateway.queues["ann"][-1]) == [("e", 1), ("f", 2)]
        await gateway.front.cancel_all("ann", [])


async def test_nothing_is_computed_for_nobody() -> None:
    """While no owner of what waits watches, the queue is not even looked at."""
    async with ScriptedGateway.begin() as gateway:
        await submit(gateway, "running", "a", "b")
        await gateway.unwatch("ann")
        looked = 0
        walk = gateway.runner("m").positions.walk

        def count() -> Any:
            nonlocal looked
            looked += 1
            return walk()

        gateway.runner("m").positions.walk = count  # type: ignore[method-assign]
        await gateway.watch("bob")
        await next_image(gateway)
        await second(gateway, 5.0)
        assert looked == 0
        await gateway.watch("ann")
        await second(gateway)
        assert looked > 0
        assert told(gateway.queues["ann"][-1]) == [("b", 1)]
        await gateway.front.cancel_all("ann", [])


async def test_whoever_comes_late_is_sent_the_newest_at_once() -> None:
    async with ScriptedGateway.begin() as gateway:
        (_, first, _) = await submit(gateway, "running", "a", "b")
        await second(gateway, 2.0)
        both, one = [await gateway.journal.subscribe("ann") for _ in range(2)]
        both.subscribe_all(after=None)
        one.subscribe([first.uid], [first.uid], after=0)
        assert [told(queue) for queue in await queues(both)] == [[("a", 1), ("b", 2)]]
        assert [told(queue) for queue in await queues(one)] == [[("a", 1)]]
        for subscriber in (both, one):
            gateway.journal.unsubscribe(subscriber)
        await gateway.front.cancel_all("ann", [])


async def test_who_follows_single_tasks_hears_of_those_alone() -> None:
    async with ScriptedGateway.begin() as gateway:
        (_, _, last) = await submit(gateway, "running", "a", "z")
        await second(gateway, 2.0)
        one = await gateway.journal.subscribe("ann")
        one.subscribe([last.uid], [last.uid], after=0)
        assert [told(queue) for queue in await queues(one)] == [[("z", 2)]]
        await submit(gateway, "later", "latest")
        await second(gateway)
        assert await queues(one) == []
        await next_image(gateway)
        await second(gateway)
        assert [(told(queue), queue.waiting) for queue in await queues(one)] == [([("z", 1)], 1)]
        one.unsubscribe(last.uid)
        await next_image(gateway)
        await second(gateway)
        assert await queues(one) == []
        gateway.journal.unsubscribe(one)
        await gateway.front.cancel_all("ann", [])


async def test_who_follows_single_tasks_is_told_that_the_last_of_them_waits_no_more() -> None:
    """Like the connection that submitted them: their ends do not carry the places of others, nor the pause."""
    async with ScriptedGateway.begin() as gateway:
        tasks = await submit(gateway, "running", "a", "b")
        await second(gateway, 2.0)
        one = await gateway.journal.subscribe("ann")
        one.subscribe([task.uid for task in tasks[1:]], [task.uid for task in tasks[1:]], after=0)
        await gateway.queue.pause("ann", None, paused=True)
        await second(gateway)
        assert [(queue.waiting, queue.paused) for queue in await queues(one)][-1] == (2, True)
        await gateway.front.cancel("ann", "a", None)
        await second(gateway)
        assert [(queue.waiting, queue.paused) for queue in await queues(one)] == [(1, True)]
        await gateway.front.cancel("ann", "b", None)
        await second(gateway)
        assert [(queue.waiting, queue.paused) for queue in await queues(one)] == [(0, True)]
        await gateway.queue.pause("ann", None, paused=False)
        await second(gateway)
        assert [(queue.waiting, queue.paused) for queue in await queues(one)] == [(0, False)]
        # Then it follows nothing, and hears of nothing.
        await submit(gateway, "later")
        await second(gateway)
        assert await queues(one) == []
        gateway.journal.unsubscribe(one)
        await gateway.front.cancel_all("ann", [])


async def queues(subscriber: Subscriber) -> list[Queue]:
    """Return the queues that wait for a subscriber, and nothing of what else does."""
    found: list[Queue] = []
    while (item := await subscriber.next_item()) is not None:
        found += [item] if isinstance(item, Queue) else []
        assert isinstance(item, Queue | Event)
    return found


async def test_whoever_submits_many_is_told_once_a_second() -> None:
    """Not once per task: each message has the places of up to 200 others."""
    async with ScriptedGateway.begin() as gateway:
        await submit(gateway, "running", "a")
        await second(gateway, 2.0)
        one = await gateway.journal.subscribe("ann")
        for task_id in "bcdef":
            await gateway.front.accept(Generate(prompt="boat", task_id=task_id), Identity(id="ann"), one, None)
            await turns()
            assert await queues(one) == []
        await second(gateway)
        (queue,) = await queues(one)
        assert [task_id for task_id, _ in told(queue)] == [*"bcdef"]
        gateway.journal.unsubscribe(one)
        await gateway.front.cancel_all("ann", [])


async def test_a_reader_who_falls_behind_is_sent_the_newest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xinflight.journal.subscriber.BUFFERED_EVENTS", 4)
    async with ScriptedGateway.begin() as gateway:
        slow = await gateway.journal.subscribe("ann")
        slow.subscribe_all(after=None)
        await submit(gateway, "running", *"abcdefgh")
        await second(gateway, 2.0)
        assert [told(queue)[0] for queue in await queues(slow)][-1:] == [("a", 1)]
        gateway.journal.unsubscribe(slow)
        await gateway.front.cancel_all("ann", [])


async def test_an_answer_is_made_of_the_outputs_that_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not of all that wait: whoever asks again and again with thousands waiting would slow everybody down."""
    async with ScriptedGateway.begin(tasks_per_owner=5000) as gateway:
        await submit(gateway, "running", *(f"t{number}" for number in range(3 * QUEUED_OUTPUTS)))
        made = 0

        def count(run: Any) -> Any:
            nonlocal made
            made += 1
            return queued_output(run)

        await gateway.unwatch("ann")
        monkeypatch.setattr("xinflight.tasks.queue_snapshots.queued_output", count)
        queue = await gateway.queue.of_owner("ann")
        assert (made, queue.waiting) == (QUEUED_OUTPUTS, 3 * QUEUED_OUTPUTS)
        assert told(queue) == [(f"t{place - 1}", place) for place in range(1, QUEUED_OUTPUTS + 1)]
        await gateway.front.cancel_all("ann", [])


async def test_pools_are_told_in_one_message_with_places_of_their_own() -> None:
    async with ScriptedGateway.begin() as gateway:
        await submit(gateway, "m0", "m1", "m2", model="m")
        await submit(gateway, "old0", "old1", model="old")
        await second(gateway, 2.0)
        assert told(gateway.queues["ann"][-1]) == [("m1", 1), ("old1", 1), ("m2", 2)]
        await gateway.front.cancel_all("ann", [])


async def test_a_queue_that_has_no_model_says_what_it_waits_for() -> None:
    async with ScriptedGateway.begin() as gateway:
        await submit(gateway, "running", *(f"t{number}" for number in range(50)))
        await second(gateway, 2.0)
        before = len(gateway.queues["ann"])
        gateway.upstream.become(UpstreamState.UNREACHABLE)
        await second(gateway)
        (queue,) = gateway.queues["ann"][before:]
        assert {output.step for output in queue.outputs} == {Step.WAITING_FOR_MODEL}
        await gateway.front.cancel_all("ann", [])


async def test_a_long_queue_leaves_others_their_turns() -> None:
    async with ScriptedGateway.begin(tasks_per_owner=5000) as gateway:
        await submit(gateway, "running", *(f"t{number}" for number in range(4 * SLICE)))
        seen, most = 0, 0
        async for _ in gateway.runner("m").positions.walk():
            seen += 1
        assert seen == 4 * SLICE
        passing = asyncio.create_task(_walk(gateway))
        while not passing.done():
            await asyncio.sleep(0)
            most += 1
        assert most > 4
        # What is cancelled during a pass is left out by it.
        walk = gateway.runner("m").positions.walk()
        first = await anext(walk)
        await gateway.front.cancel_all("ann", [])
        assert [run.task.task_id async for run in walk] == []
        assert first.output.ended


async def _walk(gateway: ScriptedGateway) -> None:
    async for _ in gateway.runner("m").positions.walk():
        pass


def test_waiting_times_are_those_of_the_slot_that_is_free_first() -> None:
    """Each one starts where the earliest end is; slots without a job are free now."""

    def times(slots: int, running: list[float | None], durations: list[float | None]) -> list[float | None]:
        waiting = WaitingTimes(slots, running)
        return [waiting.next(duration) for duration in durations]

    assert times(0, [1.0], [5.0]) == [None]
    assert times(2, [3.0, 10.0], [4.0, 4.0, 4.0]) == [7.0, 11.0, 14.0]
    assert times(2, [3.0], [4.0, 4.0]) == [4.0, 7.0]
    assert times(1, [None], [4.0]) == [None]
    # What stands behind something unknown is unknown.
    assert times(1, [3.0], [4.0, None, 4.0]) == [7.0, None, None]


# On the wire


async def heard(client: WireClient, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """Return a message that has come, maybe before an answer that was waited for, or comes."""
    return next(filter(wanted, client.seen), None) or await client.until(wanted)


async def test_over_websocket_sse_and_rest(
    server: str, engine: Recorder, client: WireClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("xinflight.tasks.queue_snapshots.PAUSE", 0.1)
    engine.faults = Faults(freeze=3, requests=1)
    for task_id in "abcd":
        await client.ask(action="generate", prompt="a boat", task_id=task_id)
    await eventually(lambda: engine.in_flight["painter"] == 1)

    def is_queue(*task_ids: str) -> Any:
        return lambda m: m["type"] == "queue" and [each["task_id"] for each in m.get("outputs", ())] == list(task_ids)

    assert "seq" not in await heard(client, is_queue("b", "c", "d"))
    answer = await client.ask(action="move", task_id="d", before="c")
    assert (answer["type"], answer["tasks"]) == ("ok", [{"task_id": "d", "was": "queued"}])
    await heard(client, is_queue("b", "d", "c"))
    for wrong in ({}, {"before": "b", "to": "last"}):
        refused = await client.ask(action="move", task_id="d", **wrong)
        assert (refused["code"], refused["field"]) == ("wrong_shape", "to")
    refused = await client.ask(action="move", task_id="c", before="a")
    assert (refused["code"], refused["field"]) == ("out_of_bounds", "before")

    tasks = f"{server}api/v1/tasks"
    async with aiohttp.ClientSession() as http:

        async def post(path: str, status: int, **body: Any) -> Any:
            async with http.post(f"{tasks}/{path}", json=body) as response:
                assert response.status == status
                return await response.json()

        assert await post("c/move", 200, to="first") == {"task_id": "c", "was": "queued"}
        assert (await post("c/move", 422))["field"] == "to"
        assert (await post("x/move", 404, to="first"))["field"] == "task_id"
        assert (await post("x/pause", 404))["code"] == "not_found"
        async with http.get(f"{tasks}/b/events", headers={"Accept": EVENT_STREAM}) as response:
            async for line in lines(response):
                if line.data["type"] == "queue":
                    break
            assert line.id is None
            assert [output["task_id"] for output in line.data["outputs"]] == ["b"]
        assert await post("b/pause", 200) == {"task_id": "b", "was": "queued"}
        async with http.get(f"{tasks}/b") as response:
            assert (await response.json())["paused"] is True
        assert [task["task_id"] for task in (await post("pause", 200))["tasks"]] == ["a", "c", "d"]
        async with http.get(f"{server}api/v1/queue") as response:
            queue = await response.json()
        assert [(each["task_id"], each["step"]) for each in queue["outputs"]] == [
            ("c", "paused"),
            ("b", "paused"),
            ("d", "paused"),
        ]
        assert (queue["waiting"], queue["paused"]) == (3, True)
    await heard(client, lambda m: m["type"] == "queue" and m.get("paused") is True)
    answer = await client.ask(action="unpause", scope="all")
    assert len(answer["tasks"]) == 4
    engine.thaw()
    ends = await client.ends(*"abcd")
    assert {end["type"] for end in ends.values()} == {"result"}
    order = [m["task_id"] for m in client.seen if m["type"] == "result"]
    assert order == ["a", "c", "b", "d"]
