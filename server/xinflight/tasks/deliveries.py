"""Tasks with `store: false`: deleted as soon as their end was delivered, at the latest some minutes after it.

Delivered means that both have happened, in any order and to anybody who may see the task:

- its end was handed to the socket of a subscriber, or of a response that shows the ended task;
- each of its files was sent as a whole: as the answer to a GET, or inline as `b64_json`. A text is in the end itself.

The uploads that it started from go with it, unless they were uploaded or used again since it was accepted.
"""

import asyncio
from collections.abc import Callable, Collection

import structlog
from msgspec import Struct, field

from xinflight.clock import Clock
from xinflight.errors import StorageUnavailable
from xinflight.model import Event, Task
from xinflight.protocol import Cancelled, OutputEvent, Result, ServerMessage
from xinflight.storage import Retention, Store
from xinflight.supervise import Supervisor
from xinflight.tasks.spans import record_delivery
from xinflight.uploads import Uploads

__all__ = ["DELIVERY_SECONDS", "Deliveries"]

log = structlog.stdlib.get_logger(__name__)

DELIVERY_SECONDS = 600.0
"""Seconds after its end when a task is deleted although it was not delivered."""
PAUSE = 5.0
"""Seconds between two looks for tasks that are overdue; so much longer they may be kept."""


class _Undelivered(Struct):
    """A task that is not delivered yet. `awaited` are the outputs that its delivered end names, None before that.

    `gone_by` is when it is stored no longer, whatever happens, in Unix seconds.
    """

    owner: str
    task_id: str
    gone_by: float
    outputs: list[str]
    sent: set[str] = field(default_factory=set)
    awaited: set[str] | None = None


class Deliveries:
    """Follow what is delivered of tasks that are not to be kept. The task `deliveries` deletes them.

    What was delivered is not stored: after a restart it counts from the beginning. `on_deleted` is called with owner
    and task id after each deletion.
    """

    def __init__(
        self,
        store: Store,
        retention: Retention,
        uploads: Uploads,
        clock: Clock,
        supervisor: Supervisor,
        on_deleted: Callable[[str, str], None],
    ) -> None:
        self._store = store
        self._retention = retention
        self._uploads = uploads
        self._clock = clock
        self._supervisor = supervisor
        self._on_deleted = on_deleted
        # By uid, and the uid by id of output. Bounded by admission and by what ends within DELIVERY_SECONDS.
        self._undelivered: dict[str, _Undelivered] = {}
        self._by_output: dict[str, str] = {}
        # Of what is delivered and not deleted yet, the uids; all of them are among the undelivered.
        self._due: set[str] = set()
        self._wake = asyncio.Event()

    async def open(self) -> None:
        """Take back what an earlier process left, and start deleting. May raise StorageUnavailable."""
        for task in await self._store.not_kept():
            self.add(task)
            if task.ended and await self._retention.lacks_files(task):
                # It was delivered, and the earlier process died while it was deleted.
                self._due.add(task.uid)
        self._supervisor.start("deliveries", self._keep_deleting)

    async def close(self) -> None:
        """Stop deleting; what is delivered and not deleted yet waits for the next start."""
        await self._supervisor.stop("deliveries")

    # What was delivered; none of these waits

    def add(self, task: Task) -> None:
        """Follow a task, unless it is to be kept."""
        if not task.params.store and task.uid not in self._undelivered:
            ids = [output.output_id for output in task.outputs]
            self._undelivered[task.uid] = _Undelivered(
                task.owner, task.task_id, task.deadline + 2 * DELIVERY_SECONDS, ids
            )
            self._by_output.update(dict.fromkeys(ids, task.uid))

    def written(self, event: Event, message: ServerMessage) -> None:
        """Note that a subscriber's socket has taken an event; `message` is what was sent of it."""
        record_delivery(event, self._clock.time())
        undelivered = self._undelivered.get(event.uid)
        if undelivered is None:
            return
        if isinstance(message, OutputEvent) and isinstance(event.message, OutputEvent):
            # The stored event has the id where the message has the URL.
            if message.b64_json is not None:
                self.fetched(event.message.url)
        elif event.ends:
            undelivered.awaited = set(_outputs_of(event))
            self._check(event.uid)

    def shown(self, task: Task, inline: Collection[str]) -> None:
        """Note that a response has shown a task as it stands now, with the bytes of some outputs inline."""
        undelivered = self._undelivered.get(task.uid)
        if undelivered is not None and task.ended:
            undelivered.awaited = {output.output_id for output in task.files}
            self._check(task.uid)
        for output_id in inline:
            self.fetched(output_id)

    def awaits(self, output_id: str, by: str | None) -> bool:
        """Tell whether it matters that an output is sent to an owner, or with None to whoever has its signed URL."""
        uid = self._by_output.get(output_id)
        return uid is not None and by in (None, self._undelivered[uid].owner)

    def fetched(self, output_id: str) -> None:
        """Note that somebody was sent the whole file of an output."""
        uid = self._by_output.get(output_id)
        if uid is not None:
            self._undelivered[uid].sent.add(output_id)
            self._check(uid)

    def _check(self, uid: str) -> None:
        undelivered = self._undelivered[uid]
        if undelivered.awaited is not None and undelivered.awaited <= undelivered.sent:
            self._due.add(uid)
            self._wake.set()

    # Deletion

    async def _keep_deleting(self) -> None:
        while True:
            self._wake.clear()
            try:
                await self._delete_delivered()
                await self._delete_overdue()
            except (StorageUnavailable, OSError) as error:
                log.warning("tasks that are not to be kept are not deleted yet", error=str(error))
                # Not at once: whatever is delivered meanwhile sets the event again.
                await self._clock.sleep(PAUSE)
                continue
            try:
                async with self._clock.timeout(PAUSE):
                    await self._wake.wait()
            except TimeoutError:
                pass

    async def _delete_delivered(self) -> None:
        for uid in list(self._due):
            undelivered = self._undelivered[uid]
            task = await self._store.task(undelivered.owner, undelivered.task_id)
            # The id may stand for another task by now.
            if task is not None and task.uid == uid:
                if not task.ended:
                    # A response has shown an end that is not stored yet.
                    continue
                await self._delete(task)
            self._forget(uid)

    async def _delete_overdue(self) -> None:
        now = self._clock.time()
        for task in await self._store.not_kept(ended_before=now - DELIVERY_SECONDS):
            await self._delete(task)
            self._forget(task.uid)
        # Deleted by its owner, or by a cap of the history: nothing else may be left of those.
        for uid in [uid for uid, one in self._undelivered.items() if one.gone_by < now]:
            self._forget(uid)

    async def _delete(self, task: Task) -> None:
        # First, since after a crash the task is still there, and this is done again.
        await self._uploads.let_go(task)
        await self._retention.erase(task)
        log.info("task not kept", task=task.task_id, request_id=task.request_id)
        self._on_deleted(task.owner, task.task_id)

    def _forget(self, uid: str) -> None:
        undelivered = self._undelivered.pop(uid, None)
        self._due.discard(uid)
        for output_id in [] if undelivered is None else undelivered.outputs:
            del self._by_output[output_id]


def _outputs_of(event: Event) -> list[str]:
    """Return the ids of the outputs with a file that an end names. A text was delivered with it."""
    match event.message:
        case Result():
            outputs = event.message.data.data
        case Cancelled():
            outputs = event.message.data
        case _:
            outputs = []
    return [output.url for output in outputs if output.url]
