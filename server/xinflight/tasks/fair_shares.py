"""Start-time fair queueing: the tags that divide a pool's compute time among owners. No clock, no I/O.

Goyal, Vin, Cheng, "Start-time Fair Queueing" (SIGCOMM 1996); with several slots it is SFQ(D) (Jin, Chase, Kaur,
"Interposed Proportional Sharing for a Storage Service Utility", SIGMETRICS 2004). An owner's start tag is the greater
of its last finish tag and the virtual time at which its queue stopped being empty; its finish tag is the start tag
plus cost over weight. The virtual time is the greatest start tag that was dispatched. So neither does an idle owner
save up, nor does a pause wipe out a debt.

The papers know the cost of a request when it is sent. Here a cost is an estimate until its slot is free, so finish
tags are computed anew from the costs as they are known now (`ServiceChain`), and an owner without a debt who has
just come goes first whatever the virtual time (`FairShares.place`).
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Mapping

from msgspec import Struct, field

from xinflight.tasks.service_chain import Service, ServiceChain

__all__ = ["MAX_IDLE", "FairShares"]

MAX_IDLE = 10_000
"""Maximum number of owners with a debt and nothing to do that are remembered; above it the smallest is forgiven."""


class _Account(Struct, eq=False):
    """The tags of one owner. `floor` is the virtual time at which its queue stopped being empty.

    `served` tells whether it got anything since.
    """

    weight: float = 1.0
    floor: float = 0.0
    waiting: bool = False
    served: bool = False
    chain: ServiceChain = field(default_factory=ServiceChain)

    @property
    def finish(self) -> float:
        """Return the finish tag that follows from the costs as they are known now."""
        return self.chain.finish

    @property
    def start(self) -> float:
        """Return the start tag of what is dispatched next."""
        return max(self.finish, self.floor)

    @property
    def just_come(self) -> bool:
        """Tell whether it waits without a debt and was not served yet: its start tag is the virtual time."""
        return not self.served and self.finish <= self.floor


class FairShares:
    """The virtual time of a pool and the accounts of its owners: those who wait, run something, or have a debt."""

    def __init__(self) -> None:
        self.virtual_time = 0.0
        self._accounts: dict[str, _Account] = {}
        # The sum of the weights of the owners who wait.
        self._waiting_weights = 0.0
        # Owners with a debt who neither wait nor run anything, the smallest finish tag first.
        self._idle: list[tuple[float, str]] = []

    def restore(self, virtual_time: float, finish: Mapping[str, float]) -> None:
        """Go on with the tags of an earlier process, before anything else."""
        self.virtual_time = virtual_time
        for owner, tag in finish.items():
            self._accounts[owner] = _Account(chain=ServiceChain(tag))
            self._rest(owner)

    def place(self, owner: str) -> tuple[bool, float]:
        """Return the sort key of an owner who waits: whether it comes after those who have just come, and start tag.

        Those who have just come go first, in their order. With costs that are known they would anyway: nobody who
        waits has a start tag below the virtual time. One that was estimated too high has raised that for nothing,
        and once it is corrected, newcomers would wait until everybody else has used as much.
        """
        account = self._accounts[owner]
        return not account.just_come, account.start

    def weight(self, owner: str) -> float:
        """Return the weight of an owner who waits."""
        return self._accounts[owner].weight

    def set_weight(self, owner: str, weight: float) -> None:
        """Set the weight of an owner who waits; what is under way keeps the one that it was dispatched with."""
        account = self._accounts[owner]
        self._waiting_weights += weight - account.weight
        account.weight = weight

    def share(self, owner: str) -> float | None:
        """Return an owner's part of the compute time while those who wait go on waiting; None if it doesn't wait."""
        account = self._accounts.get(owner)
        if account is None or not account.waiting:
            return None
        return min(account.weight / self._waiting_weights, 1.0)

    def begin_waiting(self, owner: str) -> None:
        """Note that an owner's queue is not empty any more."""
        account = self._awake(owner)
        account.waiting = True
        self._waiting_weights += account.weight
        account.served = False
        account.floor = self.virtual_time

    def stop_waiting(self, owner: str) -> None:
        """Note that an owner's queue is empty."""
        account = self._accounts[owner]
        account.waiting = False
        self._waiting_weights -= account.weight
        self._rest(owner)

    def dispatch(self, owner: str, seconds: float, least: float) -> Service:
        """Charge an owner who waits for an output that goes into a slot now, and which may take so many seconds.

        `least` is the least tag of those who have not just come: above it, the virtual time is wrong.
        """
        account = self._accounts[owner]
        if account.just_come:
            account.floor = min(account.floor, least)
        account.served = True
        self._advance(account.start)
        return self._charge(account, account.floor, seconds)

    def occupy(self, owner: str) -> Service:
        """Charge an owner for an output that is in a slot already: nothing yet."""
        return self._charge(self._awake(owner), self.virtual_time, 0.0)

    def _charge(self, account: _Account, floor: float, seconds: float) -> Service:
        service = Service(floor, seconds / account.weight, account.weight)
        account.chain.append(service)
        return service

    def correct(self, owner: str, service: Service, seconds: float) -> None:
        """Change the cost of what is under way."""
        self._accounts[owner].chain.correct(service, seconds / service.weight)

    def end(self, owner: str, service: Service, seconds: float) -> float:
        """Charge what an output took until its slot was free; return the owner's finish tag without what runs."""
        chain = self._accounts[owner].chain
        chain.end(service, seconds / service.weight)
        finish = chain.settled
        self._rest(owner)
        return finish

    def _awake(self, owner: str) -> _Account:
        account = self._accounts.get(owner)
        if account is None:
            account = self._accounts[owner] = _Account()
        elif not account.waiting and not account.chain.under_way:
            del self._idle[bisect_left(self._idle, (account.finish, owner))]
        return account

    def _rest(self, owner: str) -> None:
        """Keep the account of an owner without anything to do only as long as it has a debt."""
        account = self._accounts[owner]
        if account.waiting or account.chain.under_way:
            return
        insort(self._idle, (account.finish, owner))
        if len(self._idle) > MAX_IDLE:
            # Otherwise a crowd that comes once and not again would fill the memory: each starts at the virtual time,
            # which therefore stays where it is.
            self._advance(self._idle[0][0])
        self._advance(self.virtual_time)

    def _advance(self, virtual_time: float) -> None:
        """Move the virtual time, never back, and forget the debts that it has passed."""
        self.virtual_time = max(self.virtual_time, virtual_time)
        passed = bisect_right(self._idle, self.virtual_time, key=lambda debt: debt[0])
        for _, owner in self._idle[:passed]:
            del self._accounts[owner]
        del self._idle[:passed]

    def __len__(self) -> int:
        """Return the number of accounts."""
        return len(self._accounts)
