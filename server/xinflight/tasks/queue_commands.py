"""What owners may do about their waiting tasks: see them, move them, pause them."""

import asyncio
from collections.abc import Iterable
from typing import Literal

from xinflight.clock import Clock
from xinflight.errors import NotFound, StorageUnavailable
from xinflight.model import Task
from xinflight.protocol import (
    CancelledTask,
    FailureCount,
    ListOwners,
    ListQueue,
    OwnerPage,
    PoolStatus,
    QueueInfo,
    WholeQueue,
)
from xinflight.storage import Outcome
from xinflight.tasks.front import Front
from xinflight.tasks.owner_page import owner_page
from xinflight.tasks.pools import Pools
from xinflight.tasks.whole_queue import whole_queue

__all__ = ["QueueCommands"]

STORED_WITHIN = 10.0
"""Seconds that a change may take to be stored before its caller is told to come again."""


class QueueCommands:
    """Carry out what an owner, or an admin in an owner's place, asks for."""

    def __init__(self, front: Front, pools: Pools, clock: Clock) -> None:
        self._front = front
        self._pools = pools
        self._clock = clock

    async def move(
        self, owner: str, task_id: str, *, before: str | None = None, to: Literal["first", "last"] | None = None
    ) -> CancelledTask:
        """Move a waiting task before another one of its owner's, or before or behind all; tell what it was.

        Idempotent; one that does not wait stays as it is. It is stored when this returns; cancelling the call does
        not take it back.

        Raises:
            NotFound: there is no such task, or none to go before.
            OutOfBounds: `before` does not wait in the same pool.
            StorageUnavailable: not now, or it counts already and is not stored yet.
        """
        task = await self._known(owner, task_id)
        if before is not None:
            await self._known(owner, before, field="before")
        was = task.state
        saved = self._pools.move(owner, task_id, before=before, to=to)
        self._pools.queue.outdated()
        await self._stored(saved)
        return CancelledTask(task_id=task_id, was=was)

    async def pause(self, owner: str, task_id: str | None, *, paused: bool) -> list[CancelledTask]:
        """Hold what waits of a task, or with `paused` False let it wait for its turn again; tell what it was.

        Without an id it is all of the owner's, and what the owner submits from now on; those that changed are told.
        Idempotent, and of no effect on a task that has ended; otherwise as `move`. Raises NotFound and
        StorageUnavailable.
        """
        change = self._pools.pause if paused else self._pools.unpause
        if task_id is not None:
            was = (await self._known(owner, task_id)).state
            saved = change(owner, task_id)
            self._pools.queue.outdated()
            await self._stored([saved])
            return [CancelledTask(task_id=task_id, was=was)]
        self._front.check_storage()
        owners = self._pools.paused_owners
        # First, so that what is being accepted is either held from its start or met below.
        await (owners.add(owner) if paused else owners.discard(owner))
        await self._front.settled(owner)
        changed, stored = [], []
        # The next ones first: while a slot is free, the first to be let go starts at once.
        for task in sorted(self._pools.of_owner(owner), key=lambda task: (-task.params.priority, task.rank)):
            if task.paused is not paused and not task.ended:
                changed.append(CancelledTask(task_id=task.task_id, was=task.state))
                stored.append(change(owner, task.task_id))
                # Others have a turn between two of up to thousands.
                await asyncio.sleep(0)
        self._pools.queue.outdated()
        await self._stored(stored)
        return changed

    async def of_owner(self, owner: str) -> QueueInfo:
        """Return what waits of an owner, the next output first, and whether all that the owner submits is held."""
        outputs, waiting = await self._pools.queue.of_owner(owner)
        return QueueInfo(outputs=outputs, waiting=waiting, paused=owner in self._pools.paused_owners, held=self.held)

    async def of_everybody(self, query: ListQueue) -> WholeQueue:
        """Return what runs and what is next of all owners, or what one of them has: for admins."""
        return await whole_queue(self._pools, self._clock, query)

    def owners(self, query: ListOwners) -> OwnerPage:
        """Return a page of the owners with unfinished work: for admins."""
        return owner_page(self._pools, self._clock, query)

    def pools(self) -> list[PoolStatus]:
        """Return what each pool has to do, and its models' slots: for admins."""
        return self._pools.statuses()

    def hold(self, *, held: bool) -> None:
        """Start nothing more of anybody until it is called with False, or the process ends: for admins."""
        self._pools.hold(held=held)

    @property
    def held(self) -> bool:
        """Whether nothing is started, by an admin's wish."""
        return self._pools.held

    def failures(self) -> list[FailureCount]:
        """Return what failed within the last hour: for admins."""
        return self._pools.counts.failures.recent()

    async def _known(self, owner: str, task_id: str, *, field: str = "task_id") -> Task:
        """Return a task that is to be changed.

        Raises:
            NotFound: there is none; `field` names it.
            StorageUnavailable: nothing can be changed now.
        """
        self._front.check_storage()
        await self._front.settled(owner, task_id)
        task = await self._front.find(owner, task_id)
        if task is None:
            raise NotFound(field=field)
        return task

    async def _stored(self, writes: Iterable[asyncio.Future[Outcome] | None]) -> None:
        """Wait until changes are stored; raise StorageUnavailable if that takes too long."""
        try:
            async with self._clock.timeout(STORED_WITHIN):
                for write in writes:
                    if write is not None:
                        await asyncio.shield(write)
        except TimeoutError:
            raise StorageUnavailable from None
