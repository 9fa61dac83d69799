"""What an output costs its owner's share: how many seconds it keeps a slot to itself."""

from xinflight.tasks.runs import OutputRun
from xinflight.upstream import DurationHistory, Xinference

__all__ = ["UNKNOWN", "Costs"]

UNKNOWN = 60.0
"""Seconds that an output is charged in advance while nothing is known about the pool."""
NEW_WEIGHT = 0.1
"""Weight of the newest output in the pool's mean, which mixes all sizes."""


class Costs:
    """Estimate costs in one pool, in seconds of a whole replica.

    All kinds so far have a slot per replica, so a second in a slot is a second of a replica. Where a replica serves
    several requests at once, `estimate` and what is charged at the end are to be multiplied by replicas over slots.
    """

    def __init__(self, pool: str, upstream: Xinference, durations: DurationHistory) -> None:
        self._pool = pool
        self._upstream = upstream
        self._durations = durations
        self.mean: float | None = None
        """The seconds that an output of this pool takes on average, None before the first one."""

    def estimate(self, run: OutputRun) -> float:
        """Return what an output will cost: as much as those like it, else the pool's mean, else UNKNOWN."""
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
            left = max(self.estimate(run) - (now - (run.charged_from or now)), 0.0)
        return left

    @property
    def typical(self) -> float:
        """Return the pool's mean, or UNKNOWN before there is one."""
        return UNKNOWN if self.mean is None else self.mean

    def learn(self, seconds: float) -> None:
        """Add what a completed output cost to the pool's mean."""
        self.mean = seconds if self.mean is None else self.mean + NEW_WEIGHT * (seconds - self.mean)
