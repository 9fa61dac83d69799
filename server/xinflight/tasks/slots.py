"""When a slot becomes free: its owner is charged for the time."""

from xinflight.clock import Clock
from xinflight.protocol import State
from xinflight.tasks.costs import Costs
from xinflight.tasks.ledger import Ledger
from xinflight.tasks.runs import OutputRun
from xinflight.tasks.scheduler import Scheduler

__all__ = ["Slots"]


class Slots:
    """Take and give back the slots of one pool, outside of the queue's own dispatch."""

    def __init__(self, scheduler: Scheduler[OutputRun], ledger: Ledger, costs: Costs, clock: Clock) -> None:
        self._scheduler = scheduler
        self._ledger = ledger
        self._costs = costs
        self._clock = clock
        # Requests of the process's last life that may still be at a model.
        self.old: set[tuple[OutputRun, str]] = set()

    @property
    def quarantined(self) -> int:
        """How many slots are taken by requests that nobody waits for any more, and that may still run."""
        return len(self.old) + len(self._ledger.outlived)

    def occupy(self, run: OutputRun, uid: str) -> None:
        """Take a slot for a request of the process's last life; from now on its owner pays for it."""
        run.charged_from = self._clock.monotonic()
        self._scheduler.occupy(run, uid)
        self.old.add((run, uid))

    def free(self, run: OutputRun, uid: str) -> None:
        """Give back a slot, and charge its owner for the time since the first request in it, and images for that.

        So whoever cancels pays until the model is free, and what never began costs nothing.
        """
        self.old.discard((run, uid))
        self._ledger.outlived.discard(run)
        sent, run.charged_from = run.charged_from, None
        seconds = 0.0 if sent is None else self._clock.monotonic() - sent
        cost = seconds * self._costs.share(uid)
        tags = self._scheduler.release(run, uid, cost)
        if run.output.state is State.COMPLETED:
            self._costs.learn(seconds)
        if cost:
            self._ledger.charge(run, cost, tags, self._costs.mean)
