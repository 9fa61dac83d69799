"""The unfinished tasks of one pool, and the only place where their state changes."""

import asyncio
import uuid
from collections.abc import Mapping

import structlog
from msgspec.structs import replace

from xinflight.clock import Clock
from xinflight.errors import Interrupted, TaskTimeout, UpstreamGarbage, XinflightError
from xinflight.journal import Journal
from xinflight.model import MediaInfo, StoredMessage, Task, Usage, day_of, end_message, output_message
from xinflight.protocol import CancelOutcome, State, Step
from xinflight.storage import Charge, Outcome
from xinflight.tasks.active_tasks import ActiveTasks
from xinflight.tasks.counts import Counts
from xinflight.tasks.runs import ActiveTask, OutputRun, Phase, progress_message
from xinflight.tasks.scheduler import Tags
from xinflight.tasks.spans import record_wait
from xinflight.tasks.texts import Texts
from xinflight.upstream import Answer, Attempt, Piece

__all__ = ["Ledger"]

log = structlog.stdlib.get_logger(__name__)

OUTPUTS_PER_TASK = 64
"""Places in the sequence that one task takes: the protocol's bound of `n`."""


class Ledger:
    """Change the state of tasks, store it in the journal and show it. Calls on an ended output do nothing.

    `fence` is that of the pool's lease; every write carries it.
    """

    def __init__(self, journal: Journal, clock: Clock, fence: int, counts: Counts) -> None:
        self._journal = journal
        self._clock = clock
        self._fence = fence
        self._counts = counts
        self.tasks = ActiveTasks()
        # Runs that have ended, but whose request may still be at Xinference: its slot stays taken until then.
        self.outlived: set[OutputRun] = set()
        self.texts = Texts(journal, clock, fence)

    # Take in, give away

    def add(self, task: Task, sequence: int, address: str | None = None) -> ActiveTask:
        """Add a stored task with a run for each output that has not ended; `address` is whose it counts as."""
        active = ActiveTask(task=task, sequence=sequence, bytes=task.bytes, address=address)
        active.runs = [
            OutputRun(active=active, output=output, sequence=sequence * OUTPUTS_PER_TASK + output.index)
            for output in task.outputs
            if not output.ended
        ]
        self.tasks.add(active)
        return active

    def restore(self, task: Task, sequence: int, found: Mapping[int, MediaInfo], patience: float) -> ActiveTask:
        """Add a task of the process's last life; `found` are the outputs, by index, that were stored before it died.

        What was being cancelled stays so: it ends when its old request is known to have ended, or unconfirmed after
        `patience` seconds. A text that had begun ends as it is. Everything else is queued again.
        """
        for output in task.outputs:
            if output.announced and output.state is State.QUEUED:
                # As `sending` would have stored it.
                output.announced, output.attempt = False, 1
                output.move(State.STARTING)
        stored = [output for output in task.outputs if not output.ended and output.index in found]
        for output in stored:
            output.file = found[output.index]
            output.move(State.COMPLETED)
            self._counts.ended(task, State.COMPLETED)
        active = self.add(task, sequence)
        for output in stored:
            _ = self._append(task, output_message(task, output, self._clock.time()))
        for run in active.runs:
            if task.cancelled_at is not None or run.output.state is State.CANCELLING:
                # No move: whatever it was, what was asked of the process's last life counts.
                before, run.output.state = run.output.state, State.CANCELLING
                self.tasks.moved(run, before)
                self._confirm_within(run, patience)
            elif run.output.has_text:
                run.view.step = Step.GENERATING
                self.fail(run, Interrupted())
            else:
                self._move(run, State.QUEUED)
        if not task.ended and not self._end_if_over(active):
            for run in active.runs:
                self.show(run)
        return active

    def hand_over(self, active: ActiveTask) -> Task:
        """Remove a task that another pool runs from now on, and return it."""
        for run in active.runs:
            self.not_sent(run)
            run.finish()
        if active.deadline is not None:
            active.deadline.cancel()
        self.tasks.remove(active)
        return active.task

    def started(self, run: OutputRun) -> None:
        """Record that a run has a slot."""
        waited = self._clock.monotonic() - run.queued_at
        self._counts.started(run, waited)
        record_wait(run, waited)

    # On the way

    def show(self, run: OutputRun) -> None:
        """Publish a snapshot of a run."""
        if not run.task.ended:
            now = self._clock.monotonic()
            run.view.update(now)
            self._journal.snapshot(run.task, progress_message(run, now, self._clock.time()))

    async def sending(self, run: OutputRun, *, abortable: bool) -> None:
        """Store that a request is about to be sent, and which one; returns when it is stored.

        Only then may it be sent: whoever finds this task after a crash asks about the requests that may run, and only
        about those. The attempt counts from here on, since its number must not be used again after a crash. Of a
        request that was announced all of this is stored already.
        """
        output = run.output
        stored = output.announced and output.abortable == abortable
        output.announced = False
        output.abortable = abortable
        output.attempt += 1
        run.sending = True
        self._move(run, State.STARTING)
        if not stored:
            await self._journal.save(run.task, self._fence)

    def sent(self, run: OutputRun, attempt: Attempt) -> None:
        """Record a request that is sent now."""
        run.sending = False
        run.attempt = attempt
        run.phase = Phase.SENT
        now = self._clock.monotonic()
        if run.charged_from is None:
            run.charged_from = now
        run.view.begin(attempt.estimator, now)
        self._counts.request_sent(run)
        self.show(run)

    def attempt_failed(self, run: OutputRun, error: XinflightError) -> None:
        """Record that a request failed; whether it is tried again follows."""
        self._counts.request_failed(run, error)

    def not_sent(self, run: OutputRun) -> None:
        """Take back an attempt that is being stored and that nobody will send."""
        if run.sending:
            run.sending = False
            run.output.attempt -= 1
            self._move(run, State.QUEUED)

    def was_sent(self, run: OutputRun) -> None:
        """Record that a request of the process's last life reached the upstream."""
        run.output.attempt = max(run.output.attempt, 1)

    def renew_request_id(self, run: OutputRun) -> None:
        """Draw a fresh request id: the upstream refuses one that it has seen."""
        run.output.request_id = str(uuid.uuid4())
        run.output.announced = False

    def progressed(self, run: OutputRun) -> None:
        """Show the progress of the request under way."""
        estimator = run.view.estimator
        if estimator is None or run.output.ended:
            return
        run.view.step = Step.DECODING if estimator.decoding_since is not None else Step.GENERATING
        if run.output.state is State.STARTING:
            self._move(run, State.RUNNING)
            self._count_first_progress(run)
        self.show(run)

    def add_text(self, run: OutputRun, piece: Piece) -> None:
        """Add new text of a chat; the first one shows that it runs. Called for every token."""
        if run.output.ended:
            return
        self.texts.add(run, piece)
        if run.output.state is State.STARTING:
            self.progressed(run)

    def has_text(self, run: OutputRun) -> bool:
        """Store what is new of a text, and tell whether there is any."""
        self.texts.flush(run)
        return run.output.has_text

    def retry(self, run: OutputRun, reason: str | None) -> None:
        """Wait in the slot for another request; `reason` is the code of what ended the last one, if any did."""
        if not run.over:
            run.phase = Phase.RETRYING
        run.view.pause(Step.WAITING_FOR_MODEL)
        if reason is not None:
            run.view.retry_reason = reason
        if not run.output.ended:
            self._move(run, State.QUEUED)
            self.show(run)

    def wait(self, run: OutputRun) -> None:
        """Wait in the queue for another request, since the model of the slot is gone."""
        self.retry(run, None)
        if not run.over:
            run.phase = Phase.WAITING

    def hold(self, run: OutputRun) -> None:
        """Show that a run is not in the queue, since its task is paused."""
        run.phase = Phase.PAUSED
        run.view.hold()
        self.show(run)

    def queue_again(self, run: OutputRun) -> None:
        """Show that a run that was held waits for its turn."""
        run.phase = Phase.WAITING
        run.view.step = Step.QUEUED
        self.show(run)

    def refused(self, run: OutputRun) -> None:
        """Take back an attempt that the upstream did not accept, unless it showed progress.

        Its number is drawn again, and within one attempt the progress that clients see must not fall.
        """
        estimator = run.view.estimator
        if estimator is None or not estimator.began:
            run.output.attempt -= 1

    def saving(self, run: OutputRun) -> None:
        """Record that the output is there and being stored."""
        run.phase = Phase.SAVING
        if run.output.state is State.STARTING:
            # One that was never polled.
            self._move(run, State.RUNNING)
        run.view.save()

    def not_saved(self, run: OutputRun) -> None:
        """Wait in the slot, with the output in memory, for a disk that does not accept it."""
        if not run.over:
            run.phase = Phase.RETRYING

    def cancelling(self, run: OutputRun, patience: float) -> None:
        """Show that an abort is on its way; without a confirmation within `patience` seconds it ends unconfirmed."""
        self._move(run, State.CANCELLING)
        self._confirm_within(run, patience)
        self.show(run)

    def _confirm_within(self, run: OutputRun, seconds: float) -> None:
        run.cancelling_since = self._clock.monotonic()
        run.confirm = self._clock.call_later(seconds, lambda: self.cancel(run, CancelOutcome.UNCONFIRMED))

    def intend_cancel(self, active: ActiveTask) -> None:
        """Note that a task is being cancelled as a whole, from now on if it was not."""
        if active.task.cancelled_at is None:
            active.task.cancelled_at = self._clock.time()

    def pause(self, active: ActiveTask, *, paused: bool) -> None:
        """Note that the waiting outputs of a task are not to be started, or are again."""
        self.tasks.pause(active, paused=paused)

    def move(self, active: ActiveTask, rank: float, priority: int) -> None:
        """Give a task another place among its owner's; none of its runs may stand in the queue."""
        active.task.rank = rank
        active.task.params = replace(active.task.params, priority=priority)

    def save(self, task: Task) -> asyncio.Future[Outcome] | None:
        """Store a task as it stands, unless its end does; the future is done after that commit."""
        return None if task.ended else self._journal.save(task, self._fence)

    def charge(self, run: OutputRun, seconds: float, tags: Tags, mean: float | None) -> None:
        """Store what a run cost its owner until its slot was free, with what follows from it for the pool.

        Not before: what runs when the process dies is not charged, since nobody knows how long it ran.
        """
        output = run.output
        made = output.state is State.COMPLETED
        usage = Usage(
            owner=run.owner,
            day=day_of(self._clock.time()),
            seconds=seconds,
            outputs=int(made),
            bytes=output.bytes if made else 0,
        )
        charge = Charge(
            usage=usage,
            pool=run.task.pool,
            finish=tags.finish,
            virtual_time=tags.virtual_time,
            mean=mean,
            fence=self._fence,
        )
        self._journal.charge(charge)

    def _move(self, run: OutputRun, state: State) -> None:
        before = run.output.state
        if before is not state:
            run.output.move(state)
            self.tasks.moved(run, before)

    def _count_first_progress(self, run: OutputRun) -> None:
        self._counts.first_progress(run, watched=self._journal.has_subscriber(run.owner))

    # Ends

    def complete(self, run: OutputRun, made: MediaInfo | Answer) -> asyncio.Future[Outcome]:
        """Record an output whose file is stored, or a text; the future is done when the event is.

        Only now, since a task that is saved before must not name a file that is not there.
        """
        self._end(run, State.COMPLETED)
        self._count_first_progress(run)
        if isinstance(made, Answer):
            run.output.text, run.output.reasoning, run.output.chat = made.text, made.reasoning, made.end
        else:
            run.output.file = made
        # The end of the task, if this is its last output, queues right behind it.
        stored = self._append(run.task, output_message(run.task, run.output, self._clock.time()))
        self._end_if_over(run.active)
        return stored

    def fail(self, run: OutputRun, error: XinflightError) -> None:
        """End an output with an error, whose code is told; a timeout makes it expired."""
        if run.output.ended:
            return
        run.output.code, run.output.field, run.output.limit = error.code, error.field, error.limit
        # What turns out to be no image was made in the step before.
        run.output.step = run.view.made_in if isinstance(error, UpstreamGarbage) else run.view.step
        self._end(run, State.EXPIRED if isinstance(error, TaskTimeout) else State.FAILED)
        self._counts.failed(run, error)
        self._show_unless_over(run)

    def cancel(self, run: OutputRun, outcome: CancelOutcome) -> None:
        """End an output as cancelled, saying what that achieved."""
        if run.output.ended:
            return
        run.output.upstream = outcome
        self._end(run, State.CANCELLED)
        self._counts.cancelled(run, outcome)
        self._show_unless_over(run)

    def expire(self, active: ActiveTask) -> None:
        """End all outputs of a task that ran out of time, but those whose cancel is on its way."""
        for run in active.runs:
            if run.output.state is not State.CANCELLING:
                self.fail(run, TaskTimeout())

    def _end(self, run: OutputRun, state: State) -> None:
        self.not_sent(run)
        self.texts.flush(run)
        if run.waits:
            record_wait(run, max(self._clock.time() - run.task.created, 0.0), ended=state)
        before = run.output.state
        run.output.move(state)
        self.tasks.moved(run, before)
        self._counts.ended(run.task, state)
        if run.attempt is not None:
            self.outlived.add(run)
        run.finish()
        if run.confirm is not None:
            run.confirm.cancel()

    def _show_unless_over(self, run: OutputRun) -> None:
        if not self._end_if_over(run.active):
            self.show(run)

    def _end_if_over(self, active: ActiveTask) -> bool:
        """End the task with its last output; return whether this was it."""
        task = active.task
        if task.outcome() is None:
            return False
        if task.ended:
            raise AssertionError(f"task {task.task_id} would end twice")
        task.ended_at = self._clock.time()
        if active.deadline is not None:
            active.deadline.cancel()
        # Known until its end is stored: whoever asks before must find it here, not the older one of the store.
        self._append(task, end_message(task)).add_done_callback(lambda _: self.tasks.remove(active))
        seconds = round(task.ended_at - task.created, 3)
        log.info("task ended", task=task.task_id, state=task.state, seconds=seconds, request_id=task.request_id)
        return True

    def _append(self, task: Task, message: StoredMessage) -> asyncio.Future[Outcome]:
        # Whatever ends an output or a task has all of its text.
        compacts = any(output.has_text for output in task.outputs)
        return self._journal.append(task, message, self._fence, compacts=compacts)
