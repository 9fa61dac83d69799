"""Make one output: send requests until one ends well, store what comes, and return when its slot is free."""

from functools import partial

import structlog

from xinflight.clock import Clock
from xinflight.errors import (
    Internal,
    Interrupted,
    ModelNotFound,
    StorageUnavailable,
    UpstreamBusy,
    UpstreamDied,
    UpstreamError,
    UpstreamFailed,
    UpstreamUnreachable,
    XinflightError,
)
from xinflight.model import MediaInfo
from xinflight.protocol import CancelOutcome, State, UpstreamState, parse_size
from xinflight.storage import Blobs, Store
from xinflight.tasks.file_labels import FileLabels
from xinflight.tasks.image_inputs import ImageInputs
from xinflight.tasks.inputs import TaskInputs
from xinflight.tasks.ledger import Ledger
from xinflight.tasks.runs import OutputRun
from xinflight.tasks.spans import answered, attempting, storing
from xinflight.tasks.unsaved import UnsavedBytes
from xinflight.upstream import (
    KINDS,
    Aborted,
    Answer,
    Attempt,
    DurationHistory,
    GenerationRequest,
    Inputs,
    Made,
    Model,
    ProgressEstimator,
    RouteMissing,
    Xinference,
)

__all__ = ["Runner", "generation_request"]

log = structlog.stdlib.get_logger(__name__)

STORAGE_PAUSE = 2.0
"""Seconds between two tries to store an output."""
SLOW_SAVING = 0.2
"""Seconds after which it is shown that an output is being stored: most are in a millisecond, and their `output`
follows at once."""
RETRY_PAUSES = (1.0, 2.0, 4.0, 8.0)
"""Seconds before the next request while Xinference accepts none; the last one repeats. A model is back in some 12."""


class Runner:
    """Run one output in one slot."""

    def __init__(
        self,
        upstream: Xinference,
        ledger: Ledger,
        store: Store,
        blobs: Blobs,
        durations: DurationHistory,
        unsaved: UnsavedBytes,
        images: ImageInputs,
        labels: FileLabels,
        clock: Clock,
    ) -> None:
        self._inputs = TaskInputs(store, images)
        self._images = images
        self._labels = labels
        self._upstream = upstream
        self._ledger = ledger
        self._blobs = blobs
        self._durations = durations
        self._unsaved = unsaved
        self._clock = clock

    async def run(self, run: OutputRun, uid: str) -> None:
        """Return when nothing of this run is at Xinference any more, as far as can be known.

        If its model is gone for good, the run is in the phase WAITING then.

        The output may have ended before, in the ledger. Cancelling leaves a request running upstream: only for a
        process that ends.
        """
        try:
            await self._run(run, uid)
        except XinflightError as error:
            log.info("output failed", code=error.code, detail=error.detail)
            self._ledger.fail(run, error)
        except Exception:
            log.exception("output failed", code=Internal.code)
            self._ledger.fail(run, Internal())

    async def _run(self, run: OutputRun, uid: str) -> None:
        kind = KINDS[run.task.kind]
        requests = run.output.attempt
        deaths = refusals = 0
        while not run.over:
            model = self._upstream.models.get(uid)
            ready = self._upstream.state is UpstreamState.READY
            if model is None and ready and uid not in self._upstream.vanished:
                self._ledger.wait(run)
                return
            if model is None or not ready:
                self._upstream.probe_soon()
                await self._pause(run, None, RETRY_PAUSES[0])
                continue
            if requests > 0:
                self._ledger.renew_request_id(run)
            requests += 1
            try:
                # In its slot, which stands idle for that moment, but before a request is stored as sent: what is
                # cancelled or killed meanwhile was never asked for.
                inputs = await self._inputs.prepare(run.task, partial(self._begin, run))
                if not run.over:
                    await self._ledger.sending(run, abortable=kind.route(true_cancel=model.true_cancel).true_cancel)
                # It may have ended, or the server stops, while that was stored.
                if not run.over:
                    made = await self._attempt(run, model, inputs)
                    with storing(run, made):
                        await self._store(run, made)
                return
            except Aborted as error:
                self._aborted(run, error)
                return
            except RouteMissing:
                self._upstream.disable_true_cancel(uid)
            except StorageUnavailable as error:
                await self._wait_for_room(run, error)
            except ModelNotFound as error:
                self._ledger.attempt_failed(run, error)
                # It was listed a moment ago: the next probe tells whether to wait for it, as for any that vanished.
                self._upstream.probe_soon()
                self._ledger.refused(run)
                if refusals >= len(RETRY_PAUSES):
                    raise
                await self._pause(run, None, RETRY_PAUSES[refusals])
                refusals += 1
            except UpstreamError as error:
                self._ledger.attempt_failed(run, error)
                self._upstream.probe_soon()
                if error.retryable and self._ledger.has_text(run):
                    # Another try would write another text.
                    raise Interrupted(detail=error.detail) from error
                deaths += isinstance(error, UpstreamDied)
                if isinstance(error, UpstreamBusy | UpstreamUnreachable):
                    self._ledger.refused(run)
                if not error.retryable or deaths >= kind.max_deaths:
                    raise
                log.info("output is tried again", code=error.code, detail=error.detail, attempt=run.output.attempt)
                pause = RETRY_PAUSES[min(refusals, len(RETRY_PAUSES) - 1)]
                await self._pause(run, error.code, max(pause, error.retry_after or 0.0))
                refusals += 1

    def _begin(self, run: OutputRun) -> bool:
        """Let an owner pay for the slot from now on, where images are decoded; return False if nobody needs them.

        Else who sends large images of which nothing can be made would get one slot after the other.
        """
        if run.charged_from is None and not run.over:
            run.charged_from = self._clock.monotonic()
        return not run.over

    async def _attempt(self, run: OutputRun, model: Model, inputs: Inputs) -> Made:
        """Send one request; return what was made. Raises what `Attempt.run` raises, and `Kind.finish`."""
        kind = KINDS[run.task.kind]
        with attempting(run, model.uid) as span:
            made = await self._ask(run, model, inputs, span.traceparent)
            answered(span, made)
        if not isinstance(made, bytes):
            return made
        if kind.finish is not None:
            made = await self._images.finish(kind.finish, inputs, made)
        return await self._labels.add(run.task, run.output, model.uid, made)

    async def _ask(self, run: OutputRun, model: Model, inputs: Inputs, traceparent: str | None) -> Made:
        """Send one request, as part of a trace, and learn from its times. Raises what `Attempt.run` raises."""
        key = run.duration_key(model.uid)
        started = self._clock.monotonic()
        kind = KINDS[run.task.kind]
        # Nobody knows how long a text becomes, however long others were.
        total = self._durations.total(key) if kind.polled else None
        estimator = ProgressEstimator(kind.step_count(run.task.params), started, total, self._durations.tail(key))
        attempt = Attempt(
            self._upstream,
            kind,
            generation_request(run, model, inputs, traceparent),
            estimator,
            true_cancel=model.true_cancel,
            report=lambda: self._ledger.progressed(run),
            add=lambda piece: self._ledger.add_text(run, piece),
            owner=run.owner,
        )
        self._ledger.sent(run, attempt)
        try:
            made = await attempt.run()
        except (RouteMissing, XinflightError) as error:
            if run.output.state is State.CANCELLING:
                # However its request ended, it has: that is what the cancel is for.
                raise Aborted(str(error)) from error
            raise
        finally:
            run.attempt = None
        now = self._clock.monotonic()
        self._durations.learn(key, now - estimator.began_at, estimator.tail(now))
        return made

    async def _pause(self, run: OutputRun, reason: str | None, seconds: float) -> None:
        self._ledger.retry(run, reason)
        await run.pause(self._clock, seconds)

    async def _wait_for_room(self, run: OutputRun, error: StorageUnavailable) -> None:
        """Wait while another output would be of no use, since the disk does not accept those that are there."""
        await self._pause(run, error.code, STORAGE_PAUSE)
        while self._unsaved.bytes and not run.over:
            await run.pause(self._clock, STORAGE_PAUSE)

    async def _store(self, run: OutputRun, made: Made) -> None:
        """Store the output, then record it. What was given up meanwhile is dropped.

        While the disk does not accept it, it stays in memory, if there is room, and its slot stays taken, so that no
        more outputs are made than can be stored.

        Raises:
            StorageUnavailable: too much is in memory already; the output will be made again.
        """
        output = run.output
        if run.output.ended:
            log.info("output dropped", state=output.state)
            return
        if isinstance(made, Answer):
            await self._ledger.complete(run, made)
            return
        file = await self._save(run, made)
        if file is None:
            return
        if output.ended:
            await self._blobs.delete(output.output_id)
            return
        await self._ledger.complete(run, file)

    async def _save(self, run: OutputRun, data: bytes) -> MediaInfo | None:
        """Write the file of an output until the disk accepts it; return None when there was no use in trying on.

        Raises:
            UpstreamGarbage: it is no image.
            StorageUnavailable: too much is in memory already.
        """
        file = await self._try_to_save(run, data)
        if file is not None:
            return file
        if run.output.state is State.CANCELLING:
            # It crossed its cancel; nobody waits for the disk with it.
            self._ledger.cancel(run, CancelOutcome.STOPPED)
            return None
        with self._unsaved.holding(len(data)):
            while file is None and not run.over:
                self._ledger.not_saved(run)
                await run.pause(self._clock, STORAGE_PAUSE)
                if not run.over:
                    file = await self._try_to_save(run, data, again=True)
        return file

    async def _try_to_save(self, run: OutputRun, data: bytes, *, again: bool = False) -> MediaInfo | None:
        self._ledger.saving(run)
        slow = self._clock.call_later(SLOW_SAVING, partial(self._show_saving, run))
        try:
            return await self._blobs.put(run.output.output_id, data)
        except OSError as error:
            # Once: a line of every output every two seconds would fill the rest of the disk.
            if not again:
                log.error("output not stored", error=str(error), unsaved=self._unsaved.bytes)
            self._show_saving(run)
            return None
        finally:
            slow.cancel()

    def _show_saving(self, run: OutputRun) -> None:
        if not run.output.ended:
            self._ledger.show(run)

    def _aborted(self, run: OutputRun, error: Aborted) -> None:
        """Record an end after an abort: ours, or that of somebody else who uses the same Xinference."""
        if run.output.state is State.CANCELLING:
            self._ledger.cancel(run, CancelOutcome.STOPPED)
        elif run.output.ended:
            return
        elif run.over:
            log.info("output goes on after the next start")
        else:
            raise UpstreamFailed(detail=f"aborted by somebody else: {error}")


def generation_request(
    run: OutputRun, model: Model, inputs: Inputs, traceparent: str | None = None
) -> GenerationRequest:
    """Return what to ask of a model; values that were not known at acceptance are the model's."""
    params = run.task.params
    width, height = (0, 0) if params.size is None else parse_size(params.size)
    return GenerationRequest(
        model=model.uid,
        prompt=params.prompt,
        negative_prompt=params.negative_prompt,
        width=width,
        height=height,
        steps=model.steps if params.steps is None else params.steps,
        guidance_scale=model.guidance_scale if params.guidance_scale is None else params.guidance_scale,
        seed=run.output.seed,
        request_id=run.output.request_id,
        params=params,
        context_length=model.context_length,
        inputs=inputs,
        traceparent=traceparent,
    )
