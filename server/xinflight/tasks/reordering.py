"""Where a task stands among its owner's: ranks that put one task before another. No I/O."""

import math
from collections.abc import Iterable, Sequence
from typing import Literal

from xinflight.tasks.runs import ActiveTask

__all__ = ["Destination", "new_ranks"]

Destination = ActiveTask | Literal["first", "last"]
"""Right before another task that waits, or before or behind all of them."""


def new_ranks(tasks: Iterable[ActiveTask], mine: ActiveTask, to: Destination) -> tuple[dict[ActiveTask, float], int]:
    """Return the ranks that put `mine` where it shall stand, and the priority that it needs there.

    `tasks` are all unfinished ones of an owner in a pool, in any order. No ranks are returned if it stands there.
    """
    before = sorted(tasks, key=_key)
    others = [active for active in before if active is not mine]
    waiting = [active for active in others if active.waits]
    if not waiting:
        return {}, mine.task.params.priority
    beside = waiting[0] if to == "first" else waiting[-1] if to == "last" else to
    place = others.index(beside) + (to == "last")
    after = [*others[:place], mine, *others[place:]]
    # That of the task beside it: with a lower one it would stand behind that task all the same.
    priority = beside.task.params.priority
    if after == before:
        return {}, mine.task.params.priority
    same = [active for active in after if active is mine or active.task.params.priority == priority]
    rank = _between(same, same.index(mine))
    if rank is not None:
        return {mine: rank}, priority
    # They came at the same moment, or no number is left between two of them. None may go above the highest rank, or
    # it would stand behind tasks that are accepted later.
    top = max(active.task.rank for active in same)
    return {active: top - (len(same) - 1 - index) for index, active in enumerate(same)}, priority


def _key(active: ActiveTask) -> tuple[int, float, int]:
    return -active.task.params.priority, active.task.rank, active.sequence


def _between(tasks: Sequence[ActiveTask], place: int) -> float | None:
    """Return a rank between those beside a place, or None if there is no number."""
    low = tasks[place - 1].task.rank if place else None
    high = tasks[place + 1].task.rank if place + 1 < len(tasks) else None
    if low is None:
        return None if high is None else high - 1.0
    if high is None:
        # The very next number: whatever is accepted later stands behind it.
        return math.nextafter(low, math.inf)
    rank = low + (high - low) / 2
    return rank if low < rank < high else None
