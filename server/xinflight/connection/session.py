"""One connection: decode incoming frames, carry out the requests, and queue the replies in the outbox."""

import asyncio
import math
import uuid
from collections.abc import Mapping
from contextvars import Token
from typing import Any

import structlog
from msgspec.structs import replace

from xinflight.auth import acting_for
from xinflight.connection.access import Access
from xinflight.connection.outbox import Outbox
from xinflight.errors import (
    BinaryFrame,
    FrameTooLarge,
    Internal,
    OutOfBounds,
    TextFrame,
    TokenExpired,
    Unauthorised,
    WrongShape,
    XinflightError,
)
from xinflight.gateway import Gateway
from xinflight.i18n import translate
from xinflight.journal import Subscriber
from xinflight.model import Task
from xinflight.protocol import (
    DEFAULT_PROMPT,
    Ack,
    Authenticate,
    Cancel,
    CancelledTask,
    ChangePresets,
    Chat,
    CloseCode,
    Codec,
    Delete,
    Follow,
    Generate,
    ListTasks,
    Mark,
    Move,
    Notice,
    Ok,
    Pause,
    Ping,
    Pong,
    Prefer,
    PreferencesMessage,
    PresetsMessage,
    Recovered,
    Request,
    Restore,
    Resume,
    ServerMessage,
    TaskRequest,
    Tasks,
    Unfollow,
    Unpause,
    Welcome,
)
from xinflight.render import RenderContext, error_message, render_task, upstream_notice, upstream_status
from xinflight.request_limits import ClientMeter
from xinflight.tasks import FRAME_BYTES, adjusted, limits

__all__ = ["Session"]

log = structlog.stdlib.get_logger(__name__)


class Session:
    """Serve one client. `receive` must be called for one frame at a time, in the order of arrival.

    When the session ends by itself, `close_code` and `close_reason` are what to close the connection with.
    """

    def __init__(
        self,
        gateway: Gateway,
        access: Access,
        subscriber: Subscriber,
        outbox: Outbox,
        render_context: RenderContext,
        codec: Codec,
        meter: ClientMeter,
    ) -> None:
        self.connection_id = str(uuid.uuid4())
        self.owner = access.identity.id
        self.ended = False
        self.close_code, self.close_reason = CloseCode.RESTART, "restarting"
        self._access = access
        self.lang = render_context.lang
        self.outbox = outbox
        self._gateway = gateway
        self._subscriber = subscriber
        self._render_context = render_context
        self._codec = codec
        self._meter = meter

    def welcome(self) -> None:
        """Queue the `welcome` message."""
        upstream, settings = self._gateway.upstream, self._gateway.settings
        self.outbox.put(
            Welcome(
                connection_id=self.connection_id,
                owner=self.owner,
                admin=self._access.identity.admin,
                epoch=self._gateway.journal.epoch,
                cursor=self._gateway.journal.cursor(self.owner),
                heartbeat=settings.heartbeat,
                limits=limits(settings),
                models=upstream.infos(),
                upstream=upstream_status(upstream.state, self.lang),
            )
        )

    def notify(self, notice: Notice) -> None:
        """Queue a notice."""
        self.outbox.put(notice)

    def register(self) -> None:
        """Become one of the gateway's connections, and end when the credentials expire, until `unregister`."""
        self._gateway.connections.register(self)
        self._access.watch(self)

    def unregister(self) -> None:
        """Be none of the gateway's connections any more."""
        self._access.unwatch()
        self._gateway.connections.unregister(self)

    def close(self) -> None:
        """Close the connection once everything that is queued now is sent."""
        self.outbox.close()

    def access_expires(self, seconds: float) -> None:
        """Queue the notice that the credentials expire soon."""
        message, now = translate("expiring", self.lang), self._gateway.clock.time()
        self.outbox.put(Notice(kind="expiring", message=message, timestamp=now, seconds=math.floor(seconds)))

    def access_ended(self, error: TokenExpired | Unauthorised) -> None:
        """Close the connection without its pending events, which a resume delivers, and ignore further frames."""
        self.ended = True
        if isinstance(error, TokenExpired):
            self.close_code, self.close_reason = CloseCode.EXPIRED, "the credentials have expired"
        else:
            self.close_code, self.close_reason = CloseCode.UNAUTHORISED, "the credentials were revoked"
        self.outbox.close(events=False)

    def upstream_changed(self) -> None:
        """Queue the notice that Xinference or its models changed."""
        upstream = self._gateway.upstream
        self.outbox.put(upstream_notice(upstream.state, upstream.infos(), self.lang, self._gateway.clock.time()))

    async def receive(self, frame: str | bytes) -> None:
        """Carry out the request in one frame and queue the reply. Any error becomes a reply; nothing is raised.

        Once the credentials have expired or were revoked, frames are ignored.
        Cancellation may lose the reply, but never an accepted task.
        """
        if self.ended:
            return
        ref = task_id = None
        bound: Mapping[str, Token[Any]] = {}
        # What is no message counts, too.
        beyond = self._meter.count()
        try:
            if isinstance(frame, str) is self._codec.binary:
                raise TextFrame if self._codec.binary else BinaryFrame
            data = frame.encode() if isinstance(frame, str) else frame
            self._check_size(data)
            try:
                message = self._codec.decode(data)
            except XinflightError:
                ref = self._codec.salvage_ref(data)
                bound = _bind_ref(ref)
                raise
            ref = message.ref
            bound = _bind_ref(ref)
            task_id = getattr(message, "task_id", None)
            if beyond is not None:
                raise beyond
            answer = await self._act(message, data)
        except XinflightError as error:
            self._gateway.refusals.write("message refused", error)
            answer = error_message(error, self.lang, self._gateway.clock.time(), ref=ref, task_id=task_id)
        except Exception:
            log.exception("message failed", code=Internal.code)
            answer = error_message(Internal(), self.lang, self._gateway.clock.time(), ref=ref, task_id=task_id)
        finally:
            structlog.contextvars.reset_contextvars(**bound)
        if answer is not None:
            self.outbox.put(answer)

    def _check_size(self, data: bytes) -> None:
        """Raise FrameTooLarge, before a long frame is decoded; only a `chat` may be longer than FRAME_BYTES."""
        most = FRAME_BYTES
        if len(data) > most and self._codec.salvage_action(data) == "chat":
            most = max(most, self._gateway.settings.chat_bytes)
        if len(data) > most:
            raise FrameTooLarge(limit=f"{most} bytes")

    async def _act(self, message: Request, frame: bytes) -> ServerMessage | None:
        match message:
            case Generate() | Chat():
                await self._submit(message, frame)
                return None
            case Cancel():
                return await self._cancel(message)
            case Move():
                return await self._move(message)
            case Pause() | Unpause():
                return await self._pause(message)
            case Resume():
                await self._resume(message)
                return None
            case Follow():
                await self._follow(message)
                return None
            case Unfollow():
                return await self._unfollow(message)
            case ListTasks():
                return await self._list(message)
            case Delete():
                return await self._delete(message)
            case Mark():
                return await self._mark(message)
            case Restore():
                return await self._restore(message)
            case Prefer():
                return await self._preferences(message)
            case ChangePresets():
                return await self._presets(message)
            case Ping():
                return Pong(ref=message.ref, nonce=message.nonce)
            case Authenticate():
                await self._access.renew(message.token)
                return Ok(ref=message.ref, tasks=[])

    async def _submit(self, message: Generate | Chat, frame: bytes) -> None:
        if isinstance(message, Generate) and message.prompt is None and not self._codec.fields(frame):
            message.prompt = DEFAULT_PROMPT
        # Before `submit`: if this failed after it, the task would run without an `ack`.
        ignored = self._codec.unknown_fields(frame, message)
        with self.outbox.events_held():
            task, _ = await self._gateway.submit(
                message, self._access.identity, self._subscriber, self._meter.address
            )
            self.outbox.put(self._ack(message, task, ignored))

    def _ack(self, message: TaskRequest, task: Task, ignored: list[str]) -> Ack:
        return Ack(
            ref=message.ref,
            task_id=task.task_id,
            connection_id=self.connection_id,
            message=translate("ack", task.lang or self.lang),
            timestamp=self._gateway.clock.time(),
            params=task.params,
            state=task.state,
            adjusted=adjusted(message, task),
            ignored=ignored,
            metadata=task.metadata,
        )

    async def _cancel(self, message: Cancel) -> Ok:
        task_id = message.task_id
        if [task_id, message.group, message.scope].count(None) != 2:
            raise WrongShape(field="task_id", limit="either task_id, group or scope")
        if task_id is None and message.index is not None:
            raise OutOfBounds(field="index", limit="only with task_id")
        which = task_id or message.group or "all"
        owner = acting_for(self._access.identity, message.owner, "cancel", task=which, index=message.index)
        if task_id is None:
            cancelled = await self._gateway.cancel_all(owner, set(message.except_), message.group)
            return Ok(ref=message.ref, tasks=cancelled)
        with self.outbox.events_held():
            one = await self._gateway.cancel(owner, task_id, message.index)
            # In this turn of the loop the abort is sent, before the client is told of it.
            await asyncio.sleep(0)
        return Ok(ref=message.ref, tasks=[one])

    async def _move(self, message: Move) -> Ok:
        if (message.before is None) == (message.to is None):
            raise WrongShape(field="to", limit="either before or to")
        owner = acting_for(self._access.identity, message.owner, "move", task=message.task_id)
        moved = await self._gateway.queue.move(owner, message.task_id, before=message.before, to=message.to)
        return Ok(ref=message.ref, tasks=[moved])

    async def _pause(self, message: Pause | Unpause) -> Ok:
        task_id = _one_or_all(message.task_id, message.scope)
        paused = isinstance(message, Pause)
        action = "pause" if paused else "unpause"
        owner = acting_for(self._access.identity, message.owner, action, task=task_id or "all")
        return Ok(ref=message.ref, tasks=await self._gateway.queue.pause(owner, task_id, paused=paused))

    async def _resume(self, message: Resume) -> None:
        if (message.tasks is None) == (message.scope is None):
            raise WrongShape(field="tasks", limit="either tasks or scope")
        await self._replay(message.ref, message.tasks, message.after)

    async def _follow(self, message: Follow) -> None:
        task_id = _one_or_all(message.task_id, message.scope)
        await self._replay(message.ref, None if task_id is None else [task_id], message.after)

    async def _replay(self, ref: str | None, task_ids: list[str] | None, cursor: str | None) -> None:
        """Subscribe to tasks, or to all; with a cursor, first replay the events after it, if they are still stored.

        The reply is sent after the replay: a client that is disconnected before it sends the same request again.
        """
        found = {}
        for task_id in task_ids or ():
            task = await self._gateway.find(self.owner, task_id)
            if task is not None:
                found[task_id] = task
        recovered, after = True, None
        if cursor is not None:
            position = await self._gateway.resolve_cursor(self.owner, cursor, single=task_ids is not None)
            recovered, after = position.recovered, position.after if position.recovered else None
        done = Recovered(
            ref=ref,
            recovered=recovered,
            cursor=self._gateway.journal.cursor(self.owner),
            unknown=[task_id for task_id in task_ids or () if task_id not in found],
        )
        if task_ids is None:
            self._subscriber.subscribe_all(after=after, done=done)
        else:
            running = [task.uid for task in found.values() if self._gateway.is_active(task)]
            self._subscriber.subscribe([task.uid for task in found.values()], running, after=after, done=done)

    async def _unfollow(self, message: Unfollow) -> Ok:
        task_id = _one_or_all(message.task_id, message.scope)
        if task_id is None:
            self._subscriber.unsubscribe_all()
            return Ok(ref=message.ref, tasks=[])
        task = await self._gateway.find(self.owner, task_id)
        if task is not None:
            self._subscriber.unsubscribe(task.uid)
        was = "unknown" if task is None else task.state
        return Ok(ref=message.ref, tasks=[CancelledTask(task_id=task_id, was=was)])

    async def _list(self, message: ListTasks) -> Tasks:
        # Before the page: what happens while it is read must come again with a resume, not be skipped.
        cursor = self._gateway.journal.cursor(self.owner)
        rows, following = await self._gateway.page(self.owner, message)
        # A page is one message: with the bytes of all its outputs inline its size would be unbounded.
        render_context = replace(self._render_context, inline_bytes=0)
        infos = [await render_task(row.task, render_context, row.marks) for row in rows]
        return Tasks(ref=message.ref, tasks=infos, next=following, cursor=cursor)

    async def _delete(self, message: Delete) -> Ok:
        if message.index is not None:
            deleted = await self._gateway.marking.delete(self.owner, message.task_id, message.index)
            return Ok(ref=message.ref, tasks=[deleted])
        task = await self._gateway.delete(self.owner, message.task_id)
        was = "unknown" if task is None else task.state
        return Ok(ref=message.ref, tasks=[CancelledTask(task_id=message.task_id, was=was)])

    async def _mark(self, message: Mark) -> Ok:
        marked = await self._gateway.marking.mark(
            self.owner, message.task_id, message.index, starred=message.starred, tags=message.tags
        )
        return Ok(ref=message.ref, tasks=[marked])

    async def _restore(self, message: Restore) -> Ok:
        restored = await self._gateway.marking.restore(self.owner, message.task_id, message.index)
        return Ok(ref=message.ref, tasks=[restored])

    async def _preferences(self, message: Prefer) -> PreferencesMessage:
        found = await self._gateway.account.preferences.change(self.owner, message.change)
        return PreferencesMessage(ref=message.ref, version=found.version, preferences=found.preferences)

    async def _presets(self, message: ChangePresets) -> PresetsMessage:
        found = await self._gateway.account.presets.change(self.owner, message.change)
        return PresetsMessage(ref=message.ref, version=found.version, presets=found.presets)


def _bind_ref(ref: str | None) -> Mapping[str, Token[Any]]:
    """Add the `ref` of a message to the log lines from now on; return what `reset_contextvars` ends that with."""
    if ref is None:
        return {}
    # The client may have put control characters into it, and the logs of a host may not escape them.
    return structlog.contextvars.bind_contextvars(ref=ref if ref.isprintable() else ascii(ref))


def _one_or_all(task_id: str | None, scope: str | None) -> str | None:
    """Return the task id, or None for all; raise WrongShape unless exactly one of them is given."""
    if (task_id is None) == (scope is None):
        raise WrongShape(field="task_id", limit="either task_id or scope")
    return task_id
