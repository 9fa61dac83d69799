"""All pools of this process: opened when a task needs one, closed when the process ends.

This is what the front knows of those who run tasks: submit, find, cancel, pause, move, queue. Another process
could answer the same calls.
"""

import asyncio
import itertools
import math
from collections import defaultdict
from typing import Literal

import structlog

from xinflight.clock import Clock
from xinflight.errors import OutOfBounds, StorageUnavailable
from xinflight.journal import Journal
from xinflight.model import Task
from xinflight.protocol import PoolStatus
from xinflight.settings import Settings
from xinflight.storage import Blobs, Outcome
from xinflight.supervise import Supervisor
from xinflight.tasks.costs import UNKNOWN
from xinflight.tasks.counts import Counts
from xinflight.tasks.file_labels import FileLabels
from xinflight.tasks.image_inputs import ImageInputs
from xinflight.tasks.paused_owners import PausedOwners
from xinflight.tasks.pool_runner import UNASSIGNED, PoolRunner
from xinflight.tasks.pool_status import pool_statuses
from xinflight.tasks.queue_snapshots import QueueSnapshots
from xinflight.tasks.runs import ActiveTask
from xinflight.tasks.unsaved import UnsavedBytes
from xinflight.telemetry import UNCOUNTED, Telemetry
from xinflight.uploads import Uploads
from xinflight.upstream import KINDS, DurationHistory, Model, Xinference

__all__ = ["Pools"]

RETRY_AFTER = (1.0, 600.0)
"""Minimum and maximum seconds after which a client that was refused is asked to try again."""

log = structlog.stdlib.get_logger(__name__)


class Pools:
    """Own the pool runners."""

    def __init__(
        self,
        settings: Settings,
        upstream: Xinference,
        journal: Journal,
        blobs: Blobs,
        uploads: Uploads,
        clock: Clock,
        supervisor: Supervisor,
        telemetry: Telemetry = UNCOUNTED,
    ) -> None:
        self.unsaved = UnsavedBytes(settings.unsaved_bytes)
        self._settings = settings
        self._upstream = upstream
        self._journal = journal
        self._blobs = blobs
        self._images = ImageInputs(uploads, settings)
        self._labels = FileLabels(settings, clock)
        self._clock = clock
        self._supervisor = supervisor
        self.counts = Counts(clock, telemetry)
        self._durations = DurationHistory()
        # One per pool that has, or had, a model or an unfinished task: not for names that clients make up.
        self._runners: dict[str, PoolRunner] = {}
        self._sequence = itertools.count(1)
        self._ranks = itertools.count(1)
        self.paused_owners = PausedOwners(journal.store, lambda owner: self.count(owner) > 0)
        self.queue = QueueSnapshots(self._runners, self.paused_owners, lambda: self.held, journal, clock)
        self._changed = asyncio.Event()
        # Whether nothing is started, by an admin's wish. Not stored: a restart ends it.
        self.held = False
        self._closing = False

    async def open(self) -> list[str]:
        """Take back what an earlier process left unfinished; return its owners. May raise StorageUnavailable."""
        store = self._journal.store
        await self.paused_owners.open()
        stored = [task for pool in await store.pools() for task in await store.unfinished(pool)]
        by_pool: defaultdict[str, list[tuple[int, Task]]] = defaultdict(list)
        # Not by time: the clock may have been set back between two of them.
        for task in sorted(stored, key=lambda task: task.rank):
            by_pool[task.pool].append((next(self._sequence), task))
        self._ranks = itertools.count(math.floor(max((task.rank for task in stored), default=0.0)) + 1)
        for pool in {UNASSIGNED, *by_pool, *self._model_pools()}:
            await self._open(pool)
        for pool, restored in by_pool.items():
            await self._runners[pool].restore(restored)
        if stored:
            log.info("tasks go on after a restart", tasks=len(stored))
        self._supervisor.start("pools", self._follow_upstream)
        self._supervisor.start("queue", self.queue.run)
        return list({task.owner for task in stored})

    async def _open(self, pool: str) -> None:
        if pool not in self._runners:
            fence = await self._journal.store.lease(pool)
            tags = await self._journal.store.tags(pool)
            runner = self._runners[pool] = PoolRunner(
                pool,
                self._upstream,
                self._journal,
                self._blobs,
                self._durations,
                self.unsaved,
                self._images,
                self._labels,
                self._clock,
                self._supervisor,
                fence,
                self.upstream_changed,
                self.queue.changed,
                self.counts,
            )
            runner.open(tags)
            if self.held:
                runner.hold(held=True)

    # What the front asks

    def pool_of(self, model: Model | None) -> str:
        """Return the pool of a new task for a model; UNASSIGNED if no model is known, or its pool is not open yet."""
        return model.pool if model is not None and model.pool in self._runners else UNASSIGNED

    def room(self, pool: str) -> int:
        """Return how many more outputs a pool would send at once."""
        return self._runners[pool].room if pool in self._runners else 0

    def _model_of(self, task: Task) -> Model | None:
        """Return the running model that may run a task, or None."""
        ability = KINDS[task.kind].ability(task.params.image is not None)
        found = self._upstream.find(task.params.model, ability)
        return found if found is not None and ability in found.abilities else None

    def next_rank(self) -> float:
        """Return a rank above that of every unfinished task."""
        return float(next(self._ranks))

    def submit(self, task: Task, address: str | None) -> None:
        """Run a stored task, which came from an address. Its pool may have been opened or closed meanwhile."""
        pool = task.pool
        if pool == UNASSIGNED or pool not in self._runners:
            pool = self.pool_of(self._model_of(task))
        runner = self._runners[pool]
        if pool == task.pool:
            runner.submit(task, next(self._sequence), address)
        else:
            runner.adopt(task, next(self._sequence), address)

    def find(self, owner: str, task_id: str) -> Task | None:
        """Return an unfinished task as it stands now, or None."""
        found = self._find(owner, task_id)
        return None if found is None else found[1].task

    def _find(self, owner: str, task_id: str) -> tuple[PoolRunner, ActiveTask] | None:
        # Pools are few: as many as the upstream has models.
        for runner in self._runners.values():
            active = runner.ledger.tasks.find(owner, task_id)
            if active is not None:
                return runner, active
        return None

    def runners(self) -> list[PoolRunner]:
        """Return the runners of all pools, by name."""
        return [self._runners[pool] for pool in sorted(self._runners)]

    def statuses(self) -> list[PoolStatus]:
        """Describe the pools that have a model or a task, by name."""
        return pool_statuses(self.runners(), self._upstream.models, self._upstream.vanished)

    def of_owner(self, owner: str) -> list[Task]:
        """Return an owner's unfinished tasks."""
        return [active.task for runner in self._runners.values() for active in runner.ledger.tasks.of_owner(owner)]

    def count(self, owner: str) -> int:
        """Return how many unfinished tasks an owner has."""
        return sum(runner.ledger.tasks.count(owner) for runner in self._runners.values())

    def count_from(self, address: str) -> int:
        """Return how many unfinished tasks came from an address."""
        return sum(runner.ledger.tasks.count_from(address) for runner in self._runners.values())

    def bytes_of(self, owner: str) -> int:
        """Return how many bytes an owner's unfinished tasks take."""
        return sum(runner.ledger.tasks.bytes_of(owner) for runner in self._runners.values())

    @property
    def size(self) -> int:
        """How many tasks are unfinished, of all owners."""
        return sum(runner.ledger.tasks.size for runner in self._runners.values())

    def retry_after(self, owner: str | None) -> float:
        """Estimate the seconds until an output of an owner, or of anybody, ends, within RETRY_AFTER."""
        ends = [runner.soonest_end(owner) for runner in self._runners.values()]
        soonest = min((end for end in ends if end is not None), default=UNKNOWN)
        least, most = RETRY_AFTER
        return round(min(max(soonest, least), most), 1)

    def cancel(self, owner: str, task_id: str, index: int | None) -> None:
        """Cancel an unfinished task or one output of it; one that has ended stays as it is."""
        found = self._find(owner, task_id)
        if found is not None:
            runner, active = found
            runner.cancel(active, index)

    def pause(self, owner: str, task_id: str) -> asyncio.Future[Outcome] | None:
        """Hold what waits of an unfinished task; one that has ended stays as it is."""
        found = self._find(owner, task_id)
        return None if found is None else found[0].pause(found[1])

    def unpause(self, owner: str, task_id: str) -> asyncio.Future[Outcome] | None:
        """Let what is held of an unfinished task wait for its turn; one that has ended stays as it is."""
        found = self._find(owner, task_id)
        return None if found is None else found[0].unpause(found[1])

    def move(
        self, owner: str, task_id: str, *, before: str | None, to: Literal["first", "last"] | None
    ) -> list[asyncio.Future[Outcome]]:
        """Move a task among its owner's waiting ones of its pool; one that does not wait stays as it is.

        Raises:
            OutOfBounds: `before` does not wait in the same pool.
        """
        found, beside = self._find(owner, task_id), None if before is None else self._find(owner, before)
        if before is not None and (beside is None or not beside[1].waits or (found and found[0] is not beside[0])):
            raise OutOfBounds(field="before", limit="a waiting task of the same pool")
        if found is None or found == beside:
            return []
        runner, active = found
        return runner.move(active, beside[1] if beside is not None else to or "first")

    def hold(self, *, held: bool) -> None:
        """Start nothing more in any pool until it is called with False; what is in a slot goes on."""
        self.held = held
        for runner in self._runners.values():
            runner.hold(held=held)
        self.queue.changed()

    def abandoned(self, owner: str) -> None:
        """Cancel the owner's tasks that were to be cancelled when nobody is there."""
        for runner in self._runners.values():
            runner.abandoned(owner)

    # The upstream

    def upstream_changed(self) -> None:
        """Note that Xinference or its models changed, or what waits for them; the task `pools` applies it."""
        self._changed.set()

    async def _follow_upstream(self) -> None:
        """Open pools of new models, give each runner its slots, and hand over what waited for a model."""
        while True:
            # Before it is applied: a change that comes meanwhile, or a failure half way, is applied in the next turn.
            self._changed.clear()
            await self._apply_upstream()
            await self._changed.wait()

    async def _apply_upstream(self) -> None:
        # First what can't fail: opening a pool waits while the store accepts nothing.
        for runner in self._runners.values():
            runner.upstream_changed()
        if self._closing:
            return
        for pool in self._model_pools():
            await self._open(pool)
        for runner in list(self._runners.values()):
            if runner.deserted:
                self._assign(runner)
                if runner.empty and runner.pool != UNASSIGNED:
                    await self._close(runner)

    async def _close(self, runner: PoolRunner) -> None:
        """Close a pool without tasks, unless something is new there or charged when the store accepts nothing."""
        try:
            # With the fence of this lease they could not be stored any more under the next one.
            await self._journal.store_charges()
        except StorageUnavailable:
            return
        if runner.empty and runner.deserted:
            del self._runners[runner.pool]
            await runner.close(durable=True)

    def _model_pools(self) -> set[str]:
        return {model.pool for model in self._upstream.models.values()}

    def _assign(self, runner: PoolRunner) -> None:
        """Hand over what waits in a pool without a model, where its model is known in another pool."""
        for active in runner.waiting():
            pool = self.pool_of(self._model_of(active.task))
            if pool not in (UNASSIGNED, runner.pool):
                self._runners[pool].adopt(runner.hand_over(active), active.sequence, active.address)

    # End

    async def drain(self, seconds: float) -> None:
        """Start nothing more, and let what runs go on for at most `seconds`."""
        self._closing = True
        await asyncio.gather(*(runner.drain(seconds) for runner in self._runners.values()))

    async def close(self) -> None:
        """Abort what runs; what is unfinished goes on after the next start, if the store is durable."""
        await self._supervisor.stop("queue")
        await self._supervisor.stop("pools")
        durable = self._journal.store.durable
        await asyncio.gather(*(runner.close(durable=durable) for runner in self._runners.values()))
