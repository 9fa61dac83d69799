"""Deleted outputs while the clock is set, the disk is full, or a caller leaves: restored within a minute, or gone."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from scripted_gateway import ScriptedGateway, turns
from xinflight.errors import NotFound, StorageUnavailable
from xinflight.model import UNDO_SECONDS, Task
from xinflight.protocol import Marked, OutputMarks
from xinflight.storage import MemoryStore, Outcome, Write
from xinflight.tasks import Marking
from xinflight.tasks import marking as marking_module
from xinflight.tasks.marking import PAUSE


class HeldStore(MemoryStore):
    """A store whose commits wait until they may go on."""

    def __init__(self) -> None:
        super().__init__(1000)
        self.go_on = asyncio.Event()
        self.go_on.set()

    async def commit(self, writes: Sequence[Write]) -> list[Outcome]:
        await self.go_on.wait()
        return await super().commit(writes)


@asynccontextmanager
async def marking_in(gateway: ScriptedGateway) -> AsyncIterator[tuple[Marking, Task]]:
    """Give the marks of a gateway, open, and an ended task of two images."""
    deleted: list[str] = []
    marking = Marking(
        gateway.front,
        gateway.journal,
        gateway.retention,
        gateway.clock,
        gateway.supervisor,
        lambda owner, task_id: deleted.append(task_id),
    )
    await marking.open()
    await gateway.submit("ann", task_id="a", n=2, model="two")
    await turns()
    for post in gateway.upstream.pending:
        post.end("image")
    await turns()
    task = await gateway.store.task("ann", "a")
    assert task is not None
    assert len(task.files) == 2
    yield marking, task
    await marking.close()


@pytest.mark.parametrize("jump", [-3600.0, -1.0, 3600.0])
async def test_a_clock_that_is_set_leaves_the_time_to_restore(jump: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither does it take that away, nor does what was deleted stay for longer."""
    async with ScriptedGateway.begin() as gateway, marking_in(gateway) as (marking, task):
        await marking.delete("ann", "a", 1)
        time = gateway.clock.time
        monkeypatch.setattr(gateway.clock, "time", lambda: time() + jump)
        # The next change has the deletions looked at again.
        await marking.mark("ann", "a", 0, starred=True, tags=None)
        await gateway.clock.advance(UNDO_SECONDS - 1)
        assert await gateway.blobs.get(task.outputs[1].output_id) is not None
        await marking.restore("ann", "a", 1)
        await marking.delete("ann", "a", 1)
        await gateway.clock.advance(UNDO_SECONDS - 1)
        assert marking.hides(task.outputs[1].output_id)
        await gateway.clock.advance(1.0)
        assert await gateway.blobs.get(task.outputs[1].output_id) is None


async def test_what_is_half_gone_does_not_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its file is deleted, but a full disk takes no note of that: an output without a file must not be shown."""
    async with ScriptedGateway.begin() as gateway, marking_in(gateway) as (marking, task):
        await marking.delete("ann", "a", 1)

        async def full(uid: str, index: int) -> None:
            raise StorageUnavailable(detail="no room")

        with monkeypatch.context() as patch:
            patch.setattr(gateway.store.library, "purge", full)
            await gateway.clock.advance(UNDO_SECONDS)
            assert await gateway.blobs.get(task.outputs[1].output_id) is None
            with pytest.raises(NotFound):
                await marking.restore("ann", "a", 1)
            await marking.mark("ann", "a", None, starred=True, tags=None)
            assert marking.hides(task.outputs[1].output_id)
        await gateway.clock.advance(PAUSE)
        assert not marking.hides(task.outputs[1].output_id)
        (mark,) = await gateway.store.library.marks(task.uid)
        assert (mark.index, mark.starred) == (0, True)


async def test_whoever_leaves_meanwhile_has_deleted_it_nevertheless() -> None:
    """What is hidden is what is stored as deleted; and the next change waits for this one."""
    store = HeldStore()
    async with ScriptedGateway.begin(store) as gateway, marking_in(gateway) as (marking, task):
        store.go_on.clear()
        leaving = asyncio.create_task(marking.delete("ann", "a", 1))
        await turns()
        leaving.cancel()
        starring = asyncio.create_task(marking.mark("ann", "a", 0, starred=True, tags=None))
        await turns()
        assert not leaving.done()
        store.go_on.set()
        await asyncio.gather(leaving, return_exceptions=True)
        await starring
        assert leaving.cancelled()
        assert marking.hides(task.outputs[1].output_id)
        marks = await store.library.marks(task.uid)
        assert [(each.starred, each.deleted is not None) for each in marks] == [(True, False), (False, True)]


async def told(gateway: ScriptedGateway) -> list[OutputMarks]:
    """Return what the newest event tells of marks."""
    events = await gateway.store.events_of_owner("ann", after=0, upto=10**9, limit=100)
    return next(event.message.outputs for event in reversed(events) if isinstance(event.message, Marked))


async def test_stars_for_all_leave_out_what_is_deleted() -> None:
    """It comes back with the marks that it had, and is deleted once, however often that is asked for."""
    async with ScriptedGateway.begin() as gateway, marking_in(gateway) as (marking, task):
        await marking.delete("ann", "a", 1)
        before = await gateway.store.last_seq("ann"), await gateway.store.library.marks(task.uid)
        await gateway.clock.advance(UNDO_SECONDS / 2)
        await marking.delete("ann", "a", 1)
        assert (await gateway.store.last_seq("ann"), await gateway.store.library.marks(task.uid)) == before
        await marking.mark("ann", "a", None, starred=True, tags=None)
        await marking.restore("ann", "a", 1)
        assert await told(gateway) == [OutputMarks(index=0, starred=True)]


async def test_above_a_bound_the_first_ones_go_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """All that is hidden is in memory."""
    monkeypatch.setattr(marking_module, "HIDDEN", 1)
    async with ScriptedGateway.begin() as gateway, marking_in(gateway) as (marking, task):
        for index in (1, 0):
            await marking.delete("ann", "a", index)
            await turns()
        assert [marking.hides(output.output_id) for output in task.outputs] == [True, False]
        with pytest.raises(NotFound):
            await marking.restore("ann", "a", 1)
        await marking.restore("ann", "a", 0)


async def test_what_is_restored_in_the_last_moment_stays() -> None:
    """Its time is over while that is being stored."""
    store = HeldStore()
    async with ScriptedGateway.begin(store) as gateway, marking_in(gateway) as (marking, task):
        await marking.delete("ann", "a", 1)
        await gateway.clock.advance(UNDO_SECONDS - 1)
        store.go_on.clear()
        restoring = asyncio.create_task(marking.restore("ann", "a", 1))
        await turns()
        await gateway.clock.advance(2.0)
        store.go_on.set()
        await turns()
        assert restoring.done()
        assert not marking.hides(task.outputs[1].output_id)
        assert await gateway.blobs.get(task.outputs[1].output_id) is not None


async def test_what_goes_while_a_change_waits_is_not_marked(monkeypatch: pytest.MonkeyPatch) -> None:
    async with ScriptedGateway.begin() as gateway, marking_in(gateway) as (marking, _):
        await marking.delete("ann", "a", 1)
        go_on = asyncio.Event()
        purge = gateway.store.library.purge

        async def slow(uid: str, index: int) -> None:
            await go_on.wait()
            await purge(uid, index)

        monkeypatch.setattr(gateway.store.library, "purge", slow)
        await gateway.clock.advance(UNDO_SECONDS)
        starring = asyncio.create_task(marking.mark("ann", "a", None, starred=True, tags=None))
        await turns()
        go_on.set()
        await turns()
        assert starring.done()
        assert await told(gateway) == [OutputMarks(index=0, starred=True), OutputMarks(index=1, deleted=True)]


async def test_another_generation_under_the_same_id_keeps_its_images() -> None:
    """The one of which an image was deleted was deleted as a whole before that was due."""
    async with ScriptedGateway.begin() as gateway, marking_in(gateway) as (marking, _):
        await marking.delete("ann", "a", 1)
        await gateway.front.delete("ann", "a")
        await gateway.submit("ann", task_id="a", n=2, model="two")
        await turns()
        for post in gateway.upstream.pending:
            post.end("image")
        await turns()
        await gateway.clock.advance(UNDO_SECONDS)
        task = await gateway.store.task("ann", "a")
        assert task is not None
        assert [await gateway.blobs.get(output.output_id) is None for output in task.files] == [False, False]


async def test_a_mark_waits_for_an_acceptance_that_is_being_stored() -> None:
    """From another connection: `unknown` would say that there is no such task, and it is there a moment later."""
    store = HeldStore()
    async with ScriptedGateway.begin(store) as gateway, marking_in(gateway) as (marking, _):
        store.go_on.clear()
        accepting = asyncio.create_task(gateway.submit("ann", task_id="b"))
        await turns()
        marked = asyncio.create_task(marking.mark("ann", "b", None, starred=True, tags=None))
        await turns()
        assert not marked.done()
        store.go_on.set()
        await accepting
        assert (await marked).was != "unknown"
