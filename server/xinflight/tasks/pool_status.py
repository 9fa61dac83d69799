"""What admins see: the pools with their models' slots."""

from collections import Counter
from collections.abc import Iterable, Mapping

from xinflight.protocol import ModelSlots, PoolStatus
from xinflight.tasks.pool_runner import PoolRunner
from xinflight.upstream import Model

__all__ = ["pool_statuses"]


def pool_statuses(
    runners: Iterable[PoolRunner], models: Mapping[str, Model], vanished: Mapping[str, Model]
) -> list[PoolStatus]:
    """Describe the pools that have a model or a task. `vanished` are models that left the list a moment ago."""
    statuses = [_status(runner, models, vanished) for runner in runners]
    return [status for status in statuses if status.models or status.tasks]


def _status(runner: PoolRunner, models: Mapping[str, Model], vanished: Mapping[str, Model]) -> PoolStatus:
    load = runner.load()
    busy = Counter(uid for _, uid, _ in runner.in_slots)
    quarantined = Counter(uid for _, uid, kept in runner.in_slots if kept)
    known = {**vanished, **models}
    return PoolStatus(
        pool=runner.pool,
        models=[
            ModelSlots(
                model=uid,
                replicas=known[uid].replicas,
                slots=known[uid].slots,
                busy=busy[uid],
                quarantined=quarantined[uid],
                missing=uid not in models,
            )
            for uid in sorted(known)
            if known[uid].pool == runner.pool
        ],
        tasks=load.tasks,
        waiting=load.waiting,
        paused=runner.ledger.tasks.count_paused(),
        owners=runner.waiting_owners,
    )
