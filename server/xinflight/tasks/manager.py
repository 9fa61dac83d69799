"""The life of every task: accepted, queued, run, cancelled, expired; exactly one end each."""

import asyncio
import contextvars
from collections import Counter
from collections.abc import Callable, Collection, Sequence

import structlog

from xinflight.clock import Clock, Timer
from xinflight.errors import (
    ShuttingDown,
    StorageUnavailable,
    TaskIdConflict,
    TaskTimeout,
    TaskUnfinished,
    TooManyTasks,
    UpstreamAuth,
    XinflightError,
)
from xinflight.journal import CancelCommand, Journal
from xinflight.model import Task, end_message, has_content, picture_message
from xinflight.protocol import Accepted, CancelledTask, CancelOutcome, Generate, State, UpstreamState
from xinflight.settings import ModelSettings, Settings
from xinflight.storage import Blobs, Retention
from xinflight.supervise import Supervisor
from xinflight.tasks.admission import accept, check, check_metadata
from xinflight.tasks.queue_positions import QueuePositions
from xinflight.tasks.recovery import Recovery, may_run, rewind
from xinflight.tasks.runner import Runner
from xinflight.tasks.runs import NO_POOL, Live, Work
from xinflight.tasks.scheduler import Scheduler
from xinflight.upstream import CONFIRM, Xinference

__all__ = ["Manager"]

log = structlog.stdlib.get_logger(__name__)

STOP_PATIENCE = 5.0
"""Seconds that a stopping server waits for its aborts to be confirmed."""
LEASE = 60.0
"""Seconds that a runner's claim on its tasks lasts unless it is renewed."""


class Manager:
    """Own all unfinished tasks. Every running picture is an asyncio task named after it, awaited by `stop`."""

    def __init__(
        self,
        settings: Settings,
        upstream: Xinference,
        journal: Journal,
        images: Blobs,
        clock: Clock,
        supervisor: Supervisor,
        runner_id: str,
    ) -> None:
        self.upstream = upstream
        self.journal = journal
        self.history = Retention(journal.store, images, settings, clock, supervisor)
        self._settings = settings
        self._images = images
        self._clock = clock
        self._supervisor = supervisor
        self._runner_id = runner_id
        self._scheduler: Scheduler[Work] = Scheduler(self._start)
        self._runner = Runner(
            upstream,
            journal,
            images,
            clock,
            held_bytes=settings.held_bytes,
            changed=self._show,
            ended=self._work_ended,
        )
        self._positions = QueuePositions(
            self._scheduler,
            upstream,
            self._runner.history,
            clock,
            running=lambda: self._running.values(),
            watched=lambda owner: owner in self._followers,
            show=self._show,
        )
        self._recovery = Recovery(
            upstream,
            self._scheduler,
            queue=self._queue,
            cancelled=self._runner.cancelled,
            done=self.upstream_changed,
        )
        self._live: dict[tuple[str, str], Live] = {}
        # How many of those each owner has.
        self._unfinished: Counter[str] = Counter()
        self._running: dict[asyncio.Task[None], tuple[Work, str]] = {}
        self._accepted = 0
        self._followers: Counter[str] = Counter()
        # One timer per owner without a follower; it goes when a follower comes or when it acts.
        self._absent: dict[str, Timer] = {}
        self._closing = False
        self._idle = asyncio.Event()
        journal.bus.serve(self._carry_out)

    # Submit

    async def submit(self, generate: Generate, owner: str, prepare: Callable[[Task], None]) -> tuple[Task, bool]:
        """Take a generation, or find the one that its task id stands for. Return it, and whether it is new.

        `prepare` is called with a new task before anything of it can be published. The task is stored when this
        returns; cancelling the call does not take it back.

        Raises:
            PromptMissing, OutOfBounds, WrongShape, LoraTag, ModelNotFound, ModelUnsuitable: it can't be done.
            UpstreamAuth: Xinference refuses our key.
            TaskIdConflict: the id stands for other content.
            TooManyTasks, ShuttingDown, StorageUnavailable: not now.
        """
        # Before the digest, which can't be made of what JSON can't write.
        check_metadata(generate.metadata)
        if generate.task_id is not None:
            known = await self.find(owner, generate.task_id)
            if known is not None:
                if not has_content(known.digest, generate):
                    raise TaskIdConflict(field="task_id", limit="the same content under the same id")
                return known, False
        check(generate, self._settings)
        if self._closing:
            raise ShuttingDown
        if self.journal.broken or self._runner.held:
            raise StorageUnavailable
        if self._unfinished[owner] >= self._settings.tasks_per_owner:
            raise TooManyTasks(field="action", limit=f"{self._settings.tasks_per_owner} per owner")
        if len(self._live) >= self._settings.tasks:
            raise TooManyTasks(field="action", limit=f"{self._settings.tasks} in all")
        task = accept(generate, owner, self._settings, self.upstream, self._clock.time())
        # From the look-up to here nothing is awaited: a second message with the same id finds this one.
        prepare(task)
        accepted = Accepted(task_id=task.task_id, timestamp=task.created, params=task.params, metadata=task.metadata)
        live = self._take_in(task, self.journal.append(task, accepted))
        live.stored.add_done_callback(lambda stored: self._stored(live, stored))
        await asyncio.shield(live.stored)
        return task, True

    @property
    def storing(self) -> bool:
        """Tell whether the store and the disk take what is made."""
        return self.journal.storing and not self._runner.held

    async def find(self, owner: str, task_id: str) -> Task | None:
        """Return a task of an owner, finished or not, once it is stored, or None; may raise StorageUnavailable."""
        stored = None
        if (owner, task_id) not in self._live:
            stored = await self.journal.store.task(owner, task_id)
        # Another message with this id may have come while the store was asked.
        live = self._live.get((owner, task_id))
        if live is None:
            return stored
        await asyncio.shield(live.stored)
        return live.task

    def unfinished(self, owner: str, task_id: str) -> bool:
        """Tell whether a task is on its way."""
        return (owner, task_id) in self._live

    def unfinished_uids(self, owner: str) -> list[str]:
        """Return the uids of an owner's tasks that are on their way."""
        return [live.task.uid for (whose, _), live in self._live.items() if whose == owner]

    def _take_in(self, task: Task, stored: asyncio.Future[None]) -> Live:
        self._accepted += 1
        pool = self._pool(task)
        live = Live(task=task, works=[], stored=stored)
        live.works = [
            Work(live=live, job=job, order=self._accepted * 64 + job.index, pool=pool, stop=asyncio.Event())
            for job in task.jobs
            if not job.ended
        ]
        left = max(task.deadline - self._clock.time(), 0.0)
        live.deadline = self._clock.call_later(left, lambda: self._expire(live))
        self._live[task.owner, task.task_id] = live
        self._unfinished[task.owner] += 1
        return live

    def _let_go(self, live: Live) -> None:
        """Forget a task that has ended or was never stored; one that was never stored may have an end, too."""
        owner, task_id = live.task.owner, live.task.task_id
        if self._live.get((owner, task_id)) is live:
            del self._live[owner, task_id]
            self._unfinished[owner] -= 1
            if not self._unfinished[owner]:
                del self._unfinished[owner]
                self._note_idle(owner)

    def _note_idle(self, owner: str) -> None:
        if owner not in self._unfinished and owner not in self._followers:
            self.journal.idle(owner)

    def _stored(self, live: Live, stored: asyncio.Future[None]) -> None:
        task = live.task
        if stored.exception() is not None:
            if live.deadline is not None:
                live.deadline.cancel()
            self._let_go(live)
            return
        log.info("task accepted", task=task.task_id, model=task.params.model, n=task.params.n)
        self._queue([work for work in live.works if not work.job.ended])

    def _queue(self, works: Sequence[Work]) -> None:
        """Let pictures stand in the queue."""
        for work in works:
            self._scheduler.add(work)
        for work in works:
            if work.job.state is State.QUEUED:
                self._positions.place(work)
                self._show(work)
        self._positions.changed()

    def _pool(self, task: Task) -> str:
        wanted = task.params.model
        model = self.upstream.default() if wanted is None else self.upstream.models.get(wanted)
        if model is not None:
            return model.pool
        if wanted is None:
            return NO_POOL
        return self._settings.models.get(wanted, ModelSettings()).pool or wanted

    # Run

    def _start(self, work: Work, uid: str) -> None:
        name = f"picture {work.live.task.task_id}/{work.job.index}"
        # A context of its own: its log lines must not carry the connection of whoever freed the slot.
        running = asyncio.create_task(self._run(work, uid), name=name, context=contextvars.Context())
        self._running[running] = (work, uid)
        self._idle.clear()
        running.add_done_callback(self._ran)
        self._positions.changed()

    async def _run(self, work: Work, uid: str) -> None:
        model = self.upstream.models.get(uid)
        bus = self.journal.bus
        with structlog.contextvars.bound_contextvars(task=work.live.task.task_id, picture=work.job.index):
            await bus.take_slot(uid, 1 if model is None else model.replicas)
            try:
                await self._runner.run(work, uid)
            finally:
                await bus.give_slot(uid)

    def _ran(self, running: asyncio.Task[None]) -> None:
        _, uid = self._running.pop(running)
        self._scheduler.release(uid)
        self._positions.changed()
        if not self._running:
            self._idle.set()

    def _show(self, work: Work) -> None:
        """Publish a snapshot of one picture."""
        if not work.live.task.ended:
            snapshot = work.progress(self._clock.monotonic(), self._clock.time())
            self.journal.snapshot(work.live.task, snapshot)

    # Ends

    def _work_ended(self, work: Work) -> None:
        """End the task with its last picture; until then say how this one ended."""
        if work.confirm is not None:
            work.confirm.cancel()
        if not self._end_if_over(work.live) and work.job.state is not State.COMPLETED:
            self._show(work)

    def _end_if_over(self, live: Live) -> bool:
        task = live.task
        state = task.end()
        if state is None:
            return False
        if task.ended:
            raise AssertionError(f"task {task.task_id} would end twice")
        task.ended_at = self._clock.time()
        task.move(state)
        if live.deadline is not None:
            live.deadline.cancel()
        ended = self.journal.append(task, end_message(task))
        ended.add_done_callback(lambda _: self._let_go(live))
        log.info("task ended", task=task.task_id, state=state, seconds=round(task.ended_at - task.created, 3))
        return True

    def _expire(self, live: Live) -> None:
        for work in live.works:
            if work.job.state is not State.CANCELLING:
                self._give_up(work, TaskTimeout())

    def _give_up(self, work: Work, error: XinflightError) -> None:
        """End a picture with an error at once; its slot stays taken until its request has ended."""
        self._scheduler.remove(work)
        if work.attempt is not None:
            work.attempt.abort()
        self._runner.fail(work, error)

    # Cancel

    async def cancel(self, owner: str, task_id: str, index: int | None = None) -> CancelledTask:
        """Cancel a task or one picture of it; tell what it was. Idempotent; unknown and ended are soft answers."""
        live = self._live.get((owner, task_id))
        task = await self.journal.store.task(owner, task_id) if live is None else live.task
        if task is None or (index is not None and index >= len(task.jobs)):
            return CancelledTask(task_id=task_id, was="unknown", index=index)
        was = task.state if index is None else task.jobs[index].state
        if not task.ended:
            await self.journal.bus.command(CancelCommand(owner=owner, task_id=task_id, index=index))
        return CancelledTask(task_id=task_id, was=was, index=index)

    async def cancel_all(self, owner: str, keep: Collection[str]) -> list[CancelledTask]:
        """Cancel an owner's unfinished tasks but those whose ids are in `keep`."""
        ids = [task_id for (whose, task_id) in self._live if whose == owner and task_id not in keep]
        return [await self.cancel(owner, task_id) for task_id in ids]

    async def _carry_out(self, command: CancelCommand) -> bool:
        live = self._live.get((command.owner, command.task_id))
        if live is None:
            return False
        self._cancel_live(live, command.index)
        return True

    def _cancel_live(self, live: Live, index: int | None) -> None:
        """Cancel a task's pictures; the aborts leave at once, what is meant is stored beside them."""
        task = live.task
        if index is None and task.cancelled_at is None and not task.ended:
            task.cancelled_at = self._clock.time()
        for work in list(live.works):
            if index is None or work.job.index == index:
                self._cancel(work)
        if not task.ended:
            _ = self.journal.save(task)

    def _cancel(self, work: Work) -> None:
        job = work.job
        if job.ended or job.state is State.CANCELLING:
            return
        idle = CancelOutcome.STOPPED if job.attempt > 0 else CancelOutcome.NEVER_STARTED
        if self._scheduler.remove(work) or job.state is State.QUEUED:
            self._runner.cancelled(work, self._recovery.upstream_end(work) or idle)
        elif work.attempt is None:
            # While its picture is being kept, the picture wins: that is fast, unless it waits for the disk.
            if self._runner.can_drop(work):
                self._runner.cancelled(work, idle)
        elif not work.attempt.true_cancel:
            work.attempt.abort()
            self._runner.cancelled(work, CancelOutcome.RUNNING_ON)
        else:
            work.attempt.abort()
            job.move(State.CANCELLING)
            if work.live.task.cancelled_at is not None and work.live.task.state is not State.CANCELLING:
                work.live.task.move(State.CANCELLING)
            self._confirm_within(work, work.attempt.confirm_seconds)
            self._show(work)

    def _confirm_within(self, work: Work, seconds: float) -> None:
        """Tell that a cancel is unconfirmed when the upstream says nothing for so long."""
        work.confirm = self._clock.call_later(
            seconds, lambda: self._runner.cancelled(work, CancelOutcome.UNCONFIRMED)
        )

    # History

    async def page(
        self, owner: str, *, cursor: str | None, limit: int, state: str | None
    ) -> tuple[list[Task], str | None]:
        """Return what `History.page` does, unfinished tasks as they stand: what is stored of them is older."""
        tasks, following = await self.history.page(owner, cursor=cursor, limit=limit, state=state)
        return [self._newest(task) for task in tasks], following

    def _newest(self, stored: Task) -> Task:
        live = self._live.get((stored.owner, stored.task_id))
        if live is None or live.task.uid != stored.uid or live.task.ended:
            # An end is told when it is stored, not before.
            return stored
        return live.task

    async def delete(self, owner: str, task_id: str) -> Task | None:
        """Forget an ended task and its pictures; return it, or None for an unknown one.

        Raises:
            TaskUnfinished: it is on its way.
            StorageUnavailable: not now.
        """
        if self.unfinished(owner, task_id):
            raise TaskUnfinished(field="task_id")
        task = await self.journal.store.task(owner, task_id)
        if task is not None:
            await self.history.delete(task)
        return task

    # Who watches

    def followed(self, owner: str) -> None:
        """Take note of one more follower of an owner."""
        self._followers[owner] += 1
        timer = self._absent.pop(owner, None)
        if timer is not None:
            timer.cancel()

    def unfollowed(self, owner: str) -> None:
        """Take note that one went; the last one's going starts the grace of `on_disconnect: cancel`."""
        self._followers[owner] -= 1
        if self._followers[owner] == 0:
            del self._followers[owner]
            self._left(owner)
            self._note_idle(owner)

    def _left(self, owner: str) -> None:
        if not self._closing and owner not in self._absent:
            grace = self._settings.disconnect_grace
            self._absent[owner] = self._clock.call_later(grace, lambda: self._left_alone(owner))

    def _left_alone(self, owner: str) -> None:
        del self._absent[owner]
        for (whose, _), live in list(self._live.items()):
            if whose == owner and live.task.params.on_disconnect == "cancel" and live.task.cancelled_at is None:
                self._cancel_live(live, None)

    # The upstream

    def upstream_changed(self) -> None:
        """Take what is known of Xinference now: slots, pools, and whether there is any use in waiting."""
        ready = self.upstream.state is UpstreamState.READY and not self._recovery.active and not self._closing
        pools: dict[str, dict[str, int]] = {}
        for model in self.upstream.models.values():
            pools.setdefault(model.pool, {})[model.uid] = model.replicas if ready else 0
        for work in list(self._scheduler.queue(NO_POOL)):
            pool = self._pool(work.live.task)
            if pool != NO_POOL:
                self._scheduler.remove(work)
                work.pool = pool
                self._scheduler.add(work)
        if self.upstream.state is UpstreamState.UNAUTHORISED:
            for pool in list(self._scheduler.pools()):
                for work in list(self._scheduler.queue(pool)):
                    self._give_up(work, UpstreamAuth())
        self._scheduler.set_models(pools)
        if ready:
            self._runner.retry_now()
        self._positions.changed()

    # The process's start and end

    async def start(self) -> None:
        """Take back what an earlier process left unfinished, and set files aside that no task names."""
        tasks = await self.journal.store.claim(self._runner_id, self._clock.time() + LEASE)
        known = await self.journal.store.picture_ids()
        if not self.journal.store.made_new:
            known |= {job.picture_id for task in tasks for job in task.jobs}
            await self._images.sweep(known, self._clock.time())
        works = [work for task in tasks for work in await self._take_back(task)]
        sent = [work for work in works if work.sent]
        if tasks:
            log.info("tasks go on after a restart", tasks=len(tasks), sent=len(sent))
        self._recovery.begin(sent)
        # Before anything queues: nothing may start before the old requests are known to have ended.
        self.upstream_changed()
        self._queue([work for work in works if not work.sent and not work.job.ended])
        self._supervisor.start("recovery", self._recovery.run)
        self._supervisor.start("lease", self._renew_lease)
        self.history.start()

    async def _take_back(self, task: Task) -> list[Work]:
        """Return its works that go on; of those marked as `sent` an old request may run."""
        await self.journal.load(task.owner)
        stored: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        stored.set_result(None)
        sent = {job.index for job in task.jobs if may_run(job)}
        adopted = await rewind(task, self._images)
        live = self._take_in(task, stored)
        for work in live.works:
            work.sent = work.job.index in sent or work.job.state is State.CANCELLING
        for job in adopted:
            _ = self.journal.append(task, picture_message(task, job, self._clock.time()))
        for work in live.works:
            if work.job.state is State.CANCELLING:
                self._confirm_within(work, CONFIRM)
        if not self._end_if_over(live):
            for work in live.works:
                if work.sent:
                    self._show(work)
        self._left(task.owner)
        return live.works

    async def _renew_lease(self) -> None:
        while True:
            await self._clock.sleep(LEASE / 3)
            try:
                await self.journal.store.renew(self._runner_id, self._clock.time() + LEASE)
            except StorageUnavailable:
                log.warning("lease not renewed")

    async def drain(self, seconds: float) -> None:
        """Refuse new work, start nothing more, and let what runs go on for at most `seconds`."""
        self._closing = True
        self._positions.close()
        self.upstream_changed()
        await self._wait_idle(seconds)

    async def stop(self) -> None:
        """Abort what runs and wait for its end a little; then keep what is unfinished for the next start.

        Without a store that outlives the process nothing could go on: there it fails with `shutting_down`.
        """
        for timer in [*self._absent.values(), *(live.deadline for live in self._live.values() if live.deadline)]:
            timer.cancel()
        keep = self.journal.store.durable
        cancelling = []
        for live in list(self._live.values()):
            for work in live.works:
                if work.job.state is State.CANCELLING:
                    cancelling.append(work)
                elif not keep:
                    self._give_up(work, ShuttingDown())
                elif work.attempt is not None:
                    work.attempt.abort()
                    work.kept = True
                work.halt()
        await self._wait_idle(STOP_PATIENCE)
        for work in cancelling:
            self._runner.cancelled(work, CancelOutcome.UNCONFIRMED)
        await self._supervisor.stop("recovery")
        await self._supervisor.stop("lease")
        leftover = list(self._running)
        for task in leftover:
            task.cancel()
        await asyncio.gather(*leftover, return_exceptions=True)
        await self.history.close()
        if keep:
            await self._release_lease()

    async def _release_lease(self) -> None:
        try:
            await self.journal.store.release(self._runner_id)
        except StorageUnavailable:
            log.warning("lease not released")

    async def _wait_idle(self, seconds: float) -> None:
        if self._running:
            try:
                async with self._clock.timeout(seconds):
                    await self._idle.wait()
            except TimeoutError:
                log.warning("pictures still run", count=len(self._running))
