"""The finish tag of an owner, from services one after the other of which any may still be corrected. No I/O.

A service with the floor f and the cost c makes of the finish tag t before it max(t, f) + c. Two of them in a row are
one again: max(max(t, f) + c, g) + d = max(t, max(f, g - c)) + c + d for all t. So in a binary tree over the services,
where each node is what is below it as one, a correction needs only the path to the root, and the tag only the root.
"""

import math
from collections.abc import Sequence

from msgspec import Struct

__all__ = ["Service", "ServiceChain"]


class Service(Struct, eq=False):
    """The cost of what an owner got, in tag units: seconds over weight. Until it has `ended` it is an estimate.

    Its start tag is the greater of the finish tag before it and `floor`. `place` is where it stands in its chain.
    """

    floor: float
    cost: float
    weight: float
    ended: bool = False
    place: int = 0

    def followed_by(self, other: "Service") -> "Service":
        """Return one service with the effect of this one and then the other, both ended."""
        floor = max(self.floor, other.floor - self.cost)
        return Service(floor, self.cost + other.cost, other.weight, ended=True)


class ServiceChain:
    """The services of one owner in the order of their starts. `base` is the finish tag before the first of them."""

    def __init__(self, base: float = 0.0) -> None:
        self.base = base
        self.under_way = 0
        """How many have not ended."""
        # In order; each stands at its leaf of both trees. Bounded by how many are under way, see `_grow`.
        self._services: list[Service] = []
        self._all = self._ended = _NOTHING

    @property
    def finish(self) -> float:
        """Return the finish tag that follows from the costs as they are known now.

        A difference that is added to the latest tag instead would hand out what an owner did not use while it was
        idle: the tag may have been raised to the virtual time after the wrong estimate.
        """
        return self._all.after(self.base)

    @property
    def settled(self) -> float:
        """Return the finish tag without what is under way: what a restart goes on from, where that is done again."""
        return self._ended.after(self.base)

    def append(self, service: Service) -> None:
        """Add a service that begins now."""
        if len(self._services) == self._all.size:
            self._grow()
        service.place = len(self._services)
        self._services.append(service)
        self._all.set(service)
        self.under_way += 1

    def correct(self, service: Service, cost: float) -> None:
        """Change the cost of a service under way."""
        service.cost = cost
        self._all.set(service)

    def end(self, service: Service, cost: float) -> None:
        """Set the cost of a service for good."""
        self.correct(service, cost)
        service.ended = True
        self._ended.set(service)
        self.under_way -= 1
        if not self.under_way:
            self.base = self.finish
            self._services.clear()
            self._all = self._ended = _NOTHING

    def _grow(self) -> None:
        """Merge services that have ended, without a change of any tag to come, and make room for as many as are left.

        Of those that are left at most every second one has ended. All this costs a constant per service, since the
        room doubles.
        """
        kept: list[Service] = []
        for service in self._services:
            if service.ended and not kept:
                self.base = max(self.base, service.floor) + service.cost
            elif service.ended and kept[-1].ended:
                kept[-1] = kept[-1].followed_by(service)
            else:
                kept.append(service)
        for place, service in enumerate(kept):
            service.place = place
        self._services = kept
        size = 1 << (2 * len(kept)).bit_length()
        self._all = _Tree(kept, size)
        self._ended = _Tree([service if service.ended else None for service in kept], size)

    def __len__(self) -> int:
        """Return how many services are remembered."""
        return len(self._services)


class _Tree:
    """A binary tree of `size` leaves, a power of two. A leaf without a service changes no tag."""

    def __init__(self, services: Sequence[Service | None], size: int) -> None:
        self.size = size
        # The root is at 1; those below the node at i are at 2i and 2i + 1.
        self._floors = [-math.inf] * max(2 * size, 2)
        self._costs = [0.0] * max(2 * size, 2)
        for place, service in enumerate(services, self.size):
            if service is not None:
                self._floors[place], self._costs[place] = service.floor, service.cost
        for node in range(self.size - 1, 0, -1):
            self._merge(node)

    def set(self, service: Service) -> None:
        """Set the leaf of a service."""
        node = self.size + service.place
        self._floors[node], self._costs[node] = service.floor, service.cost
        while node > 1:
            node //= 2
            self._merge(node)

    def _merge(self, node: int) -> None:
        """Compute a node from the two below it, the earlier one first."""
        floors, costs, first, second = self._floors, self._costs, 2 * node, 2 * node + 1
        floors[node] = max(floors[first], floors[second] - costs[first])
        costs[node] = costs[first] + costs[second]

    def after(self, tag: float) -> float:
        """Return the finish tag after all services, from the one before them."""
        return max(tag, self._floors[1]) + self._costs[1]


_NOTHING = _Tree((), 0)
"""Of everybody with nothing under way: it has no room, so it is never changed."""
