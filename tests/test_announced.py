"""A request that will be sent at once is stored with its task, as one that may run: a commit less before it."""

import asyncio
from typing import Any

from factories import accept, make_task
from scripted_gateway import Held, ScriptedGateway, turns
from xinflight.demo.drawing import draw
from xinflight.model import Task
from xinflight.protocol import CancelOutcome, State
from xinflight.storage import MemoryStore, Store, StoredFile

JPEG = draw(prompt="a boat", negative_prompt="", width=64, height=48, steps=1, guidance=0.0, seed=1)


async def stored(gateway: ScriptedGateway, task_id: str) -> Task:
    task = await gateway.store.task("ann", task_id)
    assert task is not None
    return task


async def left() -> tuple[MemoryStore, Task]:
    """Return a store with a task that was accepted while a slot was free, and the task."""
    store, task = MemoryStore(1000), make_task("t", pool="m")
    task.deadline = 1_800_000_000.0
    task.outputs[0].announced = True
    await store.commit([accept(task)])
    return store, task


async def test_what_has_a_slot_at_once_is_sent_after_one_commit() -> None:
    async with ScriptedGateway.begin() as gateway:
        before = len(gateway.telemetry.of("committed"))
        await gateway.submit(task_id="t", model="m")
        await turns()
        assert len(gateway.telemetry.of("committed")) == before + 1
        (post,) = gateway.upstream.posts
        output = (await stored(gateway, "t")).outputs[0]
        assert (output.request_id, output.announced, output.state) == (post.request_id, True, State.QUEUED)


async def test_what_waits_for_a_slot_is_stored_once_more_before_it_is_sent() -> None:
    """Only those that a slot is free for are announced: after a crash, nobody asks about the others."""
    async with ScriptedGateway.begin() as gateway:
        await gateway.submit(task_id="first", model="m", n=2)
        await turns()
        await gateway.submit(task_id="second", model="m")
        await turns()
        tasks = [await stored(gateway, task_id) for task_id in ("first", "second")]
        assert [[output.announced for output in task.outputs] for task in tasks] == [[True, False], [False]]
        gateway.upstream.pending[0].end("image")
        await turns()
        second = (await stored(gateway, "first")).outputs[1]
        assert (second.state, second.attempt) == (State.STARTING, 1)
        assert gateway.upstream.posts[1].request_id == second.request_id


async def test_of_tasks_that_come_together_no_more_are_announced_than_there_are_slots() -> None:
    async with ScriptedGateway.begin() as gateway:
        commits = Held(gateway.store, "commit")
        submitting = [gateway.submit(task_id=task_id, model="m") for task_id in "abc"]
        async with asyncio.TaskGroup() as group:
            for each in submitting:
                group.create_task(each)
            await commits.entered.wait()
            await turns()
            commits.go_on.set()
        tasks = [await stored(gateway, task_id) for task_id in "abc"]
        assert [task.outputs[0].announced for task in tasks] == [True, False, False]


async def test_after_a_crash_an_announced_request_is_asked_about_before_its_output_is_queued() -> None:
    """It may have been sent: its id and the number of its attempt must not be used again."""
    store, task = await left()
    old = task.outputs[0].request_id
    async with ScriptedGateway.begin(store) as gateway:
        await turns()
        (abort,) = gateway.upstream.aborts
        assert old in abort
        (post,) = gateway.upstream.posts
        assert post.request_id != old
        gateway.upstream.pending[0].end("image")
        await turns()
        output = (await stored(gateway, "t")).outputs[0]
        assert (output.state, output.attempt) == (State.COMPLETED, 2)


async def test_after_a_crash_the_file_of_an_announced_request_is_its_output() -> None:
    """The file was stored, and the commit that names it was not."""
    store, task = await left()

    class WithFile(ScriptedGateway):
        def __init__(self, store: Store | None = None, **settings: Any) -> None:
            super().__init__(store, **settings)
            self.blobs._files[task.outputs[0].output_id] = StoredFile(media_type="image/jpeg", data=JPEG)

    async with WithFile.begin(store) as gateway:
        await turns()
        assert gateway.upstream.posts == []
        assert (await stored(gateway, "t")).state is State.COMPLETED


async def test_what_is_cancelled_while_it_is_stored_was_never_sent() -> None:
    async with ScriptedGateway.begin() as gateway:
        commits = Held(gateway.store, "commit")
        async with asyncio.TaskGroup() as group:
            group.create_task(gateway.submit(task_id="t", model="m"))
            await commits.entered.wait()
            group.create_task(gateway.front.cancel("ann", "t"))
            await turns()
            commits.go_on.set()
        await turns()
        output = (await stored(gateway, "t")).outputs[0]
        assert (output.state, output.upstream) == (State.CANCELLED, CancelOutcome.NEVER_STARTED)
        assert gateway.upstream.posts == []
