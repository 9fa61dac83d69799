"""One request for one output, from its POST until it is known to have ended upstream."""

import asyncio
import math
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

from xinflight.errors import (
    ModelNotFound,
    UpstreamDied,
    UpstreamFailed,
    UpstreamGarbage,
    UpstreamUnreachable,
    XinflightError,
)
from xinflight.upstream.client import encode
from xinflight.upstream.http import NotSent
from xinflight.upstream.kinds import GenerationRequest, IdCheck, Kind, Made, Piece
from xinflight.upstream.messages import Aborted, ProgressAnswer, generation_failure, parse
from xinflight.upstream.models import Xinference
from xinflight.upstream.progress import ProgressEstimator

__all__ = ["NOT_FOUND", "Attempt"]

log = structlog.stdlib.get_logger(__name__)

NOT_FOUND = "NOT_FOUND"
"""What an abort answers for a chat that does not run."""
HANG_UP_PAUSE = 2.0
"""Seconds from an abort until the connection of a stream that goes on is closed, which stops it, too."""
FIRST_PAUSE, CHECK_PAUSE = 0.1, 5.0
"""Seconds between two checks on a request that was aborted or lost its connection: they double from the first."""
LATE, LATE_PART = 0.5, 0.2
"""Seconds, and the part of the time left, by which a response must be later than was told for that to be told."""


class Attempt:
    """Request one output. `run` returns or raises only when the request has ended upstream, as far as can be known.

    `true_cancel` is whether its model has a route with a true cancel; the attribute, whether an abort can be sent.
    `owner` is who may watch it, None for one that is always polled as if somebody did.
    `report` is called on the loop after `estimator` changed, `add` with each new piece of a text.
    """

    def __init__(
        self,
        upstream: Xinference,
        kind: Kind,
        request: GenerationRequest,
        estimator: ProgressEstimator,
        *,
        true_cancel: bool,
        report: Callable[[], None],
        add: Callable[[Piece], None] = lambda piece: None,
        owner: str | None = None,
    ) -> None:
        self.request = request
        self.estimator = estimator
        self._route = kind.route(true_cancel=true_cancel)
        self.true_cancel = self._route.true_cancel
        self._upstream = upstream
        self._clock = upstream.clock
        self._kind = kind
        self._report = report
        self._add = add
        self._owner = owner
        # Done when the request is presumed to have ended.
        self._presumed_ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        # Whether `abort` was called.
        self._aborted = asyncio.Event()
        # Whether the abort was sent and the end is watched for: also after a lost connection.
        self._stopping = False
        self._over = False
        # When the response was expected by what clients were told last: first by the snapshot of its sending.
        self._told_end = self._expected_end(upstream.clock.monotonic())
        # Owned by this attempt and cancelled at its end; the one that polls is among them.
        self._helpers: list[asyncio.Task[None]] = []
        self._poller: asyncio.Task[None] | None = None

    @property
    def confirm_seconds(self) -> float:
        """Seconds after which an abort counts as unconfirmed."""
        timeouts = self._kind.timeouts
        five_steps = 5 * self.estimator.step_seconds(self._kind.step_count(self.request.params) or self.request.steps)
        # Before `silence` is over: a request that is only presumed to have ended confirms nothing.
        return min(max(timeouts.confirm, five_steps), timeouts.silence / 2)

    async def run(self) -> Made:
        """Send the request and return what was made.

        Raises:
            Aborted: `abort` was called, and the request has ended or was never sent.
            UpstreamError: it failed; `retryable` ones may be tried again with a fresh request id.
            RouteMissing: the model needs the kind's other route.
            ModelNotFound: the model no longer exists.

        Cancelling the call closes the connection and leaves the request running upstream: only for a process
        that ends.
        """
        if self._aborted.is_set():
            await self._finish()
            raise Aborted("never sent")
        if self._kind.polled:
            self._start(self._poll_progress(), "progress")
            self._poller = self._helpers[-1]
        post = asyncio.create_task(self._post(), name=f"post {self.request.request_id}")
        if self._kind.streams:
            self._start(self._hang_up(post), "hang up")
        ends: set[asyncio.Future[Any]] = {post, self._presumed_ended}
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            if not post.done():
                raise UpstreamDied(detail="presumed to have ended: no progress")
            if post.cancelled():
                await self._stop_and_wait()
                raise Aborted("its connection was closed")
            return await post
        except NotSent as error:
            raise UpstreamUnreachable(detail=str(error)) from None
        except UpstreamGarbage:
            # What was not read to its end may still be written.
            if self._kind.streams:
                await self._stop_and_wait()
            raise
        except OSError as error:
            self._upstream.probe_soon()
            await self._stop_and_wait()
            if self._aborted.is_set():
                raise Aborted("its response was lost") from None
            raise UpstreamDied(detail=f"the response was lost: {type(error).__name__} {error}") from None
        finally:
            await self._finish(post)
            # The traceback of a failure has this frame: with the task of the same failure in it, all that belongs to
            # the request would be a reference cycle, and stay until a full collection, which is rare.
            del post, ends

    def abort(self) -> None:
        """Abort the upstream request where its route allows that. Returns at once; idempotent.

        `run` ends when the request has ended, or after `timeouts.silence` without progress.
        """
        self._aborted.set()
        self._stop()

    async def settle(self) -> None:
        """Stop a request of an earlier process, and return when it has ended, as far as can be known."""
        try:
            await self._stop_and_wait()
        finally:
            await self._finish()

    async def progress(self) -> float | None:
        """Ask for the progress now; return it, or None while the upstream does not know the id.

        Errors as `Xinference.request`.
        """
        self._upstream.polls.count_unplanned()
        return await self._ask_progress()

    async def _ask_progress(self) -> float | None:
        path = f"/v1/requests/{self.request.request_id}/progress"
        self._upstream.telemetry.polled()
        try:
            return parse(await self._upstream.request("GET", path), ProgressAnswer).progress
        except ModelNotFound:
            return None
        except UpstreamFailed as error:
            # Any other response, like a 503, says nothing about the request.
            if error.upstream_status == 400:
                return None
            raise

    # Helpers

    def _start(self, helper: Coroutine[Any, Any, None], name: str) -> None:
        self._helpers.append(asyncio.create_task(helper, name=f"{name} {self.request.request_id}"))

    async def _finish(self, *tasks: asyncio.Task[Any]) -> None:
        # From here on `abort` has nothing to stop, and nobody would await its helpers.
        self._over = True
        ours = [*tasks, *self._helpers]
        for task in ours:
            task.cancel()
        if not all(task.done() for task in ours):
            await asyncio.gather(*ours, return_exceptions=True)
        # Their tracebacks have frames with this attempt, a reference cycle.
        self._helpers.clear()
        self._poller = None

    async def _post(self) -> Made:
        """Send the request and read its response; once it is aborted, its text is no longer told."""
        route = self._route
        reader = route.reader(self.request)
        body: object = route.body(self.request)
        if self.request.inputs.image_bytes:
            # Base64 of megabytes.
            body = await asyncio.to_thread(encode, body)

        def receive(data: bytes) -> bool:
            for piece in reader.feed(data):
                if not self._aborted.is_set():
                    self._add(piece)
            return reader.over

        try:
            await self._upstream.post(
                route.path(self.request),
                body,
                receive,
                max_bytes=self._kind.max_bytes(self.request),
                traceparent=self.request.traceparent,
            )
            return reader.end()
        except UpstreamDied as error:
            # Of a chat, Xinference gives the same answer for an abort as for any failure.
            if self._aborted.is_set():
                raise Aborted(error.detail) from None
            raise
        except UpstreamFailed as error:
            raise generation_failure(error, route.missing) from None
        finally:
            if self._poller is not None:
                # Already here, so that it has ended when `run` goes on, which then need not wait for it.
                self._poller.cancel()

    async def _hang_up(self, post: asyncio.Task[Made]) -> None:
        """Close the connection of a stream that does not end soon after its abort, which stops its compute, too.

        What has not begun would otherwise hold its connection until it begins.
        """
        await self._aborted.wait()
        await self._clock.sleep(HANG_UP_PAUSE)
        post.cancel()

    async def _poll_progress(self) -> None:
        """Poll whenever it has its turn, until the progress is 1.0, nobody is shown it any more, or `run` ends."""
        with self._upstream.polls.join(self._owner) as turns:
            while self.estimator.decoding_since is None:
                await turns.next(self.estimator)
                if self._stopping:
                    # `_watch_for_end` polls from here on, which must not wait for a turn.
                    return
                try:
                    progress = await self._ask_progress()
                except (OSError, XinflightError):
                    progress = None
                self._update(progress or 0.0)

    def _update(self, progress: float) -> None:
        now = self._clock.monotonic()
        rose = self.estimator.update(progress, now)
        end = self._expected_end(now)
        # Clients estimate on from what they were told last: they must hear that it comes later, too.
        late = end - self._told_end > max(LATE, LATE_PART * (end - now))
        if (rose or late) and not self._aborted.is_set():
            self._told_end = end
            self._report()

    def _expected_end(self, now: float) -> float:
        """Return when the response is expected, or infinity if nothing is known."""
        left = self.estimator.remaining(now)
        return math.inf if left is None else now + left

    def _stop(self) -> None:
        if self._stopping or self._over:
            return
        self._stopping = True
        if self.true_cancel:
            self._start(self._send_abort(), "abort")
        self._start(self._watch_for_end(), "watch")

    async def _send_abort(self) -> None:
        """Send the abort until it is answered; what the answer says proves nothing."""
        pause = FIRST_PAUSE
        while True:
            try:
                await self._upstream.abort_request(self.request.model, self.request.request_id)
                return
            except (OSError, XinflightError) as error:
                log.debug("abort not answered", error=str(error))
            await self._clock.sleep(pause)
            pause = min(2 * pause, CHECK_PAUSE)

    async def _stop_and_wait(self) -> None:
        """Stop a request without a connection, and poll until its progress shows that it has ended."""
        self._stop()
        pause = FIRST_PAUSE
        while not self._presumed_ended.done():
            try:
                if await self._has_ended():
                    return
            except (OSError, XinflightError):
                pass
            try:
                async with self._clock.timeout(pause):
                    await asyncio.wait([self._presumed_ended])
            except TimeoutError:
                pause = min(2 * pause, CHECK_PAUSE)

    async def _has_ended(self) -> bool:
        """Return whether the upstream shows that the request has ended; errors as `progress`."""
        if self._kind.shows_end == "abort":
            return await self._upstream.abort_request(self.request.model, self.request.request_id) == NOT_FOUND
        progress = await self.progress()
        if isinstance(self._kind.shows_end, IdCheck):
            # For `_watch_for_end`, which presumes the end of what stands still.
            self._update(progress or 0.0)
            return await self._id_is_unused(self._kind.shows_end)
        if progress is None:
            return self._kind.unknown_has_ended
        if progress < 1.0:
            # `_watch_for_end` sees it by the estimator.
            self._update(progress)
            return False
        if not self.true_cancel:
            await self._clock.sleep(self._kind.timeouts.after_steps)
        return True

    async def _id_is_unused(self, check: IdCheck) -> bool:
        """Return whether the upstream has no request under this id; errors as `Xinference.request`."""
        try:
            await self._upstream.request("POST", check.path, check.body(self.request))
        except ModelNotFound:
            # A model that is gone took its requests along.
            return True
        except UpstreamFailed as error:
            return check.unused in error.detail.lower()
        return False

    async def _watch_for_end(self) -> None:
        """Presume the end when the model's processes were replaced, or after `timeouts.silence` without progress."""
        seen, since = self.estimator.progress, self._clock.monotonic()
        # Most requests end before: then nothing is asked, and nothing is written before the abort.
        await self._clock.sleep(FIRST_PAUSE)
        before = await self._processes()
        # Measured by the clock, since each check may take as long as a call that is not answered.
        while (left := since + self._kind.timeouts.silence - self._clock.monotonic()) > 0:
            await self._clock.sleep(min(CHECK_PAUSE, left))
            now = await self._processes()
            # Which replica runs the request is unknown: it has ended for certain when none of them is left.
            if before and now and not before & now:
                break
            before = before or now
            await self._look()
            if self.estimator.progress != seen:
                seen, since = self.estimator.progress, self._clock.monotonic()
        self._presumed_ended.set_result(None)

    async def _look(self) -> None:
        """Poll the progress, unless that was just done or tells nothing more."""
        estimator = self.estimator
        recent = self._clock.monotonic() - estimator.last_poll < CHECK_PAUSE / 2
        if recent or estimator.decoding_since is not None or not self._kind.polled:
            return
        try:
            self._update(await self.progress() or 0.0)
        except (OSError, XinflightError):
            pass

    async def _processes(self) -> set[tuple[int, str, int]]:
        """Return what identifies the model's processes, or an empty set if that can't be told."""
        try:
            rows = await self._upstream.replicas(self.request.model)
        except (OSError, XinflightError):
            return set()
        # A row without an address is a replica between two processes.
        return {(row.replica_id, row.model_address, row.created_ts) for row in rows if row.model_address is not None}
