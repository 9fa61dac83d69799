"""Whose an output is, and shares of outputs: the contract of the store, held against every implementation."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from factories import accept, finished, lease, make_task
from xinflight.model import Share, Task
from xinflight.storage import MemoryStore, SqliteStore, Store


@pytest.fixture(params=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    """Give each implementation in turn, open, with POOL leased."""
    made: Store = MemoryStore(2) if request.param == "memory" else SqliteStore(tmp_path / "data", full=False)
    await made.open()
    await lease(made)
    yield made
    await made.close()


def share_of(task: Task, share_id: str = "s", *, created: float = 100.0, expires: float | None = None) -> Share:
    output = task.outputs[0]
    return Share(
        id=share_id,
        owner=task.owner,
        task_id=task.task_id,
        index=output.index,
        output_id=output.output_id,
        created=created,
        expires=expires,
    )


async def page(store: Store, owner: str = "ann", *, before: int | None = None, now: float = 100.0) -> list[str]:
    rows = await store.shares.of_owner(owner, before=before, limit=2, task_id=None, now=now)
    return [row.share.id for row in rows]


async def test_the_owner_of_each_output_is_known_from_the_acceptance_on(store: Store) -> None:
    ann, bob = make_task("a", "ann", outputs=3), make_task("a", "bob")
    await store.commit([accept(ann), accept(bob)])
    assert {await store.output_owner(output.output_id) for output in ann.outputs} == {"ann"}
    assert await store.output_owner(bob.outputs[0].output_id) == "bob"
    assert await store.output_owner("nothing") is None
    assert await store.task_of_output(ann.outputs[2].output_id) == ann
    assert await store.task_of_output(bob.outputs[0].output_id) == bob
    assert await store.task_of_output("nothing") is None


async def test_a_task_that_was_known_adds_no_outputs(store: Store) -> None:
    task, again = make_task("a"), make_task("a")
    await store.commit([accept(task)])
    await store.commit([accept(again)])
    assert await store.output_owner(again.outputs[0].output_id) is None


async def test_outputs_and_shares_go_with_their_task(store: Store) -> None:
    task, other = await finished(store, "a"), await finished(store, "b")
    assert await store.shares.add(share_of(task, "s"), b"1", at_most=9)
    assert await store.shares.add(share_of(other, "t"), b"2", at_most=9)
    await store.delete(task.uid)
    assert await store.output_owner(task.outputs[0].output_id) is None
    assert await store.task_of_output(task.outputs[0].output_id) is None
    assert await store.shares.find(b"1", now=100.0) is None
    assert await store.shares.find(b"2", now=100.0) == share_of(other, "t")
    assert await page(store) == ["t"]
    assert not await store.shares.delete("ann", "s")


async def test_shares_go_with_a_task_that_is_pruned(store: Store) -> None:
    task = await finished(store, "a")
    await store.shares.add(share_of(task), b"1", at_most=9)
    await store.prune(keep_bytes=0, keep_tasks=0, ended_before=0.0)
    assert await store.shares.find(b"1", now=100.0) is None


async def test_a_share_is_found_by_its_digest_until_it_expires(store: Store) -> None:
    task = await finished(store, "a")
    share = share_of(task, created=100.0, expires=200.0)
    await store.shares.add(share, b"1", at_most=9)
    assert await store.shares.find(b"1", now=199.9) == share
    assert await store.shares.find(b"1", now=200.0) is None
    assert await store.shares.find(b"2", now=100.0) is None
    assert (await page(store, now=199.9), await page(store, now=200.0)) == (["s"], [])


async def test_shares_come_newest_first_in_pages(store: Store) -> None:
    task, other = await finished(store, "a"), await finished(store, "a", owner="bob")
    for number in range(3):
        await store.shares.add(share_of(task, f"s{number}"), b"%d" % number, at_most=9)
    await store.shares.add(share_of(other, "theirs"), b"theirs", at_most=9)
    rows = await store.shares.of_owner("ann", before=None, limit=2, task_id=None, now=100.0)
    assert [row.share.id for row in rows] == ["s2", "s1"]
    assert await page(store, before=rows[-1].number) == ["s0"]
    assert await page(store, "bob") == ["theirs"]
    assert await page(store, "nobody") == []


async def test_only_the_owner_deletes_a_share(store: Store) -> None:
    task = await finished(store, "a")
    await store.shares.add(share_of(task), b"1", at_most=9)
    assert not await store.shares.delete("bob", "s")
    assert await store.shares.find(b"1", now=100.0) is not None
    assert await store.shares.delete("ann", "s")
    assert not await store.shares.delete("ann", "s")
    assert await store.shares.find(b"1", now=100.0) is None


async def test_an_owner_has_at_most_so_many_of_which_expired_ones_do_not_count(store: Store) -> None:
    task = await finished(store, "a")
    await store.shares.add(share_of(task, "brief", expires=150.0), b"1", at_most=2)
    assert await store.shares.add(share_of(task, "second"), b"2", at_most=2)
    assert not await store.shares.add(share_of(task, "third", created=149.0), b"3", at_most=2)
    assert await store.shares.find(b"3", now=149.0) is None
    assert await store.shares.add(share_of(task, "fourth", created=150.0), b"4", at_most=2)
    bobs = await finished(store, "a", owner="bob")
    assert await store.shares.add(share_of(bobs, "theirs"), b"5", at_most=2)
