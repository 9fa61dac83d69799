"""One pool of models that share slots: its unfinished tasks, its queue, and what runs in its slots."""

import asyncio
import contextvars
from collections.abc import Callable, Sequence

import msgspec
import structlog

from xinflight.clock import Clock
from xinflight.errors import ShuttingDown, UpstreamAuth
from xinflight.journal import Journal
from xinflight.model import MediaInfo, Task
from xinflight.protocol import CancelOutcome, State, UpstreamState
from xinflight.storage import Blobs, Outcome, PoolTags
from xinflight.supervise import Supervisor
from xinflight.tasks.cancellation import Cancellation
from xinflight.tasks.costs import Costs
from xinflight.tasks.counts import Counts
from xinflight.tasks.file_labels import FileLabels
from xinflight.tasks.image_inputs import ImageInputs
from xinflight.tasks.ledger import Ledger
from xinflight.tasks.pool_load import PoolLoad
from xinflight.tasks.queue_positions import QueuePositions
from xinflight.tasks.recovery import Recovery, may_run
from xinflight.tasks.reordering import Destination, new_ranks
from xinflight.tasks.runner import Runner
from xinflight.tasks.runs import ActiveTask, OutputRun, Phase
from xinflight.tasks.scheduler import Scheduler
from xinflight.tasks.slots import Slots
from xinflight.tasks.texts import restore_text
from xinflight.tasks.unsaved import UnsavedBytes
from xinflight.upstream import KINDS, DurationHistory, Xinference

__all__ = ["UNASSIGNED", "PoolRunner"]

log = structlog.stdlib.get_logger(__name__)

UNASSIGNED = ""
"""The pool of tasks whose model is not known yet. It has no slots; they are handed over when their model is there."""
STOP_PATIENCE = 5.0
"""Seconds that a stopping server waits for its aborts to be confirmed."""


class PoolRunner:
    """Run the tasks of one pool. Every run in a slot is an asyncio task named after it, awaited by `close`.

    `on_waiting` is called after an output that was under way waits again: if no model of the pool is known, another
    pool may run its task. `on_queue_changed` is called after a place or a waiting time may have changed.
    """

    def __init__(
        self,
        pool: str,
        upstream: Xinference,
        journal: Journal,
        blobs: Blobs,
        durations: DurationHistory,
        unsaved: UnsavedBytes,
        images: ImageInputs,
        labels: FileLabels,
        clock: Clock,
        supervisor: Supervisor,
        fence: int,
        on_waiting: Callable[[], None],
        on_queue_changed: Callable[[], None],
        counts: Counts,
    ) -> None:
        self.pool = pool
        self._upstream = upstream
        self._journal = journal
        self._blobs = blobs
        self._clock = clock
        self._supervisor = supervisor
        self._on_waiting = on_waiting
        self._on_queue_changed = on_queue_changed
        self.ledger = Ledger(journal, clock, fence, counts)
        self._costs = Costs(pool, upstream, durations)
        self._scheduler: Scheduler[OutputRun] = Scheduler(clock, self._costs.estimate, self._costs.share)
        self._slots = Slots(self._scheduler, self.ledger, self._costs, clock)
        self._runner = Runner(upstream, self.ledger, journal.store, blobs, durations, unsaved, images, labels, clock)
        self._recovery = Recovery(
            pool, upstream, self.ledger, self._scheduler, self._slots, self._enqueue, on_waiting
        )
        self._cancellation = Cancellation(self.ledger, self._scheduler, self._recovery)
        # What runs in a slot, and the model it runs on.
        self._running: dict[asyncio.Task[None], tuple[OutputRun, str]] = {}
        self.positions = QueuePositions(
            pool, self._running.values(), self.ledger, self._scheduler, upstream, durations, clock
        )
        self._idle = asyncio.Event()
        self._idle.set()
        self._held = False
        self._closing = False

    # Open, take in

    def open(self, tags: PoolTags) -> None:
        """Start dispatching, with the debts of an earlier process."""
        self._scheduler.shares.restore(tags.virtual_time, tags.finish)
        # Otherwise a guess would be charged for each first output, and raise the virtual time above many debts.
        self._costs.mean = tags.mean
        self._supervisor.start(f"dispatch {self.pool}", self._dispatch)
        self.upstream_changed()

    async def restore(self, tasks: Sequence[tuple[int, Task]]) -> None:
        """Take back unfinished tasks of the process's last life, with their places in the sequence.

        Nothing starts before the requests that may still run are known to have ended.
        """
        runs = [run for sequence, task in tasks for run in await self._restore(task, sequence)]
        self._recovery.begin([run for run, asked in runs if asked])
        self.upstream_changed()
        fresh = [run for run, asked in runs if not asked]
        self._queue(fresh)
        self._supervisor.start(f"recovery {self.pool}", self._recover)

    async def _restore(self, task: Task, sequence: int) -> list[tuple[OutputRun, bool]]:
        """Return the runs of a task, each with whether its old request must be asked about."""
        found: dict[int, MediaInfo] = {}
        sent = [output for output in task.outputs if may_run(output)]
        for output in sent:
            file = await self._blobs.identify(output.output_id)
            if file is not None:
                found[output.index] = file
        if KINDS[task.kind].streams:
            await restore_text(self._journal.store, task)
        indexes = {output.index for output in sent}
        active = self.ledger.restore(task, sequence, found, KINDS[task.kind].timeouts.confirm)
        self._start_deadline(active)
        return [(run, run.output.index in indexes or run.output.state is State.CANCELLING) for run in active.runs]

    async def _recover(self) -> None:
        await self._recovery.ask()
        self.upstream_changed()
        await self._recovery.settle()

    def submit(self, task: Task, sequence: int, address: str | None) -> None:
        """Queue the outputs of a stored task that came from an address."""
        active = self.ledger.add(task, sequence, address)
        self._start_deadline(active)
        self._queue(active.runs)

    def _queue(self, runs: Sequence[OutputRun]) -> None:
        for run in runs:
            self._enqueue(run)
        self.positions.show_first(runs)
        self._on_queue_changed()

    def _enqueue(self, run: OutputRun) -> None:
        """Put a run in the queue, or hold it while its task is paused."""
        if run.task.paused:
            self.ledger.hold(run)
        else:
            self._add_to_queue(run)

    def _add_to_queue(self, run: OutputRun) -> None:
        run.queued_at = self._clock.monotonic()
        self._scheduler.add(run)

    def adopt(self, task: Task, sequence: int, address: str | None) -> None:
        """Take over a task that waited in another pool, and store that it is here."""
        # A copy: writes of the other pool that wait to be stored carry that pool's fence.
        adopted = msgspec.structs.replace(task, pool=self.pool)
        self.submit(adopted, sequence, address)
        self.ledger.save(adopted)

    def _start_deadline(self, active: ActiveTask) -> None:
        if not active.task.ended:
            left = max(active.task.deadline - self._clock.time(), 0.0)
            active.deadline = self._clock.call_later(left, lambda: self._cancellation.expire(active))

    # Run

    async def _dispatch(self) -> None:
        """Start what is next whenever a slot is free, until cancelled."""
        while True:
            run, uid = await self._scheduler.next()
            self.ledger.started(run)
            name = f"output {run.task.task_id}/{run.output.index}"
            # A context of its own: its log lines must not carry the connection of whoever freed the slot.
            running = asyncio.create_task(self._run(run, uid), name=name, context=contextvars.Context())
            self._running[running] = (run, uid)
            self._idle.clear()
            running.add_done_callback(self._ran)
            self._on_queue_changed()

    async def _run(self, run: OutputRun, uid: str) -> None:
        task = run.task
        # In a context of its own, which ends with it.
        structlog.contextvars.bind_contextvars(task=task.task_id, output=run.output.index, request_id=task.request_id)
        await self._runner.run(run, uid)

    def _ran(self, running: asyncio.Task[None]) -> None:
        run, uid = self._running.pop(running)
        self._slots.free(run, uid)
        if run.phase is Phase.WAITING:
            # Its model is gone; another one of the pool, or another pool, may run it.
            self._enqueue(run)
            self._on_waiting()
        self._on_queue_changed()
        if not self._running:
            self._idle.set()

    def soonest_end(self, owner: str | None) -> float | None:
        """Estimate the seconds until an output of an owner, or of anybody, ends; None if none is here."""
        now = self._clock.monotonic()
        running = [(run.owner, self._costs.remaining(run, now)) for run, _ in self._running.values()]
        ends = [left for whose, left in running if owner in (None, whose)]
        if ends or owner is None or not self.ledger.tasks.count(owner):
            return min(ends, default=None)
        # The next free slot may be another owner's. Who has none yet is among the first, as shares are fair.
        return min((left for _, left in running), default=0.0) + self._costs.typical

    # Commands

    def cancel(self, active: ActiveTask, index: int | None = None) -> None:
        """Cancel a task of this pool, or one output of it."""
        self._cancellation.cancel(active, index)
        self._on_queue_changed()

    def abandoned(self, owner: str) -> None:
        """Cancel the owner's tasks that were to be cancelled when nobody is there."""
        for active in self.ledger.tasks.of_owner(owner):
            if active.task.params.on_disconnect == "cancel" and active.task.cancelled_at is None:
                self.cancel(active)

    def pause(self, active: ActiveTask) -> asyncio.Future[Outcome] | None:
        """Hold the waiting outputs of a task; the future is done when that is stored."""
        self.ledger.pause(active, paused=True)
        for run in active.runs:
            # What is not in the queue is on its way to a model, or joins it later.
            if self._scheduler.remove(run):
                self.ledger.hold(run)
        self._on_queue_changed()
        return self.ledger.save(active.task)

    def unpause(self, active: ActiveTask) -> asyncio.Future[Outcome] | None:
        """Put the held outputs of a task in the queue again; the future is done when that is stored."""
        self.ledger.pause(active, paused=False)
        for run in active.runs:
            if run.phase is Phase.PAUSED:
                self.ledger.queue_again(run)
                self._add_to_queue(run)
        # A refused key ends what waits; what was held then has not heard of it.
        self.upstream_changed()
        return self.ledger.save(active.task)

    def move(self, active: ActiveTask, to: Destination) -> list[asyncio.Future[Outcome]]:
        """Move a waiting task among its owner's; the futures are done when that is stored. No effect on others."""
        of_owner = self.ledger.tasks.of_owner(active.task.owner)
        ranks, priority = new_ranks(of_owner, active, to) if active.waits else ({}, 0)
        # All of them first: the queue is searched by what changes.
        queued = [run for moved in ranks for run in moved.runs if self._scheduler.remove(run)]
        for moved, rank in ranks.items():
            self.ledger.move(moved, rank, priority)
        for run in queued:
            self._scheduler.add(run)
        self._on_queue_changed()
        return [saved for moved in ranks if (saved := self.ledger.save(moved.task)) is not None]

    # The upstream

    def upstream_changed(self) -> None:
        """Apply what is known of Xinference now: slots, and whether there is any use in waiting."""
        stopped = self._recovery.active or self._held or self._closing
        ready = self._upstream.state is UpstreamState.READY and not stopped
        self._scheduler.set_slots(self._slots_upstream() if ready else {})
        if self._upstream.state is UpstreamState.UNAUTHORISED:
            for run in list(self._scheduler.order()):
                self._cancellation.give_up(run, UpstreamAuth())
        if ready:
            for run, _ in self._running.values():
                if run.phase is Phase.RETRYING:
                    run.changed.set()
        self._on_queue_changed()

    def _slots_upstream(self) -> dict[str, int]:
        """Return how many slots each model of this pool has, busy or not; none while Xinference is away."""
        if self._upstream.state is not UpstreamState.READY:
            return {}
        return {model.uid: model.slots for model in self._upstream.models.values() if model.pool == self.pool}

    def hold(self, *, held: bool) -> None:
        """Start nothing more until it is called with False; what is in a slot goes on."""
        self._held = held
        self.upstream_changed()

    def load(self) -> PoolLoad:
        """Count what waits and runs here, without looking at any of it."""
        return PoolLoad(
            pool=self.pool,
            tasks=self.ledger.tasks.size,
            outputs=dict(self.ledger.tasks.outputs),
            waiting=len(self._scheduler),
            # Not of the scheduler, which has none while the server is held: a few in quarantine would seem to be all.
            slots=sum(self._slots_upstream().values()),
            taken=self._scheduler.taken,
            quarantined=self._slots.quarantined,
        )

    @property
    def room(self) -> int:
        """How many more outputs would be sent at once."""
        return max(self._scheduler.free - len(self._scheduler), 0)

    @property
    def in_slots(self) -> list[tuple[OutputRun, str, bool]]:
        """What occupies a slot, the model that it is at, and whether nobody waits for it any more."""
        outlived = self.ledger.outlived
        return [
            *((run, uid, run in outlived) for run, uid in self._running.values()),
            *((run, uid, True) for run, uid in self._slots.old),
        ]

    @property
    def waiting_owners(self) -> int:
        """How many owners wait."""
        return self._scheduler.owners

    def standing(self, owner: str) -> tuple[int, float | None]:
        """Return how many outputs of an owner wait for their turns, and its share of the compute time if any do."""
        return self._scheduler.count(owner), self._scheduler.shares.share(owner)

    @property
    def deserted(self) -> bool:
        """Tell whether no model of this pool is known."""
        return all(model.pool != self.pool for model in self._upstream.models.values())

    @property
    def empty(self) -> bool:
        """Tell whether nothing waits, runs or is to be stored here."""
        return self.ledger.tasks.size == 0 and not self._running and not self._recovery.settling

    def waiting(self) -> list[ActiveTask]:
        """Return the tasks of which nothing is under way, so that another pool may run them."""
        unfinished = [active for active in self.ledger.tasks.all() if not active.task.ended]
        return [active for active in unfinished if all(self._waits(run) for run in active.runs)]

    def _waits(self, run: OutputRun) -> bool:
        return run.output.ended or (run.phase in (Phase.WAITING, Phase.PAUSED) and not self._recovery.involves(run))

    def hand_over(self, active: ActiveTask) -> Task:
        """Remove a task that waits here, for another pool to run, and return it."""
        for run in active.runs:
            self._scheduler.remove(run)
        return self.ledger.hand_over(active)

    # End

    async def drain(self, seconds: float) -> None:
        """Start nothing more, and let what runs go on for at most `seconds`."""
        self._closing = True
        self.upstream_changed()
        await self._wait_idle(seconds)

    async def close(self, *, durable: bool) -> None:
        """Abort what runs and wait a little for its end; what is unfinished goes on after the next start.

        Without a durable store nothing could go on: there it fails with `shutting_down`.
        """
        cancelling = []
        for active in self.ledger.tasks.all():
            if active.deadline is not None:
                active.deadline.cancel()
            for run in active.runs:
                if run.output.state is State.CANCELLING:
                    cancelling.append(run)
                elif not durable:
                    self._cancellation.give_up(run, ShuttingDown())
                elif run.attempt is not None:
                    run.attempt.abort()
                run.finish()
        await self._wait_idle(STOP_PATIENCE)
        for run in cancelling:
            self.ledger.cancel(run, CancelOutcome.UNCONFIRMED)
        await self._supervisor.stop(f"dispatch {self.pool}")
        await self._supervisor.stop(f"recovery {self.pool}")
        leftover = list(self._running)
        for task in leftover:
            task.cancel()
        await asyncio.gather(*leftover, return_exceptions=True)
        self.ledger.texts.flush_all()

    async def _wait_idle(self, seconds: float) -> None:
        try:
            async with self._clock.timeout(seconds):
                await self._idle.wait()
        except TimeoutError:
            log.warning("outputs still run", pool=self.pool, count=len(self._running))
