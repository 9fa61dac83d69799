"""What is the memory store's own: what it forgets, and that no cursor is good that should not be."""

import random

import pytest

from factories import accept, finished, ids, lease, make_task, seqs
from xinflight.storage import MemoryStore


@pytest.fixture
async def memory() -> MemoryStore:
    """Give a store of two ended tasks at the most."""
    store = MemoryStore(2)
    await lease(store)
    return store


async def test_memory_forgets_the_oldest_ended(memory: MemoryStore) -> None:
    epoch = await memory.open()
    unfinished = make_task("unfinished")
    await memory.commit([accept(unfinished)])
    for number in range(4):
        await finished(memory, f"t{number}")
    assert await ids(memory) == ["t3", "t2", "unfinished"]
    assert await memory.trimmed_to("ann") == 7
    assert await seqs(memory) == [1, 8, 9, 10, 11, 12, 13]
    assert await MemoryStore(2).open() != epoch
    assert not memory.durable


async def test_memory_does_not_grow_with_owners(memory: MemoryStore) -> None:
    """Ten thousand people who come once leave nothing but what is kept."""
    seen = {}
    for number in range(100):
        owner = f"owner-{number}"
        await finished(memory, "a", owner=owner)
        seen[owner] = await memory.last_seq(owner)
    assert sum(len(table) for table in vars(memory).values() if isinstance(table, dict)) <= 8 * 2 + 1
    for number in range(98):
        assert await memory.trimmed_to(f"owner-{number}") >= seen[f"owner-{number}"], "its gap is told for ever"
    assert await seqs(memory, "owner-99") == [seen["owner-99"] - 2, seen["owner-99"] - 1, seen["owner-99"]]


async def test_no_cursor_of_a_forgotten_owner_is_taken_for_one_without_a_gap(memory: MemoryStore) -> None:
    """Whoever was forgotten and comes back counts on above all that they saw, so an old cursor is below a gap."""
    dice = random.Random(7)
    seen: dict[str, int] = {}
    lost: dict[str, int] = {}
    for number in range(300):
        owner = dice.choice("abcdef")
        await finished(memory, f"t{number}", owner=owner)
        assert await memory.last_seq(owner) > seen.get(owner, 0), "a seq is never drawn twice"
        for each in "abcdef":
            stored = await seqs(memory, each)
            missing = set(range(lost.get(each, 0) + 1, seen.get(each, 0) + 1)) - set(stored)
            lost[each] = max(missing, default=lost.get(each, 0))
            assert await memory.trimmed_to(each) >= lost[each]
            assert await memory.last_seq(each) >= seen.get(each, 0)
            seen[each] = await memory.last_seq(each)


async def test_a_cursor_stays_good_while_others_are_forgotten(memory: MemoryStore) -> None:
    unfinished = make_task("unfinished", "stays")
    await memory.commit([accept(unfinished)])
    for number in range(10):
        await finished(memory, "a", owner=f"owner-{number}")
    assert await memory.trimmed_to("stays") == 0
    assert await memory.last_seq("stays") == 1
    back = make_task("back", "owner-0")
    trimmed = await memory.trimmed_to("owner-0")
    await memory.commit([accept(back)])
    await finished(memory, "b", owner="owner-10")
    await finished(memory, "b", owner="owner-11")
    await finished(memory, "b", owner="owner-12")
    assert await memory.trimmed_to("owner-0") == trimmed < await memory.last_seq("owner-0")
