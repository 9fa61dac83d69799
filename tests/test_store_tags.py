"""Tags of fair sharing in the store: stored with the usage that they follow from, dropped once they mean nothing."""

from pathlib import Path

import pytest

from factories import FENCE, POOL, charge, lease
from xinflight.model import Usage
from xinflight.storage import Charge, PoolTags, SqliteStore, StaleFence, Store


def of(owner: str, finish: float, virtual_time: float = 0.0, pool: str = POOL) -> Charge:
    return charge(Usage(owner=owner, day="2026-01-01", seconds=1.0), finish, virtual_time, pool=pool)


async def test_a_new_pool_has_no_tags(store: Store) -> None:
    assert await store.tags(POOL) == PoolTags(virtual_time=0.0, finish={})


async def test_the_latest_tags_stand(store: Store) -> None:
    await store.commit([of("ann", 5.0), of("bob", 7.5, 1.0)])
    await store.commit([of("ann", 9.0, 2.5)])
    assert await store.tags(POOL) == PoolTags(virtual_time=2.5, finish={"ann": 9.0, "bob": 7.5})
    # A correction may lower a tag.
    await store.commit([of("ann", 3.0, 2.5)])
    assert (await store.tags(POOL)).finish == {"ann": 3.0, "bob": 7.5}


async def test_tags_that_the_virtual_time_has_passed_are_dropped(store: Store) -> None:
    """Else there would be one for everybody who ever came."""
    await store.commit([of(f"owner-{number}", number) for number in range(1, 101)])
    assert len((await store.tags(POOL)).finish) == 100
    await store.commit([of("ann", 200.0, 60.0), of("bob", 98.0, 98.0)])
    assert await store.tags(POOL) == PoolTags(
        virtual_time=98.0, finish={"ann": 200.0, "owner-99": 99.0, "owner-100": 100.0}
    )


async def test_pools_have_tags_of_their_own(store: Store) -> None:
    await lease(store, "other")
    await store.commit([of("ann", 5.0, 1.0), of("ann", 8.0, 6.0, pool="other")])
    assert await store.tags(POOL) == PoolTags(virtual_time=1.0, finish={"ann": 5.0})
    assert await store.tags("other") == PoolTags(virtual_time=6.0, finish={"ann": 8.0})


async def test_tags_outlive_a_lease(store: Store) -> None:
    await store.commit([of("ann", 5.0, 1.0)])
    assert await store.lease(POOL) == FENCE + 1
    assert await store.tags(POOL) == PoolTags(virtual_time=1.0, finish={"ann": 5.0})
    with pytest.raises(StaleFence):
        await store.commit([of("ann", 9.0, 2.0)])
    assert await store.tags(POOL) == PoolTags(virtual_time=1.0, finish={"ann": 5.0})
    assert (await store.usage("ann", first="2026-01-01", last="2026-01-01"))[0].seconds == 1.0


async def test_the_mean_is_that_of_the_latest_charge(store: Store) -> None:
    usage = Usage(owner="ann", day="2026-01-01", seconds=1.0)
    await store.commit([charge(usage, mean=9.0), charge(usage, mean=7.5)])
    assert (await store.tags(POOL)).mean == 7.5
    assert await store.lease(POOL) == FENCE + 1
    assert (await store.tags(POOL)).mean == 7.5


async def test_tags_outlive_the_process(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path, full=False)
    await store.open()
    await lease(store)
    await store.commit([of("ann", 5.0, 1.0)])
    await store.close()
    store = SqliteStore(tmp_path, full=False)
    await store.open()
    assert await store.tags(POOL) == PoolTags(virtual_time=1.0, finish={"ann": 5.0})
    await store.close()
