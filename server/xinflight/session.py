"""One connection: frames come in as bytes, are decoded, acted on, and answered through the outbox."""

import uuid

import msgspec
import structlog

from xinflight.acceptance import FRAME_BYTES, limits
from xinflight.clock import Clock
from xinflight.config import Settings
from xinflight.errors import (
    BinaryFrame,
    FrameTooLarge,
    Internal,
    OutOfBounds,
    TooManyTasks,
    WrongShape,
    XinflightError,
)
from xinflight.follower import Follower
from xinflight.manager import Manager
from xinflight.outbox import Outbox
from xinflight.protocol import (
    DEFAULT_PROMPT,
    Ack,
    Cancel,
    Generate,
    Notice,
    Ok,
    Ping,
    Pong,
    ServerMessage,
    Welcome,
    decode,
    has_fields,
    unknown_fields,
)
from xinflight.render import error_message, upstream_notice, upstream_status
from xinflight.task import Task
from xinflight.words import say

__all__ = ["Session"]

log = structlog.stdlib.get_logger(__name__)


class _Ref(msgspec.Struct):
    """What is wanted of a message that could not be decoded: where its error belongs."""

    ref: str | None = None


class Session:
    """Speak with one client. The reader calls `receive` for one frame after the other."""

    def __init__(
        self, manager: Manager, follower: Follower, outbox: Outbox, settings: Settings, clock: Clock, *, lang: str
    ) -> None:
        self.connection_id = str(uuid.uuid4())
        self.owner = follower.owner
        self.lang = lang
        self.outbox = outbox
        self._manager = manager
        self._follower = follower
        self._settings = settings
        self._clock = clock
        # Ids of tasks that this connection started; those that ended are dropped when it starts one more.
        self._started: set[str] = set()

    def welcome(self) -> None:
        """Say the first word."""
        upstream = self._manager.upstream
        self.outbox.put(
            Welcome(
                connection_id=self.connection_id,
                owner=self.owner,
                epoch=self._manager.journal.epoch,
                heartbeat=self._settings.heartbeat,
                limits=limits(self._settings),
                models=upstream.infos(),
                upstream=upstream_status(upstream.state, self.lang),
            )
        )

    def tell(self, notice: Notice) -> None:
        """Say something that nobody asked for."""
        self.outbox.put(notice)

    def upstream_changed(self) -> None:
        """Tell that Xinference or its models changed."""
        upstream = self._manager.upstream
        self.outbox.put(upstream_notice(upstream.state, upstream.infos(), self.lang, self._clock.time()))

    async def receive(self, frame: str | bytes) -> None:
        """Act on one frame and answer it; whatever is wrong with it, the connection lives on.

        Cancelling may lose the answer, never an accepted task.
        """
        ref = None
        task_id = None
        try:
            if isinstance(frame, bytes):
                raise BinaryFrame
            if len(frame) > FRAME_BYTES or len(frame) * 4 > FRAME_BYTES < len(frame.encode()):
                raise FrameTooLarge(limit=f"{FRAME_BYTES} bytes")
            try:
                message = decode(frame)
            except XinflightError:
                ref = _salvage_ref(frame)
                raise
            ref = message.ref
            task_id = None if isinstance(message, Ping) else message.task_id
            answer = await self._act(message, frame)
        except XinflightError as error:
            log.info("message refused", code=error.code, field=error.field)
            answer = error_message(error, self.lang, self._clock.time(), ref=ref, task_id=task_id)
        except Exception:
            log.exception("message failed", code=Internal.code)
            answer = error_message(Internal(), self.lang, self._clock.time(), ref=ref, task_id=task_id)
        if answer is not None:
            self.outbox.put(answer)

    async def _act(self, message: Generate | Cancel | Ping, frame: str) -> ServerMessage | None:
        match message:
            case Generate():
                await self._generate(message, frame)
                return None
            case Cancel():
                return await self._cancel(message)
            case Ping():
                return Pong(ref=message.ref, nonce=message.nonce)

    async def _generate(self, message: Generate, frame: str) -> None:
        if message.prompt is None and not has_fields(frame):
            message.prompt = DEFAULT_PROMPT
        self._started = {task_id for task_id in self._started if self._manager.unfinished(self.owner, task_id)}
        if len(self._started) >= self._settings.tasks_per_connection and message.task_id not in self._started:
            raise TooManyTasks(limit=f"{self._settings.tasks_per_connection} per connection")
        with self.outbox.events_held():
            task, fresh = await self._manager.submit(message, self.owner, self._watch)
            self._started.add(task.task_id)
            self.outbox.put(self._ack(message, task, frame))
            if not fresh:
                self._follower.watch([task.uid], after=0)

    def _watch(self, task: Task) -> None:
        self._follower.watch([task.uid], after=None)

    def _ack(self, message: Generate, task: Task, frame: str) -> Ack:
        return Ack(
            ref=message.ref,
            task_id=task.task_id,
            connection_id=self.connection_id,
            message=say("ack", task.lang or self.lang),
            timestamp=self._clock.time(),
            params=task.params,
            state=task.state,
            ignored=unknown_fields(frame, message),
            metadata=task.metadata,
        )

    async def _cancel(self, message: Cancel) -> Ok:
        if (message.scope is None) == (message.task_id is None):
            raise WrongShape(field="task_id", limit="either task_id or scope")
        if message.task_id is None:
            if message.index is not None:
                raise OutOfBounds(field="index", limit="only with task_id")
            return Ok(ref=message.ref, tasks=await self._manager.cancel_all(self.owner, set(message.except_)))
        return Ok(ref=message.ref, tasks=[await self._manager.cancel(self.owner, message.task_id, message.index)])


def _salvage_ref(frame: str) -> str | None:
    """Return the ref of a message that has one, even if nothing else of it makes sense."""
    try:
        ref = msgspec.json.decode(frame, type=_Ref).ref
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
    return ref if ref is None or len(ref) <= 64 else None
