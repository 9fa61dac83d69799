"""The life of every task: accepted, queued, run, cancelled, expired; exactly one end each."""

import asyncio
from collections import Counter
from collections.abc import Callable, Collection

import structlog

from xinflight.acceptance import accept, check
from xinflight.clock import Clock, Timer
from xinflight.config import ModelSettings, Settings
from xinflight.errors import ShuttingDown, TaskIdConflict, TaskTimeout, TooManyTasks, UpstreamAuth, XinflightError
from xinflight.images import Images
from xinflight.journal import Journal
from xinflight.protocol import Accepted, CancelledTask, Generate, State, Step, UpstreamEnd, UpstreamState
from xinflight.runner import Runner
from xinflight.scheduler import Scheduler
from xinflight.task import Task, digest, end_message
from xinflight.work import Live, Work, queued_step
from xinflight.xinference import Xinference

__all__ = ["Manager"]

log = structlog.stdlib.get_logger(__name__)

POSITION_PAUSE = 1.0
"""Seconds between two rounds of queue positions: what people can read, whatever the queue does."""
NO_POOL = ""
"""Where tasks wait that were accepted before any model was known."""


class Manager:
    """Own all unfinished tasks. Every running picture is an asyncio task named after it, awaited by `close`."""

    def __init__(
        self, settings: Settings, upstream: Xinference, journal: Journal, images: Images, clock: Clock
    ) -> None:
        self.upstream = upstream
        self.journal = journal
        self._settings = settings
        self._clock = clock
        self._scheduler: Scheduler[Work] = Scheduler(self._start)
        self._runner = Runner(upstream, journal, images, clock, changed=self._show, ended=self._work_ended)
        self._live: dict[tuple[str, str], Live] = {}
        self._running: dict[asyncio.Task[None], tuple[Work, str]] = {}
        self._accepted = 0
        self._positions: Timer | None = None
        self._followers: Counter[str] = Counter()
        # One timer per owner without a follower; it goes when a follower comes or when it acts.
        self._absent: dict[str, Timer] = {}
        self._closing = False
        self._idle = asyncio.Event()
        self.on_upstream: Callable[[], None] = lambda: None

    # Submit

    async def submit(self, generate: Generate, owner: str, prepare: Callable[[Task], None]) -> tuple[Task, bool]:
        """Take a generation, or find the one that its task id stands for. Return it, and whether it is new.

        `prepare` is called with a new task before anything of it can be published. The task is stored when this
        returns; cancelling the call does not take it back.

        Raises:
            PromptMissing, OutOfBounds, LoraTag, ModelNotFound, ModelUnsuitable: it can't be done.
            UpstreamAuth: Xinference refuses our key.
            TaskIdConflict: the id stands for other content.
            TooManyTasks, ShuttingDown: not now.
        """
        if generate.task_id is not None:
            known = await self._known(owner, generate.task_id)
            if known is not None:
                if known.digest != digest(generate):
                    raise TaskIdConflict(field="task_id")
                return known, False
        check(generate, self._settings)
        if self._closing:
            raise ShuttingDown
        if len(self._live) >= self._settings.tasks:
            raise TooManyTasks(limit=str(self._settings.tasks))
        task = accept(generate, owner, self._settings, self.upstream, self._clock.time())
        # From the look-up to here nothing is awaited: a second message with the same id finds this one.
        prepare(task)
        accepted = Accepted(task_id=task.task_id, timestamp=task.created, params=task.params, metadata=task.metadata)
        live = Live(task=task, works=[], stored=self.journal.append(task, accepted))
        self._live[owner, task.task_id] = live
        await asyncio.shield(live.stored)
        log.info("task accepted", task=task.task_id, model=task.params.model, n=task.params.n)
        self._enqueue(live)
        return task, True

    async def _known(self, owner: str, task_id: str) -> Task | None:
        """Return the task that an id stands for, once it is stored."""
        stored = await self.journal.store.task(owner, task_id)
        # Another message with this id may have come while the store was asked.
        live = self._live.get((owner, task_id))
        if live is None:
            return stored
        await asyncio.shield(live.stored)
        return live.task

    def _enqueue(self, live: Live) -> None:
        task = live.task
        if task.ended:
            return
        live.deadline = self._clock.call_later(
            max(task.deadline - self._clock.time(), 0.0), lambda: self._expire(live)
        )
        self._accepted += 1
        order = self._accepted * 64
        for job in task.jobs:
            if not job.ended:
                work = Work(live=live, job=job, order=order + job.index, pool=self._pool(task), stop=asyncio.Event())
                live.works.append(work)
        for work in list(live.works):
            self._scheduler.add(work)
        self._count_positions()
        for work in live.works:
            if work.job.state is State.QUEUED:
                self._show(work)
        self._positions_changed()

    def _pool(self, task: Task) -> str:
        wanted = task.params.model
        model = self.upstream.default() if wanted is None else self.upstream.models.get(wanted)
        if model is not None:
            return model.pool
        if wanted is None:
            return NO_POOL
        return self._settings.models.get(wanted, ModelSettings()).pool or wanted

    def unfinished(self, owner: str, task_id: str) -> bool:
        """Tell whether a task is on its way."""
        return (owner, task_id) in self._live

    # Run

    def _start(self, work: Work, uid: str) -> None:
        name = f"picture {work.live.task.task_id}/{work.job.index}"
        running = asyncio.create_task(self._run(work, uid), name=name)
        self._running[running] = (work, uid)
        running.add_done_callback(self._ran)
        self._positions_changed()

    async def _run(self, work: Work, uid: str) -> None:
        with structlog.contextvars.bound_contextvars(task=work.live.task.task_id, picture=work.job.index, model=uid):
            await self._runner.run(work, uid)

    def _ran(self, running: asyncio.Task[None]) -> None:
        _, uid = self._running.pop(running)
        self._scheduler.release(uid)
        self._positions_changed()
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
        live = work.live
        task = live.task
        state = task.end()
        if state is None:
            if work.job.state is not State.COMPLETED:
                self._show(work)
            return
        if task.ended:
            raise AssertionError(f"task {task.task_id} would end twice")
        task.move(state)
        if live.deadline is not None:
            live.deadline.cancel()
        now = self._clock.time()
        ended = self.journal.append(task, end_message(task, now))
        ended.add_done_callback(lambda _: self._live.pop((task.owner, task.task_id), None))
        log.info("task ended", task=task.task_id, state=state, seconds=round(now - task.created, 3))

    def _expire(self, live: Live) -> None:
        for work in live.works:
            if not work.job.ended and work.job.state is not State.CANCELLING:
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
        if live is None:
            known = await self.journal.store.task(owner, task_id)
            return CancelledTask(task_id=task_id, was="unknown" if known is None else known.state, index=index)
        if index is not None and index >= len(live.task.jobs):
            return CancelledTask(task_id=task_id, was="unknown", index=index)
        was = live.task.state if index is None else live.task.jobs[index].state
        if index is None and live.task.cancelled_at is None and not live.task.ended:
            live.task.cancelled_at = self._clock.time()
        works = [work for work in live.works if index is None or work.job.index == index]
        for work in works:
            self._cancel(work)
        return CancelledTask(task_id=task_id, was=was, index=index)

    async def cancel_all(self, owner: str, keep: Collection[str]) -> list[CancelledTask]:
        """Cancel an owner's unfinished tasks but those whose ids are in `keep`."""
        ids = [task_id for (whose, task_id) in self._live if whose == owner and task_id not in keep]
        return [await self.cancel(owner, task_id) for task_id in ids]

    def _cancel(self, work: Work) -> None:
        job = work.job
        if job.ended or job.state is State.CANCELLING:
            return
        if self._scheduler.remove(work):
            self._runner.cancelled(work, UpstreamEnd.NEVER_STARTED)
        elif work.attempt is None:
            # Between two requests, or its picture is being kept: that is fast, and the picture wins.
            if work.step is not Step.SAVING:
                self._runner.cancelled(work, UpstreamEnd.STOPPED if job.attempt else UpstreamEnd.NEVER_STARTED)
        elif not work.attempt.true_cancel:
            work.attempt.abort()
            self._runner.cancelled(work, UpstreamEnd.RUNNING_ON)
        else:
            work.attempt.abort()
            job.move(State.CANCELLING)
            if work.live.task.cancelled_at is not None and work.live.task.state is not State.CANCELLING:
                work.live.task.move(State.CANCELLING)
            work.confirm = self._clock.call_later(
                work.attempt.confirm_seconds, lambda: self._runner.cancelled(work, UpstreamEnd.UNCONFIRMED)
            )
            self._show(work)

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
            if not self._closing:
                self._absent[owner] = self._clock.call_later(
                    self._settings.disconnect_grace, lambda: self._left_alone(owner)
                )

    def _left_alone(self, owner: str) -> None:
        del self._absent[owner]
        for (whose, _), live in list(self._live.items()):
            if whose == owner and live.task.params.on_disconnect == "cancel" and live.task.cancelled_at is None:
                live.task.cancelled_at = self._clock.time()
                for work in list(live.works):
                    self._cancel(work)

    # The upstream and the queue

    def upstream_changed(self) -> None:
        """Take what is known of Xinference now: slots, pools, and whether there is any use in waiting."""
        ready = self.upstream.state is UpstreamState.READY
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
        self._positions_changed()
        self.on_upstream()

    def _positions_changed(self) -> None:
        if self._positions is None and not self._closing:
            self._positions = self._clock.call_later(POSITION_PAUSE, self._tell_positions)

    def _tell_positions(self) -> None:
        self._positions = None
        for work in self._count_positions():
            self._show(work)
        if any(self._scheduler.queue(pool) for pool in self._scheduler.pools()):
            self._positions_changed()

    def _count_positions(self) -> list[Work]:
        """Number everyone who waits and estimate their times; return those for whom that is news."""
        news = []
        for pool in self._scheduler.pools():
            queue = self._scheduler.queue(pool)
            if not queue:
                continue
            durations = [self._duration(work, pool) for work in queue]
            running = [self._remaining(work, uid) for work, uid in self._running.values() if work.pool == pool]
            known = None not in durations and None not in running
            waits = self._scheduler.waits(pool, [r or 0.0 for r in running], [d or 0.0 for d in durations])
            step = queued_step(self.upstream.state, any(m.pool == pool for m in self.upstream.models.values()))
            for position, work in enumerate(queue, 1):
                before = (work.position, work.step)
                estimated = waits[position - 1] + (durations[position - 1] or 0.0) if known and waits else None
                moved = estimated is not None and abs((work.estimated_time or 0.0) - estimated) >= 1.0
                work.position, work.step, work.estimated_time = position, step, estimated
                if moved or before != (position, step):
                    news.append(work)
        return news

    def _duration(self, work: Work, pool: str) -> float | None:
        uids = (model.uid for model in self.upstream.models.values() if model.pool == pool)
        return next((total for uid in uids if (total := self._runner.history.total(work.pace_key(uid)))), None)

    def _remaining(self, work: Work, uid: str) -> float | None:
        if work.pace is None:
            return self._runner.history.total(work.pace_key(uid))
        return work.pace.remaining(self._clock.monotonic())

    # The end of the process

    async def close(self) -> None:
        """Refuse new work, abort what runs and wait up to 5 s for its end, and fail what is unfinished."""
        self._closing = True
        for timer in [*self._absent.values(), *([self._positions] if self._positions is not None else [])]:
            timer.cancel()
        self._absent.clear()
        cancelling = []
        for live in list(self._live.values()):
            for work in live.works:
                if work.job.state is State.CANCELLING:
                    cancelling.append(work)
                else:
                    self._give_up(work, ShuttingDown())
        self._idle.clear()
        if self._running:
            try:
                async with self._clock.timeout(5.0):
                    await self._idle.wait()
            except TimeoutError:
                log.warning("requests still run upstream", count=len(self._running))
        for work in cancelling:
            self._runner.cancelled(work, UpstreamEnd.UNCONFIRMED)
        leftover = list(self._running)
        for running in leftover:
            running.cancel()
        await asyncio.gather(*leftover, return_exceptions=True)
