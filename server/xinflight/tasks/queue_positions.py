"""What those who wait are told: their place in the queue, and when their picture should be there."""

from collections.abc import Callable, Iterable, Sequence

from xinflight.clock import Clock, Timer
from xinflight.tasks.runs import Work, queued_step
from xinflight.tasks.scheduler import Scheduler
from xinflight.upstream import DurationHistory, Xinference

__all__ = ["QueuePositions"]

PAUSE = 1.0
"""Seconds between two rounds: what people can read, whatever the queue does."""


class QueuePositions:
    """Compute places and waiting times, in one pass over each queue and at most once a second.

    `show(work)` is called for those for whom there is news and whose owner is `watched`.
    """

    def __init__(
        self,
        scheduler: Scheduler[Work],
        upstream: Xinference,
        history: DurationHistory,
        clock: Clock,
        *,
        running: Callable[[], Iterable[tuple[Work, str]]],
        watched: Callable[[str], bool],
        show: Callable[[Work], None],
    ) -> None:
        self._scheduler = scheduler
        self._upstream = upstream
        self._history = history
        self._clock = clock
        self._running = running
        self._watched = watched
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

    def place(self, work: Work) -> None:
        """Set the place of one that has just come; the others hear of it, and it of its time, in the next round."""
        index = self._scheduler.place(work)
        work.position = None if index is None else index + 1
        pool_known = any(model.pool == work.pool for model in self._upstream.models.values())
        work.step = queued_step(self._upstream.state, pool_known=pool_known)

    def _round(self) -> None:
        self._timer = None
        now = self._clock.monotonic()
        waiting = False
        for pool in list(self._scheduler.pools()):
            queue = self._scheduler.queue(pool)
            waiting = waiting or bool(queue)
            self._estimate(pool, queue)
            for work in queue:
                # Held against what was told last, not against the last round: an accept between the two rounds must
                # not swallow the news, and a time that passes as it was told is none.
                if self._watched(work.live.task.owner) and work.has_news(now):
                    self._show(work)
        if waiting:
            self.changed()

    def _estimate(self, pool: str, queue: Sequence[Work]) -> None:
        """Set place, step and time of everyone in a queue."""
        uids = [model.uid for model in self._upstream.models.values() if model.pool == pool]
        durations = self._durations(queue, uids)
        running = [self._remaining(work, uid) for work, uid in self._running() if work.pool == pool]
        known = None not in durations and None not in running
        waits = self._scheduler.waits(pool, [left or 0.0 for left in running], [lasts or 0.0 for lasts in durations])
        step = queued_step(self._upstream.state, pool_known=bool(uids))
        for index, work in enumerate(queue):
            work.position, work.step = index + 1, step
            work.estimated_time = waits[index] + (durations[index] or 0.0) if known and waits else None

    def _durations(self, queue: Iterable[Work], uids: Sequence[str]) -> list[float | None]:
        """Return how long each one will take once it runs; most of a queue are of the same few kinds."""
        kinds: dict[tuple[str, int | None], float | None] = {}
        durations = []
        for work in queue:
            params = work.live.task.params
            kind = params.size, params.steps
            if kind not in kinds:
                totals = (self._history.total(work.pace_key(uid)) for uid in uids)
                kinds[kind] = next((total for total in totals if total is not None), None)
            durations.append(kinds[kind])
        return durations

    def _remaining(self, work: Work, uid: str) -> float | None:
        if work.pace is None:
            return self._history.total(work.pace_key(uid))
        return work.pace.remaining(self._clock.monotonic())
