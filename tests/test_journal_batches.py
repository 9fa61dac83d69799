"""What a batch of the journal stores, and what the journal remembers of owners who are not there."""

import asyncio
from collections.abc import Sequence

import pytest

from clients import FakeClock
from factories import FENCE, POOL, charge, end, make_task, output_event, progress, result
from scripted_gateway import turns
from xinflight.errors import StorageUnavailable
from xinflight.journal import Journal, MemoryBus
from xinflight.journal.journal import CHARGE_SECONDS
from xinflight.model import Usage
from xinflight.storage import Charge, MemoryStore, Outcome, Save, Write
from xinflight.supervise import Supervisor


class SlowStore(MemoryStore):
    """A store that takes its time once it has encoded what it was given, and remembers what each batch was."""

    def __init__(self) -> None:
        super().__init__(1000)
        self.go_on = asyncio.Event()
        self.broken = False
        self.batches: list[list[tuple[bool, str]]] = []

    async def commit(self, writes: Sequence[Write]) -> list[Outcome]:
        if self.broken:
            raise StorageUnavailable(detail="no room")
        of_tasks = [write for write in writes if not isinstance(write, Charge)]
        named = ["" if isinstance(write, Save) else type(write.message).__name__ for write in of_tasks]
        self.batches.append([(write.task.ended, name) for write, name in zip(of_tasks, named, strict=True)])
        outcomes = await super().commit(writes)
        await self.go_on.wait()
        return outcomes


@pytest.mark.parametrize("trouble", ["none", "slow", "broken"])
async def test_no_task_is_stored_ahead_of_its_end(trouble: str) -> None:
    """Whatever the store is doing when a task ends, the end is in the first batch that stores the task as ended."""
    store, clock = SlowStore(), FakeClock()
    journal = Journal(store, MemoryBus(), clock, Supervisor(clock))
    await journal.open()
    assert await store.lease(POOL) == FENCE
    task = make_task()
    store.go_on.set()
    await journal.accept(task)
    if trouble == "slow":
        store.go_on.clear()
    store.broken = trouble == "broken"
    made = journal.append(task, output_event(task), FENCE)
    if trouble != "none":
        await turns()
    end(task)
    ended = journal.append(task, result(task), FENCE)
    await turns()
    store.go_on.set()
    store.broken = False
    await clock.advance(5.0)
    await asyncio.gather(made, ended)
    await journal.close()
    first = next(batch for batch in store.batches if any(ended for ended, _ in batch))
    assert first[-1] == (True, "Result")
    assert [name for batch in store.batches for _, name in batch] == ["Accepted", "OutputEvent", "Result"]


async def test_what_comes_while_a_commit_is_under_way_is_the_next_one() -> None:
    """The first write after a pause is stored at once; those that follow wait for it, and not for each other."""
    store, clock = SlowStore(), FakeClock()
    journal = Journal(store, MemoryBus(), clock, Supervisor(clock))
    await journal.open()
    accepting = []
    for number in range(4):
        accepting.append(journal.accept(make_task(f"{number}")))
        await turns()
    assert [len(batch) for batch in store.batches] == [1]
    store.go_on.set()
    await asyncio.gather(*accepting)
    assert [len(batch) for batch in store.batches] == [1, 3]
    await journal.close()


async def test_charges_wait_for_each_other_but_not_for_long() -> None:
    """They take a third of the work of a commit, and there may be one for each that ends."""
    store, clock = MemoryStore(10), FakeClock()
    journal = Journal(store, MemoryBus(), clock, Supervisor(clock))
    await journal.open()
    assert await store.lease(POOL) == FENCE

    async def charged() -> float:
        rows = await store.usage("ann", first="2026-01-01", last="2026-01-01")
        return sum(row.seconds for row in rows)

    def use() -> None:
        journal.charge(charge(Usage(owner="ann", day="2026-01-01", seconds=1.0)))

    task = make_task()
    await journal.accept(task)
    use()
    await turns()
    assert await charged() == 0.0
    await journal.save(task, FENCE)
    use()
    await clock.advance(CHARGE_SECONDS / 2)
    assert await charged() == 0.0
    await clock.advance(CHARGE_SECONDS / 2)
    assert await charged() == 2.0
    use()
    await journal.store_charges()
    assert await charged() == 3.0
    use()
    await journal.close()
    assert await charged() == 4.0


async def test_whoever_asks_for_charges_hears_that_they_can_not_be_stored() -> None:
    """None is lost by that: the store has them as soon as it accepts anything."""
    store, clock = SlowStore(), FakeClock()
    store.go_on.set()
    journal = Journal(store, MemoryBus(), clock, Supervisor(clock))
    await journal.open()
    assert await store.lease(POOL) == FENCE
    store.broken = True
    for _ in range(2):
        journal.charge(charge(Usage(owner="ann", day="2026-01-01", seconds=1.0)))
        with pytest.raises(StorageUnavailable):
            await journal.store_charges()
    store.broken = False
    await clock.advance(5.0)
    await journal.store_charges()
    (row,) = await store.usage("ann", first="2026-01-01", last="2026-01-01")
    assert row.seconds == 2.0
    await journal.close()


async def test_owners_who_went_are_forgotten_and_go_on_above_what_they_saw() -> None:
    """Of owners who came once the journal remembers nothing; one who comes back gets higher seqs."""
    store, clock = MemoryStore(10), FakeClock()
    journal = Journal(store, MemoryBus(), clock, Supervisor(clock))
    await journal.open()
    assert await store.lease(POOL) == FENCE

    async def visit(owner: str) -> tuple[int, int]:
        subscriber = await journal.subscribe(owner)
        before = journal.position(owner)
        task = make_task("a", owner)
        await journal.accept(task)
        journal.snapshot(task, progress(task, 50))
        end(task)
        await journal.append(task, result(task), FENCE)
        seen = journal.position(owner)
        journal.unsubscribe(subscriber)
        return before, seen

    _, seen = await visit("ann")
    for number in range(100):
        await visit(f"owner {number}")
    assert not journal.has_subscriber("ann")
    assert not journal._positions._positions
    assert not journal._snapshots
    assert (await visit("ann"))[0] >= seen
    await journal.close()
