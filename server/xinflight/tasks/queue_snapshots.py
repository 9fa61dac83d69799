"""What people are told of their waiting work: one `queue` snapshot per owner, at most once a second."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Collection, Container, Iterable, Mapping, Sequence
from heapq import nsmallest

from xinflight.clock import Clock
from xinflight.journal import QUEUED_OUTPUTS, Journal
from xinflight.model import OwnerQueue
from xinflight.protocol import QueuedOutput
from xinflight.tasks.pool_runner import PoolRunner
from xinflight.tasks.queue_positions import SLICE
from xinflight.tasks.runs import OutputRun

__all__ = ["QueueSnapshots", "queued_output"]

PAUSE = 1.0
"""Seconds between two passes: what people can read, whatever the queues do."""
TOLD_AGAIN = 1.0
"""Seconds by which a waiting time must be off, at the least, to be told again."""


class QueueSnapshots:
    """Pass over the queues of all pools, and tell owners who have subscribers what has changed for them.

    `runners` is a live view of the pools, `paused` of the owners who paused everything; `held` tells whether an admin
    holds the server.
    """

    def __init__(
        self,
        runners: Mapping[str, PoolRunner],
        paused: Container[str],
        held: Callable[[], bool],
        journal: Journal,
        clock: Clock,
    ) -> None:
        self._runners = runners
        self._paused = paused
        self._held = held
        self._journal = journal
        self._clock = clock
        self._changed = asyncio.Event()
        # When the latest pass over everything ended, in monotonic seconds.
        self._passed = float("-inf")
        self._passing = asyncio.Lock()

    def changed(self) -> None:
        """Note that a queue changed, or who watches one; those who watch hear of it within a second."""
        self._changed.set()

    def outdated(self) -> None:
        """Note that an owner changed the order: whoever asks is not answered with places of before."""
        self._passed = float("-inf")
        self._changed.set()

    async def run(self) -> None:
        """Tell the owners what changed, at most every PAUSE seconds, until cancelled."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            if await self._tell():
                # A time that was told becomes wrong by itself while the running job takes longer than estimated.
                self._changed.set()
            await self._clock.sleep(PAUSE)

    async def _tell(self) -> bool:
        """Publish the queues of subscribed owners that have news; return whether somebody still waits."""
        owners = [owner for owner in self._journal.subscribed_owners() if self._concerns(owner)]
        if not owners:
            return False
        waiting = await self._pass_over(set(owners))
        looked_at = 0
        for owner in owners:
            await self._publish(owner, waiting[owner])
            looked_at += len(waiting[owner]) + 1
            if looked_at >= SLICE:
                looked_at = 0
                await asyncio.sleep(0)
        return any(run.view.position is not None for runs in waiting.values() for run in runs[:1])

    def _concerns(self, owner: str) -> bool:
        """Tell whether there may be something to tell an owner."""
        known = self._journal.queue(owner)
        return (
            owner in self._paused
            or (known is not None and (known.paused or known.held or len(known.outputs) > 0))
            or any(runner.ledger.tasks.count(owner) for runner in self._runners.values())
        )

    async def _pass_over(self, owners: Collection[str]) -> dict[str, list[OutputRun]]:
        """Compute places and times in all pools; return what waits of some owners, the next ones first."""
        waiting: defaultdict[str, list[OutputRun]] = defaultdict(list)
        async with self._passing:
            runners = list(self._runners.values())
            for runner in runners:
                async for run in runner.positions.walk():
                    if run.task.owner in owners:
                        waiting[run.task.owner].append(run)
            self._passed = self._clock.monotonic()
        for owner in owners:
            for runner in runners:
                waiting[owner] += runner.ledger.tasks.held(owner)
            waiting[owner].sort(key=_place)
        return waiting

    async def _publish(self, owner: str, runs: Iterable[OutputRun]) -> None:
        """Publish a queue, unless all of it is as it was told. Others have a turn every SLICE outputs."""
        known, now = self._journal.queue(owner), self._clock.monotonic()
        paused, held = owner in self._paused, self._held()
        told = {} if known is None else dict(zip(_keys(known), known.outputs, strict=True))
        # What is held has no place that could tell of a move: its order is compared instead.
        held_before = [key for key, output in told.items() if output.position is None]
        held_now: list[tuple[str, int]] = []
        passed = 0.0 if known is None else now - known.at
        uids: list[str] = []
        outputs: list[QueuedOutput] = []
        places: defaultdict[str, list[int]] = defaultdict(list)
        news = set()
        for number, run in enumerate(runs, 1):
            if number % SLICE == 0:
                await asyncio.sleep(0)
            if not run.waits:
                continue
            output = queued_output(run)
            places[run.task.uid].append(len(outputs))
            uids.append(run.task.uid)
            outputs.append(output)
            if output.position is None:
                held_now.append((run.task.uid, output.index))
            before = told.pop((run.task.uid, output.index), None)
            if before is None or _is_news(before, output, passed):
                news.add(run.task.uid)
        # What waits no more is news, too: whoever has only these messages would show its place for ever.
        news.update(uid for uid, _ in told)
        news.update(_reordered(held_before, held_now))
        state = (False, False) if known is None else (known.paused, known.held)
        changed = bool(news) or (paused, held) != state
        # The last subscriber may have left meanwhile.
        if changed and self._journal.has_subscriber(owner):
            self._journal.publish_queue(
                OwnerQueue(
                    owner=owner,
                    timestamp=self._clock.time(),
                    at=now,
                    uids=tuple(uids),
                    outputs=tuple(outputs),
                    places=places,
                    paused=paused,
                    held=held,
                    news=frozenset(news),
                )
            )

    # For whoever asks

    async def of_owner(self, owner: str) -> tuple[list[QueuedOutput], int]:
        """Return the first outputs that wait of an owner, the next one first, and how many wait in all.

        Places and times are of the last second. What is not returned is not made either: owners may ask often.
        """
        await self.refresh()
        runs = [
            run
            for runner in self._runners.values()
            for active in runner.ledger.tasks.of_owner(owner)
            for run in active.runs
            if run.waits
        ]
        return [queued_output(run) for run in nsmallest(QUEUED_OUTPUTS, runs, key=_place)], len(runs)

    async def refresh(self) -> None:
        """Pass over all queues unless that was done in the last second. Callers at the same time share one pass."""
        if self._passing.locked():
            async with self._passing:
                return
        if self._clock.monotonic() - self._passed >= PAUSE:
            await self._pass_over(())


def queued_output(run: OutputRun) -> QueuedOutput:
    """Return a waiting output as it is told."""
    view = run.view
    time = None if view.estimated_time is None else round(view.estimated_time, 1)
    return QueuedOutput(
        task_id=run.task.task_id,
        index=run.output.index,
        position=view.position,
        estimated_time=time,
        step=view.step,
    )


def _keys(queue: OwnerQueue) -> Iterable[tuple[str, int]]:
    return ((uid, output.index) for uid, output in zip(queue.uids, queue.outputs, strict=True))


def _place(run: OutputRun) -> tuple[float, int, float, int]:
    """Return the key of the order in which outputs of an owner are told: by place, then those without one."""
    place = float("inf") if run.view.position is None else run.view.position
    return place, -run.priority, run.rank, run.sequence


def _reordered(before: Sequence[tuple[str, int]], now: Sequence[tuple[str, int]]) -> set[str]:
    """Return the tasks of which an output stands elsewhere among those that are in both lists."""
    both = set(before).intersection(now)
    pairs = zip((key for key in before if key in both), (key for key in now if key in both), strict=True)
    return {uid for was, (uid, index) in pairs if was != (uid, index)}


def _is_news(told: QueuedOutput, output: QueuedOutput, passed: float) -> bool:
    """Tell whether place or step changed, or the time that was told `passed` seconds ago is off by over a fifth."""
    if (told.position, told.step) != (output.position, output.step):
        return True
    if told.estimated_time is None or output.estimated_time is None:
        return told.estimated_time is not output.estimated_time
    expected = told.estimated_time - passed
    return abs(output.estimated_time - expected) > max(output.estimated_time / 5, TOLD_AGAIN)
