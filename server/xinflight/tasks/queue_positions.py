"""What those who wait are told: their place in the queue, and when their output should be there."""

from collections.abc import Iterable, Sequence

from xinflight.clock import Clock, Timer
from xinflight.journal import Journal
from xinflight.protocol import Step, UpstreamState
from xinflight.tasks.ledger import Ledger
from xinflight.tasks.runs import OutputRun
from xinflight.tasks.scheduler import Scheduler
from xinflight.upstream import DurationHistory, DurationKey, Xinference

__all__ = ["QueuePositions"]

PAUSE = 1.0
"""Seconds between two rounds: what people can read, whatever the queue does."""


class QueuePositions:
    """Compute places and waiting times of one pool, in one pass over its queue and at most once a second.

    `running` is a live view of what is in a slot, with the model that it is at.
    """

    def __init__(
        self,
        pool: str,
        running: Iterable[tuple[OutputRun, str]],
        ledger: Ledger,
        scheduler: Scheduler[OutputRun],
        journal: Journal,
        upstream: Xinference,
        durations: DurationHistory,
        clock: Clock,
    ) -> None:
        self._pool = pool
        self._running = running
        self._ledger = ledger
        self._scheduler = scheduler
        self._journal = journal
        self._upstream = upstream
        self._durations = durations
        self._clock = clock
        self._timer: Timer | None = None
        self._closed = False

    def changed(self) -> None:
        """Note that the queue changed; a round follows within PAUSE."""
        if self._timer is None and not self._closed:
            self._timer = self._clock.call_later(PAUSE, self._round)

    def added(self, runs: Iterable[OutputRun]) -> None:
        """Show the places of runs that have just come, but for those that start now.

        The places of others, the times, and while several owners wait all places, follow in the next round.
        """
        step, free = self._step(self._model_uids()), self._scheduler.free
        alone = self._scheduler.owners == 1
        for run in runs:
            place = self._scheduler.place(run)
            if place is not None and place >= free:
                run.view.position, run.view.step = place - free + 1 if alone else None, step
                self._ledger.show(run)
        self.changed()

    def close(self) -> None:
        """Make no more rounds."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()

    def _round(self) -> None:
        self._timer = None
        now = self._clock.monotonic()
        queue = list(self._scheduler.order())
        self._estimate(queue)
        for run in queue:
            # Compared with what was shown last, not with the last round: an accept between two rounds must not
            # swallow the news, and a time that passes as it was told is none.
            if self._journal.has_subscriber(run.task.owner) and run.view.has_news(now):
                self._ledger.show(run)
        if queue:
            self.changed()

    def _estimate(self, queue: Sequence[OutputRun]) -> None:
        """Set place, step and time of everyone in the queue."""
        uids = self._model_uids()
        durations = self._durations_of(queue, uids)
        running = [self._remaining(run, uid) for run, uid in self._running]
        known = None not in durations and None not in running
        waits = self._scheduler.waits([left or 0.0 for left in running], [lasts or 0.0 for lasts in durations])
        step = self._step(uids)
        for index, run in enumerate(queue):
            view = run.view
            view.position, view.step = index + 1, step
            view.estimated_time = waits[index] + (durations[index] or 0.0) if known and waits else None

    def _model_uids(self) -> list[str]:
        return [model.uid for model in self._upstream.models.values() if model.pool == self._pool]

    def _step(self, uids: Sequence[str]) -> Step:
        """Return what a waiting output waits for: its turn, or a model."""
        ready = self._upstream.state is UpstreamState.READY and uids
        return Step.QUEUED if ready else Step.WAITING_FOR_MODEL

    def _durations_of(self, queue: Iterable[OutputRun], uids: Sequence[str]) -> list[float | None]:
        """Return how long each one will take once it runs; most of a queue are of the same few sizes."""
        known: dict[tuple[DurationKey, ...], float | None] = {}
        durations = []
        for run in queue:
            keys = tuple(run.duration_key(uid) for uid in uids)
            if keys not in known:
                totals = (self._durations.total(key) for key in keys)
                known[keys] = next((total for total in totals if total is not None), None)
            durations.append(known[keys])
        return durations

    def _remaining(self, run: OutputRun, uid: str) -> float | None:
        estimator = run.view.estimator
        if estimator is None:
            return self._durations.total(run.duration_key(uid))
        return estimator.remaining(self._clock.monotonic())
