"""Places in one pool's queue, and how long what waits there will take."""

import asyncio
import heapq
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from itertools import islice

from xinflight.clock import Clock
from xinflight.protocol import Step, UpstreamState
from xinflight.tasks.ledger import Ledger
from xinflight.tasks.runs import OutputRun, Phase
from xinflight.tasks.scheduler import Scheduler
from xinflight.upstream import DurationHistory, DurationKey, Xinference

__all__ = ["SLICE", "QueuePositions", "WaitingTimes"]

SLICE = 256
"""Outputs that a pass looks at before others have a turn: less than some 2 ms."""


class WaitingTimes:
    """Estimate when each output in a queue is finished, one after the other, in seconds from now.

    `running` is what the jobs in the slots still need. From the first unknown duration on nothing is known.
    """

    def __init__(self, slots: int, running: Iterable[float | None]) -> None:
        left = list(running)
        self._known = slots > 0 and None not in left
        ends = heapq.nsmallest(slots, (seconds or 0.0 for seconds in left))
        self._ends = ends + [0.0] * (slots - len(ends))
        heapq.heapify(self._ends)

    def next(self, duration: float | None) -> float | None:
        """Return when the next output in the queue is finished, which takes `duration` once it runs."""
        if duration is None:
            self._known = False
        if not self._known or duration is None:
            return None
        end = self._ends[0] + duration
        heapq.heapreplace(self._ends, end)
        return end


class QueuePositions:
    """Compute places and waiting times of one pool.

    `running` is a live view of what is in a slot, with the model that it is at.
    """

    def __init__(
        self,
        pool: str,
        running: Iterable[tuple[OutputRun, str]],
        ledger: Ledger,
        scheduler: Scheduler[OutputRun],
        upstream: Xinference,
        durations: DurationHistory,
        clock: Clock,
    ) -> None:
        self._pool = pool
        self._running = running
        self._ledger = ledger
        self._scheduler = scheduler
        self._upstream = upstream
        self._durations = durations
        self._clock = clock

    def show_first(self, runs: Iterable[OutputRun]) -> None:
        """Show runs that have just come to the queue, but for those that start now.

        The times, and while several owners wait the places, follow with the next pass over the queue.
        """
        step, free = self._step(self._model_uids()), self._scheduler.free
        alone = self._scheduler.owners == 1
        for run in runs:
            place = self._scheduler.place(run)
            if place is not None and place >= free:
                run.view.position, run.view.step = place - free + 1 if alone else None, step
                self._ledger.show(run)

    async def walk(self) -> AsyncIterator[OutputRun]:
        """Set place, step and waiting time of all that waits for its turn; yield each, the next one first.

        Others have a turn every SLICE outputs. What comes meanwhile is found by the next walk.
        """
        for number, run in enumerate(self._place(self._scheduler.order(lasting=True)), 1):
            if run is not None:
                yield run
            if number % SLICE == 0:
                await asyncio.sleep(0)

    def first(self, limit: int) -> list[OutputRun]:
        """Set place, step and waiting time of the next `limit` outputs; return them. Looks at no others."""
        return [run for run in islice(self._place(self._scheduler.order()), limit) if run is not None]

    def _place(self, order: Iterable[OutputRun]) -> Iterator[OutputRun | None]:
        """Set place, step and waiting time of each output that still waits; yield it, or None for another one."""
        uids = self._model_uids()
        step = self._step(uids)
        times = WaitingTimes(self._scheduler.slots, [self._remaining(run, uid) for run, uid in self._running])
        durations: dict[tuple[DurationKey, ...], float | None] = {}
        place = 0
        for run in order:
            waits = run.phase is Phase.WAITING and run.waits
            if waits:
                place += 1
                run.view.position, run.view.step = place, step
                run.view.estimated_time = times.next(self._duration(run, uids, durations))
            yield run if waits else None

    def _model_uids(self) -> list[str]:
        return [model.uid for model in self._upstream.models.values() if model.pool == self._pool]

    def _step(self, uids: Sequence[str]) -> Step:
        """Return what a waiting output waits for: its turn, or a model."""
        ready = self._upstream.state is UpstreamState.READY and uids
        return Step.QUEUED if ready else Step.WAITING_FOR_MODEL

    def _duration(
        self, run: OutputRun, uids: Sequence[str], known: dict[tuple[DurationKey, ...], float | None]
    ) -> float | None:
        """Return how long one will take once it runs; most of a queue are of the same few sizes."""
        keys = tuple(run.duration_key(uid) for uid in uids)
        if keys not in known:
            totals = (self._durations.total(key) for key in keys)
            known[keys] = next((total for total in totals if total is not None), None)
        return known[keys]

    def _remaining(self, run: OutputRun, uid: str) -> float | None:
        estimator = run.view.estimator
        if estimator is None:
            return self._durations.total(run.duration_key(uid))
        return estimator.remaining(self._clock.monotonic())
