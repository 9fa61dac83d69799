"""Make one picture: send requests until one ends well, keep what comes, and give the slot back when it is free."""

import uuid
from collections.abc import Callable

import structlog

from xinflight.clock import Clock
from xinflight.errors import (
    Internal,
    StorageUnavailable,
    TaskTimeout,
    UpstreamBusy,
    UpstreamDied,
    UpstreamError,
    UpstreamFailed,
    UpstreamGarbage,
    UpstreamUnreachable,
    XinflightError,
)
from xinflight.journal import Journal
from xinflight.model import MediaInfo, picture_message
from xinflight.protocol import CancelOutcome, State, Step, UpstreamState, parse_size
from xinflight.storage import Blobs
from xinflight.tasks.runs import Work
from xinflight.upstream import (
    Aborted,
    Attempt,
    DurationHistory,
    GenerationRequest,
    Model,
    NotForTxt2Img,
    ProgressEstimator,
    Xinference,
)

__all__ = ["Runner", "order"]

log = structlog.stdlib.get_logger(__name__)

DEATHS = 2
"""Requests that may die under way before the picture fails."""
STORAGE_PAUSE = 2.0
"""Seconds between two tries to write a picture."""
RETRY_PAUSES = (1.0, 2.0, 4.0, 8.0)
"""Seconds before the next try while Xinference takes nothing; the last one repeats. A model comes back in some 12."""


class Runner:
    """Run one work on one slot.

    `held` are the bytes of finished pictures that the disk does not take now, at most `held_bytes`.
    `changed(work)` is called when what is shown of it changed, `ended(work)` once at its end; both on the loop.
    """

    def __init__(
        self,
        upstream: Xinference,
        journal: Journal,
        images: Blobs,
        clock: Clock,
        *,
        held_bytes: int,
        changed: Callable[[Work], None],
        ended: Callable[[Work], None],
    ) -> None:
        self.history = DurationHistory()
        self._upstream = upstream
        self._journal = journal
        self._images = images
        self._clock = clock
        self._changed = changed
        self._held_bytes = held_bytes
        self.held = 0
        # Works whose pictures those are.
        self._holding: set[Work] = set()
        # Works that wait for their next try; at most one per slot.
        self._pausing: set[Work] = set()
        self._ended = ended

    async def run(self, work: Work, uid: str) -> None:
        """Return when nothing of this work runs at Xinference any more, as far as can be known.

        The work may have ended before, told by whoever gave it up. Cancelling leaves a request running upstream:
        only for a process that ends.
        """
        try:
            await self._run(work, uid)
        except XinflightError as error:
            log.info("picture failed", code=error.code, detail=error.detail)
            self.fail(work, error)
        except Exception:
            log.exception("picture failed", code=Internal.code)
            self.fail(work, Internal())

    async def _run(self, work: Work, uid: str) -> None:
        deaths = refusals = 0
        while not work.stop.is_set():
            model = self._upstream.models.get(uid)
            if model is None or self._upstream.state is not UpstreamState.READY:
                self._upstream.doubt()
                await self._pause(work, RETRY_PAUSES[0])
                continue
            try:
                await self._note_sending(work, model)
                if not work.stop.is_set():
                    await self._keep(work, await self._attempt(work, model))
                return
            except Aborted as error:
                self._aborted(work, error)
                return
            except NotForTxt2Img:
                self._upstream.take_other_route(uid)
            except StorageUnavailable as error:
                work.retry_reason = error.code
                await self._pause(work, STORAGE_PAUSE)
                while self.held and not work.stop.is_set():
                    # Another picture would be of no use while the disk does not take those that are held.
                    await self._wait(work, STORAGE_PAUSE)
            except UpstreamError as error:
                self._upstream.doubt()
                deaths += isinstance(error, UpstreamDied)
                if isinstance(error, UpstreamBusy | UpstreamUnreachable):
                    # It was not taken: nobody waited for that attempt.
                    work.job.attempt -= 1
                if not error.retryable or deaths >= DEATHS:
                    raise
                log.info("picture is tried again", code=error.code, detail=error.detail, attempt=work.job.attempt)
                work.retry_reason = error.code
                pause = RETRY_PAUSES[min(refusals, len(RETRY_PAUSES) - 1)]
                await self._pause(work, max(pause, error.retry_after or 0.0))
                refusals += 1

    async def _note_sending(self, work: Work, model: Model) -> None:
        """Store that a request is about to be sent, and which one; returns when it is stored."""
        job = work.job
        if work.sent or job.attempt > 0:
            job.request_id = str(uuid.uuid4())
        work.sent = True
        job.stoppable = model.true_cancel
        if job.state is not State.STARTING:
            job.move(State.STARTING)
        work.live.task.follow_jobs()
        # Before it is sent: who finds this task after a crash asks about the requests that may run, and only those.
        await self._journal.save(work.live.task)

    async def _attempt(self, work: Work, model: Model) -> bytes:
        job = work.job
        job.attempt += 1
        key = work.pace_key(model.uid)
        started = self._clock.monotonic()
        pace = ProgressEstimator(
            work.live.task.params.steps, started, self.history.total(key), self.history.tail(key)
        )
        attempt = Attempt(
            self._upstream,
            order(work, model),
            pace,
            true_cancel=model.true_cancel,
            report=lambda: self._progressed(work),
        )
        work.begin_attempt(attempt, started)
        self._changed(work)
        try:
            data = await attempt.run()
        except (NotForTxt2Img, XinflightError) as error:
            if work.job.state is State.CANCELLING:
                # However its request ended, it has: that is what the cancel is for.
                raise Aborted(str(error)) from error
            raise
        finally:
            work.attempt = None
        now = self._clock.monotonic()
        tail = now - pace.decoding_since if pace.decoding_since is not None else 0.0
        self.history.learn(key, now - pace.began_at, tail)
        return data

    def _progressed(self, work: Work) -> None:
        pace = work.pace
        if pace is None or work.job.ended:
            return
        work.step = Step.DECODING if pace.decoding_since is not None else Step.GENERATING
        if work.job.state is State.STARTING:
            self._move(work, State.RUNNING)
        else:
            self._changed(work)

    def _move(self, work: Work, state: State) -> None:
        if work.job.state is not state and not work.job.ended:
            work.job.move(state)
            work.live.task.follow_jobs()
        self._changed(work)

    async def _pause(self, work: Work, seconds: float) -> None:
        """Wait for the next try, or until it is of no use."""
        work.pace = None
        work.shown = 0
        work.step = Step.WAITING_FOR_MODEL
        self._move(work, State.QUEUED)
        work.again.clear()
        self._pausing.add(work)
        try:
            async with self._clock.timeout(seconds):
                while not work.stop.is_set() and not work.again.is_set():
                    await work.again.wait()
        except TimeoutError:
            pass
        finally:
            self._pausing.discard(work)

    def retry_now(self) -> None:
        """Let those who wait for the next try go: what Xinference has to offer changed."""
        for work in self._pausing:
            work.again.set()

    async def _wait(self, work: Work, seconds: float) -> None:
        try:
            async with self._clock.timeout(seconds):
                await work.stop.wait()
        except TimeoutError:
            pass

    async def _keep(self, work: Work, data: bytes) -> None:
        """Keep the picture, then tell of it. What was given up meanwhile is dropped."""
        job = work.job
        if job.ended:
            log.info("picture dropped", state=job.state)
            return
        task = work.live.task
        made_in, work.step = work.step, Step.SAVING
        self._changed(work)
        try:
            info = await self._put(work, data)
        except UpstreamGarbage:
            work.step = made_in
            raise
        if info is None:
            return
        if work.job.ended:
            await self._images.delete(job.picture_id)
            return
        # Only now: whoever writes the task down before must not name a picture that is not there.
        job.complete(info, inline=task.params.response_format == "b64_json")
        job.move(State.COMPLETED)
        task.follow_jobs()
        # The end, if this is the last picture, queues right behind it.
        kept = self._journal.append(task, picture_message(task, job, self._clock.time()))
        self._ended(work)
        await kept

    async def _put(self, work: Work, data: bytes) -> MediaInfo | None:
        """Write a picture; hold it and try again while the disk does not take it, if there is room to hold it.

        Returns None when there was no use in trying on.

        Its slot stays taken meanwhile, so that no more pictures are made than can be kept.

        Raises:
            UpstreamGarbage: it is no picture.
            StorageUnavailable: too much is held already; the picture will be made again.
        """
        try:
            return await self._images.put(work.job.picture_id, data)
        except OSError as error:
            log.error("picture not stored", error=str(error), held=self.held)
        if work.job.state is State.CANCELLING:
            # It crossed its cancel; nobody waits for the disk with it.
            self.cancelled(work, CancelOutcome.STOPPED)
            return None
        if self.held + len(data) > self._held_bytes:
            raise StorageUnavailable(detail="no room to hold the picture")
        self.held += len(data)
        self._holding.add(work)
        try:
            while not work.stop.is_set():
                await self._wait(work, STORAGE_PAUSE)
                try:
                    return await self._images.put(work.job.picture_id, data)
                except OSError as error:
                    log.debug("picture still not stored", error=str(error))
            return None
        finally:
            self.held -= len(data)
            self._holding.discard(work)

    def can_drop(self, work: Work) -> bool:
        """Tell whether a work without a request may be ended at once: unless its picture is just being written."""
        return work.step is not Step.SAVING or work in self._holding

    def _aborted(self, work: Work, error: Aborted) -> None:
        """It has ended after an abort: ours, or that of somebody else who uses the same Xinference."""
        if work.job.state is State.CANCELLING:
            self.cancelled(work, CancelOutcome.STOPPED)
        elif work.kept:
            log.info("picture goes on after the next start")
        elif not work.job.ended:
            raise UpstreamFailed(detail=f"aborted by somebody else: {error}")

    # Ends; each does nothing when the picture has ended already.

    def fail(self, work: Work, error: XinflightError) -> None:
        """End a picture with an error; its code is told."""
        state = State.EXPIRED if isinstance(error, TaskTimeout) else State.FAILED
        self._end(work, state, code=error.code)

    def cancelled(self, work: Work, upstream: CancelOutcome) -> None:
        """End a picture as cancelled, saying what that achieved."""
        if not work.job.ended:
            work.job.upstream = upstream
        self._end(work, State.CANCELLED)

    def _end(self, work: Work, state: State, code: str | None = None) -> None:
        job = work.job
        if job.ended:
            return
        job.code = code
        job.step = work.step if code is not None else None
        job.move(state)
        work.halt()
        work.live.task.follow_jobs()
        self._ended(work)


def order(work: Work, model: Model) -> GenerationRequest:
    """Return what to ask of a model; values that were not known at acceptance are the model's."""
    params = work.live.task.params
    width, height = parse_size(params.size)
    return GenerationRequest(
        model=model.uid,
        prompt=params.prompt,
        negative_prompt=params.negative_prompt,
        width=width,
        height=height,
        steps=model.steps if params.steps is None else params.steps,
        guidance_scale=model.guidance_scale if params.guidance_scale is None else params.guidance_scale,
        seed=work.job.seed,
        request_id=work.job.request_id,
    )
