"""What those who wait are told: their place in the queue, and when their picture should be there."""

from collections.abc import Callable, Iterable

from xinflight.clock import Clock, Timer
from xinflight.pace import PaceHistory
from xinflight.scheduler import Scheduler
from xinflight.work import Work, queued_step
from xinflight.xinference import Xinference

__all__ = ["Positions"]

PAUSE = 1.0
"""Seconds between two rounds: what people can read, whatever the queue does."""


class Positions:
    """Number the queues and estimate, at most once a second. `show(work)` is called for whom there is news."""

    def __init__(
        self,
        scheduler: Scheduler[Work],
        upstream: Xinference,
        history: PaceHistory,
        clock: Clock,
        *,
        running: Callable[[], Iterable[tuple[Work, str]]],
        show: Callable[[Work], None],
    ) -> None:
        self._scheduler = scheduler
        self._upstream = upstream
        self._history = history
        self._clock = clock
        self._running = running
        self._show = show
        self._timer: Timer | None = None
        self._closed = False

    def changed(self) -> None:
        """Take note that a queue changed; a round follows within PAUSE."""
        if self._timer is None and not self._closed:
            self._timer = self._clock.call_later(PAUSE, self._round)

    def close(self) -> None:
        """Make no more rounds."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()

    def _round(self) -> None:
        self._timer = None
        for work in self.count():
            self._show(work)
        if any(self._scheduler.queue(pool) for pool in self._scheduler.pools()):
            self.changed()

    def count(self) -> list[Work]:
        """Number everyone who waits and estimate their times; return those for whom that is news."""
        return [work for pool in self._scheduler.pools() for work in self._count(pool)]

    def _count(self, pool: str) -> list[Work]:
        queue = self._scheduler.queue(pool)
        if not queue:
            return []
        uids = [model.uid for model in self._upstream.models.values() if model.pool == pool]
        durations = [self._duration(work, uids) for work in queue]
        running = [self._remaining(work, uid) for work, uid in self._running() if work.pool == pool]
        known = None not in durations and None not in running
        waits = self._scheduler.waits(pool, [left or 0.0 for left in running], [lasts or 0.0 for lasts in durations])
        step = queued_step(self._upstream.state, pool_known=bool(uids))
        news = []
        for place, work in enumerate(queue):
            before = (work.position, work.step)
            estimated = waits[place] + (durations[place] or 0.0) if known and waits else None
            moved = estimated is not None and abs((work.estimated_time or 0.0) - estimated) >= PAUSE
            work.position, work.step, work.estimated_time = place + 1, step, estimated
            if moved or before != (work.position, step):
                news.append(work)
        return news

    def _duration(self, work: Work, uids: Iterable[str]) -> float | None:
        totals = (self._history.total(work.pace_key(uid)) for uid in uids)
        return next((total for total in totals if total is not None), None)

    def _remaining(self, work: Work, uid: str) -> float | None:
        if work.pace is None:
            return self._history.total(work.pace_key(uid))
        return work.pace.remaining(self._clock.monotonic())
