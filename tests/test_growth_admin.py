"""What an admin's look at a busy server costs: as much as the page, whatever the crowd. Counted, not timed."""

import pytest

from clients import Steps
from test_growth_queue import busy_gateway, crowd
from xinflight.protocol import ListOwners, ListQueue
from xinflight.tasks import QueueCommands

pytestmark = pytest.mark.slow


async def test_a_look_at_the_queue_and_the_owners_does_not_grow_with_the_crowd() -> None:
    async def count(others: int) -> list[int]:
        async with busy_gateway() as gateway:
            await crowd(gateway, others)
            queue = gateway.queue
            counts = []
            for look in (
                lambda: queue.of_everybody(ListQueue(limit=20)),
                lambda: look_at_owners(queue, ListOwners(limit=20)),
                lambda: look_at_owners(queue, ListOwners(limit=20, cursor="owner-1")),
                lambda: look_at_pools(queue),
            ):
                with Steps() as steps:
                    await look()
                counts.append(steps.count)
            await gateway.drain()
            return counts

    few, many = await count(30), await count(600)
    assert all(more < 1.5 * less + 20 for less, more in zip(few, many, strict=True)), (few, many)


async def look_at_owners(queue: QueueCommands, query: ListOwners) -> None:
    assert len(queue.owners(query).owners) == 20


async def look_at_pools(queue: QueueCommands) -> None:
    assert any(status.waiting for status in queue.pools())
