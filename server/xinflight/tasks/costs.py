"""What an output costs its owner's share: how many seconds of a whole replica it takes."""

from xinflight.tasks.runs import OutputRun
from xinflight.upstream import DurationHistory, Xinference

__all__ = ["UNKNOWN", "Costs"]

UNKNOWN = 60.0
"""Seconds that an output is taken to need while nothing is known about the pool."""
NEW_WEIGHT = 0.1
"""Weight of the newest output in the pool's mean, which mixes all sizes."""


class Costs:
    """Estimate durations and costs in one pool.

    A cost is in seconds of a whole replica: where a replica has several slots, a second in one of them costs its part
    of a second, so that eight chats that run side by side don't pay for eight replicas.
    """

    def __init__(self, pool: str, upstream: Xinference, durations: DurationHistory) -> None:
        self._pool = pool
        self._upstream = upstream
        self._durations = durations
        self.mean: float | None = None
        """The seconds that an output of this pool is in a slot on average, None before the first one."""

    def share(self, uid: str) -> float:
        """Return the part of a replica that a slot of a model is."""
        model = self._upstream.models.get(uid) or self._upstream.vanished.get(uid)
        return 1.0 if model is None else model.replicas / model.slots

    def estimate(self, run: OutputRun) -> float:
        """Return what an output will cost, where its pool has equal models."""
        uids = (model.uid for model in self._upstream.models.values() if model.pool == self._pool)
        return self._duration(run) * self.share(next(uids, ""))

    def _duration(self, run: OutputRun) -> float:
        """Return how long an output will take: as long as those like it, else the pool's mean, else UNKNOWN."""
        for model in self._upstream.models.values():
            if model.pool == self._pool:
                total = self._durations.total(run.duration_key(model.uid))
                if total is not None:
                    return total
        return self.typical

    def remaining(self, run: OutputRun, now: float) -> float:
        """Return the seconds that an output in a slot will still need; `now` is monotonic."""
        estimator = run.view.estimator
        left = None if estimator is None else estimator.remaining(now)
        if left is None:
            left = max(self._duration(run) - (now - (run.charged_from or now)), 0.0)
        return left

    @property
    def typical(self) -> float:
        """Return the pool's mean, or UNKNOWN before there is one."""
        return UNKNOWN if self.mean is None else self.mean

    def learn(self, seconds: float) -> None:
        """Add how long a completed output was in its slot to the pool's mean."""
        self.mean = seconds if self.mean is None else self.mean + NEW_WEIGHT * (seconds - self.mean)
