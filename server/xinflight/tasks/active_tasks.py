"""The unfinished tasks of one pool: found by owner and id, and counted. Changed by the pool's ledger alone."""

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Iterator
from itertools import islice

from xinflight.protocol import State
from xinflight.tasks.runs import ActiveTask, OutputRun, Phase

__all__ = ["ActiveTasks"]


class ActiveTasks:
    """Unfinished tasks by owner, then by task id, so that nothing done for one owner looks at another's.

    `size` is how many there are, `outputs` how many of their outputs are in each state, by kind; no count looks at
    all of them.
    """

    def __init__(self) -> None:
        # Bounded by admission.
        self._tasks: dict[str, dict[str, ActiveTask]] = {}
        # The keys of `_tasks` in their order, so that a page of them looks at no others.
        self._owners: list[str] = []
        # How many of `_tasks` are paused, by owner.
        self._paused: Counter[str] = Counter()
        # Bytes of `_tasks` by owner.
        self._bytes: Counter[str] = Counter()
        # How many of `_tasks` came from an address.
        self._addresses: Counter[str] = Counter()
        self.size = 0
        self.outputs: Counter[tuple[str, State]] = Counter()

    def find(self, owner: str, task_id: str) -> ActiveTask | None:
        """Return an unfinished task, or None."""
        return self._tasks.get(owner, {}).get(task_id)

    def of_owner(self, owner: str) -> list[ActiveTask]:
        """Return an owner's unfinished tasks in the order of their acceptance."""
        return list(self._tasks.get(owner, {}).values())

    def all(self) -> list[ActiveTask]:
        """Return the unfinished tasks of all owners: for a start, an end, or a change of the upstream."""
        return [active for of_owner in self._tasks.values() for active in of_owner.values()]

    def held(self, owner: str) -> list[OutputRun]:
        """Return the runs of an owner that are held."""
        paused = (active for active in self._tasks.get(owner, {}).values() if active.task.paused)
        return [run for active in paused for run in active.runs if run.phase is Phase.PAUSED]

    def owners(self, first: str) -> Iterator[str]:
        """Yield the owners of unfinished tasks from a name on, in order. The tasks must not change meanwhile."""
        return islice(self._owners, bisect_left(self._owners, first), None)

    def count(self, owner: str) -> int:
        """Return how many unfinished tasks an owner has."""
        return len(self._tasks.get(owner, ()))

    def count_paused(self, owner: str | None = None) -> int:
        """Return how many unfinished tasks of an owner, or of all, are paused."""
        return self._paused.total() if owner is None else self._paused[owner]

    def bytes_of(self, owner: str) -> int:
        """Return how many bytes an owner's unfinished tasks take."""
        return self._bytes[owner]

    def count_from(self, address: str) -> int:
        """Return how many unfinished tasks came from an address."""
        return self._addresses[address]

    def add(self, active: ActiveTask) -> None:
        """Add a task with its runs."""
        owner = active.task.owner
        if owner not in self._tasks:
            self._tasks[owner] = {}
            insort(self._owners, owner)
        self._tasks[owner][active.task.task_id] = active
        if active.task.paused:
            self._count_paused(owner, 1)
        self._bytes[owner] += active.bytes
        if active.address is not None:
            self._addresses[active.address] += 1
        self.size += 1
        self.outputs.update((active.task.kind, run.output.state) for run in active.runs)

    def remove(self, active: ActiveTask) -> None:
        """Remove a task that ended, or that another pool runs from now on."""
        owner = active.task.owner
        of_owner = self._tasks[owner]
        del of_owner[active.task.task_id]
        self._bytes[owner] -= active.bytes
        self.size -= 1
        if not of_owner:
            del self._tasks[owner], self._bytes[owner], self._owners[bisect_left(self._owners, owner)]
        if active.task.paused:
            self._count_paused(owner, -1)
        if active.address is not None:
            self._addresses[active.address] -= 1
            if not self._addresses[active.address]:
                del self._addresses[active.address]
        self.outputs.subtract((active.task.kind, run.output.state) for run in active.runs if not run.output.ended)
        # Each refers to the task: a reference cycle, which would stay until a full garbage collection.
        active.runs.clear()

    def pause(self, active: ActiveTask, *, paused: bool) -> None:
        """Mark a task as paused, or not any more."""
        if active.task.paused is not paused:
            active.task.paused = paused
            self._count_paused(active.task.owner, 1 if paused else -1)

    def _count_paused(self, owner: str, by: int) -> None:
        self._paused[owner] += by
        if not self._paused[owner]:
            del self._paused[owner]

    def moved(self, run: OutputRun, before: State) -> None:
        """Count a run whose output is in another state than before."""
        self.outputs[run.task.kind, before] -= 1
        if not run.output.ended:
            self.outputs[run.task.kind, run.output.state] += 1
