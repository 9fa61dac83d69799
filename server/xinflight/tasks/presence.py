"""Who is there: the grace period after which tasks with `on_disconnect: cancel` are cancelled."""

from collections import Counter

from xinflight.clock import Clock, Timer
from xinflight.tasks.pools import Pools
from xinflight.upstream import PollBudget

__all__ = ["Presence"]


class Presence:
    """Count the subscribers of each owner; `grace` seconds after the last one left, cancel what is marked for it.

    What runs for an owner who has a subscriber is polled first.
    """

    def __init__(self, pools: Pools, polls: PollBudget, clock: Clock, grace: float) -> None:
        self._pools = pools
        self._polls = polls
        self._clock = clock
        self._grace = grace
        self._subscribers: Counter[str] = Counter()
        # One timer per owner without a subscriber; it goes when one comes or when it fires.
        self._absent: dict[str, Timer] = {}
        self._closed = False

    def joined(self, owner: str) -> None:
        """Count one more subscriber of an owner."""
        self._subscribers[owner] += 1
        if self._subscribers[owner] == 1:
            self._polls.watch(owner)
        timer = self._absent.pop(owner, None)
        if timer is not None:
            timer.cancel()

    def left(self, owner: str) -> None:
        """Count one less; the last one starts the grace period."""
        self._subscribers[owner] -= 1
        if self._subscribers[owner] == 0:
            del self._subscribers[owner]
            self._polls.unwatch(owner)
            self.absent(owner)

    def absent(self, owner: str) -> None:
        """Start the grace period of an owner without a subscriber, unless it runs."""
        if not self._closed and owner not in self._subscribers and owner not in self._absent:
            self._absent[owner] = self._clock.call_later(self._grace, lambda: self._cancel(owner))

    def _cancel(self, owner: str) -> None:
        del self._absent[owner]
        self._pools.abandoned(owner)

    def close(self) -> None:
        """Stop all grace periods."""
        self._closed = True
        for timer in self._absent.values():
            timer.cancel()
        self._absent.clear()
