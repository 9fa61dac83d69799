"""Recovery: a failure in the middle of it costs a pause, and nothing is asked twice or forgotten."""

from typing import Any

import pytest

from factories import accept, make_task
from scripted_gateway import Held, ScriptedGateway, ScriptedUpstream, turns
from xinflight.model import Task
from xinflight.protocol import CancelOutcome, Progress, State, UpstreamState
from xinflight.storage import MemoryStore
from xinflight.tasks import recovery


async def left(*states: State) -> tuple[MemoryStore, list[Task]]:
    """Return a store with tasks in these states, and the tasks."""
    store = MemoryStore(1000)
    tasks = [make_task(f"t{number}", pool="m") for number in range(len(states))]
    for task, state in zip(tasks, states, strict=True):
        task.deadline = 1_800_000_000.0
        task.outputs[0].state = state
    await store.commit([accept(task) for task in tasks])
    return store, tasks


async def test_asking_goes_on_where_it_was_after_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was asked about is not asked again, and nothing starts before all of it was."""
    store, tasks = await left(State.STARTING, State.RUNNING, State.CANCELLING, State.QUEUED)
    ids = [task.outputs[0].request_id for task in tasks]
    monkeypatch.setattr(recovery, "ASKERS", 1)
    abort = ScriptedUpstream.abort_request
    asked: list[str] = []

    async def broken(self: ScriptedUpstream, uid: str, request_id: str, *rest: Any) -> None:
        asked.append(request_id)
        if asked.count(ids[1]) == 1 and request_id == ids[1]:
            raise KeyError("a bug")
        await abort(self, uid, request_id, *rest)

    monkeypatch.setattr(ScriptedUpstream, "abort_request", broken)
    async with ScriptedGateway.begin(store) as gateway:
        await turns()
        assert gateway.supervisor.failing == ["recovery m"]
        assert asked == ids[:2]
        assert gateway.upstream.posts == []
        await gateway.clock.advance(1.0)
        assert asked == [ids[0], ids[1], ids[1], ids[2]]
        for _ in range(3):
            gateway.upstream.pending[0].end("image")
            await turns()
        ends = [await store.task("ann", task.task_id) for task in tasks]
        assert [task.state for task in ends if task is not None] == [
            State.COMPLETED,
            State.COMPLETED,
            State.CANCELLED,
            State.COMPLETED,
        ]


async def test_a_pool_in_which_only_some_wait_asks_about_no_other() -> None:
    """What was never sent is not mentioned upstream, and keeps its request id."""
    store, tasks = await left(State.QUEUED, State.QUEUED)
    async with ScriptedGateway.begin(store) as gateway:
        await turns()
        assert gateway.upstream.aborts == []
        assert [post.request_id for post in gateway.upstream.posts] == [tasks[0].outputs[0].request_id]
        for _ in range(2):
            gateway.upstream.pending[0].end("image")
            await turns()
        assert not gateway.pools.size


def shown(gateway: ScriptedGateway, task: Task) -> tuple[int, int]:
    """Return attempt and percentage of the newest snapshot of a task."""
    message = gateway.journal.latest("ann", task.uid)[0].message
    assert isinstance(message, Progress)
    return message.details.attempt if message.details is not None else 1, message.progress


async def test_the_attempt_after_a_crash_has_a_number_of_its_own() -> None:
    """Its percentage begins at 0 again, so it is not the attempt that was shown, even if Xinference crashed too."""
    async with ScriptedGateway.begin() as gateway:
        task = await gateway.submit(task_id="t", model="m")
        assert isinstance(task, Task)
        await turns()
        gateway.upstream.advance(gateway.upstream.posts[0], 0.5)
        # Nobody watches it.
        await gateway.clock.advance(6.0)
        attempt, percent = shown(gateway, task)
        assert (attempt, percent > 0) == (1, True)
        left_behind = await gateway.store.task("ann", "t")
    assert left_behind is not None
    store = MemoryStore(1000)
    await store.commit([accept(left_behind)])
    async with ScriptedGateway.begin(store) as gateway:
        assert shown(gateway, task) == (2, 0)


async def test_a_cancel_while_a_request_is_being_stored_says_that_it_was_never_sent() -> None:
    """The attempt that was to begin is not counted."""
    async with ScriptedGateway.begin() as gateway:
        gateway.upstream.become(UpstreamState.UNREACHABLE)
        await turns()
        await gateway.submit(task_id="t", model="m")
        commits = Held(gateway.store, "commit")
        gateway.upstream.become(UpstreamState.READY)
        await turns()
        assert commits.entered.is_set()
        await gateway.front.cancel("ann", "t")
        commits.go_on.set()
        await turns()
        assert gateway.upstream.posts == []
        ended = await gateway.store.task("ann", "t")
        assert ended is not None
        assert (ended.outputs[0].upstream, ended.outputs[0].attempt) == (CancelOutcome.NEVER_STARTED, 0)
