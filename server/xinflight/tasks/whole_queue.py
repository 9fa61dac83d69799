"""What admins see: the work of all owners, without what it is about."""

import asyncio
from collections.abc import AsyncIterator

from xinflight.clock import Clock
from xinflight.protocol import QueueEntry, WholeQueue
from xinflight.tasks.pool_runner import PoolRunner
from xinflight.tasks.pools import Pools
from xinflight.tasks.queue_positions import SLICE
from xinflight.tasks.runs import OutputRun, Phase

__all__ = ["whole_queue"]


async def whole_queue(pools: Pools, clock: Clock, *, after: int, limit: int) -> WholeQueue:
    """Return what runs, and at most `limit` of what waits behind the first `after`.

    Places and times are at most a second old. Others have a turn every SLICE outputs, so what changes meanwhile may
    be missing.
    """
    await pools.queue.refresh()
    now = clock.monotonic()
    running: list[QueueEntry] = []
    waiting: list[QueueEntry] = []
    count = 0
    for runner in pools.runners():
        for run, uid in runner.in_slots:
            run.view.update(now)
            running.append(_entry(run, runner.pool, uid))
        async for run in _waiting(runner):
            if after <= count < after + limit:
                waiting.append(_entry(run, runner.pool, run.task.params.model))
            count += 1
    following = str(after + limit) if after + limit < count else None
    return WholeQueue(timestamp=clock.time(), running=running, waiting=waiting, waiting_count=count, next=following)


async def _waiting(runner: PoolRunner) -> AsyncIterator[OutputRun]:
    """Yield all that waits in a pool, the next one first, then all that is held."""
    held = (run for active in runner.ledger.tasks.all() if active.task.paused for run in active.runs)
    looked_at = 0
    for phase, runs in ((Phase.WAITING, runner.positions.next_ones()), (Phase.PAUSED, held)):
        for run in runs:
            if run.phase is phase and run.waits:
                yield run
            looked_at += 1
            if looked_at % SLICE == 0:
                await asyncio.sleep(0)


def _entry(run: OutputRun, pool: str, model: str | None) -> QueueEntry:
    task, view = run.task, run.view
    return QueueEntry(
        owner=task.owner,
        task_id=task.task_id,
        index=run.output.index,
        pool=pool,
        model=model,
        state=run.output.state,
        step=view.step,
        progress=view.percent,
        position=view.position if run.waits else None,
        estimated_time=None if view.estimated_time is None else round(view.estimated_time, 1),
        priority=task.params.priority,
        created=task.created,
    )
