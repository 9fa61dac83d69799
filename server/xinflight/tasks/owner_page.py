"""What admins see: the owners with unfinished work, by name."""

from collections import Counter
from heapq import merge
from itertools import groupby, islice, takewhile

from xinflight.clock import Clock
from xinflight.protocol import ListOwners, OwnerInPool, OwnerLoad, OwnerPage
from xinflight.tasks.pool_runner import PoolRunner
from xinflight.tasks.pools import Pools

__all__ = ["owner_page"]


def owner_page(pools: Pools, clock: Clock, query: ListOwners) -> OwnerPage:
    """Return a page of the owners with unfinished work. Costs as much as the page, the pools and the slots."""
    runners = pools.runners()
    running = {runner.pool: Counter(run.owner for run, _, _ in runner.in_slots) for runner in runners}
    # The least text that comes after the last name.
    first = query.prefix if query.cursor is None else max(query.prefix, f"{query.cursor}\0")
    names = (name for name, _ in groupby(merge(*(runner.ledger.tasks.owners(first) for runner in runners))))
    page = list(islice(takewhile(lambda name: name.startswith(query.prefix), names), query.limit + 1))
    owners = [
        OwnerLoad(
            owner=owner,
            pools=[
                _in_pool(runner, owner, running[runner.pool][owner])
                for runner in runners
                if runner.ledger.tasks.count(owner)
            ],
            paused=owner in pools.paused_owners,
        )
        for owner in page[: query.limit]
    ]
    following = page[query.limit - 1] if len(page) > query.limit else None
    return OwnerPage(timestamp=clock.time(), owners=owners, next=following)


def _in_pool(runner: PoolRunner, owner: str, running: int) -> OwnerInPool:
    waiting, share = runner.standing(owner)
    return OwnerInPool(
        pool=runner.pool,
        tasks=runner.ledger.tasks.count(owner),
        running=running,
        waiting=waiting,
        paused=runner.ledger.tasks.count_paused(owner),
        share=None if share is None else round(share, 4),
    )
