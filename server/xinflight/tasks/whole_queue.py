"""What admins see: the work of all owners, or of one, without what it is about."""

from heapq import nsmallest
from math import inf

from xinflight.clock import Clock
from xinflight.protocol import ListQueue, QueueEntry, WholeQueue
from xinflight.tasks.pools import Pools
from xinflight.tasks.runs import OutputRun

__all__ = ["whole_queue"]

_Key = tuple[int, float, int]
"""Where an output stands among its owner's: lower ones are made first."""


async def whole_queue(pools: Pools, clock: Clock, query: ListQueue) -> WholeQueue:
    """Return what occupies slots, and the next `limit` outputs of each pool, or a page of what waits of one owner.

    Looks at no more of the queue than it returns; with an owner at all of that owner's, whose places and times are at
    most a second old.
    """
    owner, limit = query.owner, query.limit
    if owner is not None:
        await pools.queue.refresh()
    now = clock.monotonic()
    occupied = [
        (run, runner.pool, uid, quarantined)
        for runner in pools.runners()
        for run, uid, quarantined in runner.in_slots
        if owner in (None, run.owner)
    ]
    longest = nsmallest(
        limit, occupied, key=lambda slot: inf if slot[0].charged_from is None else slot[0].charged_from
    )
    for run, *_ in longest:
        run.view.update(now)
    running = [_entry(run, pool, uid, now, quarantined=quarantined) for run, pool, uid, quarantined in longest]
    waiting, count, following = _next_ones(pools, query) if owner is None else _page_of(pools, owner, query)
    return WholeQueue(
        timestamp=clock.time(),
        running=running,
        running_count=len(occupied),
        waiting=[_entry(run, pool, run.task.params.model, now) for run, pool in waiting],
        waiting_count=count,
        next=following,
    )


def _next_ones(pools: Pools, query: ListQueue) -> tuple[list[tuple[OutputRun, str]], int, None]:
    """Return the next outputs of each pool, with its name, and how many wait in all."""
    runners = pools.runners()
    waiting = [(run, runner.pool) for runner in runners for run in runner.positions.first(query.limit)]
    return waiting, sum(runner.load().waiting for runner in runners), None


def _page_of(pools: Pools, owner: str, query: ListQueue) -> tuple[list[tuple[OutputRun, str]], int, str | None]:
    """Return a page of what waits or is paused of an owner, how many that are in all, and the next page's cursor."""
    waiting = [
        (run, runner.pool)
        for runner in pools.runners()
        for active in runner.ledger.tasks.of_owner(owner)
        for run in active.runs
        if run.waits
    ]
    after = None if query.cursor is None else _key_of(query.cursor)
    rest = [found for found in waiting if after is None or _key(found[0]) > after]
    page = nsmallest(query.limit, rest, key=lambda found: _key(found[0]))
    following = _cursor(page[-1][0]) if len(rest) > len(page) else None
    return page, len(waiting), following


def _key(run: OutputRun) -> _Key:
    return -run.priority, run.rank, run.sequence


def _cursor(run: OutputRun) -> str:
    # The shortest text that is this very number again.
    return f"{-run.priority}~{run.rank!r}~{run.sequence}"


def _key_of(cursor: str) -> _Key:
    priority, rank, sequence = cursor.split("~")
    return int(priority), float(rank), int(sequence)


def _entry(run: OutputRun, pool: str, model: str | None, now: float, *, quarantined: bool = False) -> QueueEntry:
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
        elapsed=None if view.estimator is None else round(now - view.started, 1),
        quarantined=quarantined,
        priority=task.params.priority,
        created=task.created,
    )
