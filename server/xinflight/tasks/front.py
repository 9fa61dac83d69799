"""What every transport asks for: accept a request, cancel, find, subscribe, delete."""

import asyncio
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager

import structlog
from msgspec.structs import replace

from xinflight.auth import Identity
from xinflight.clock import Clock
from xinflight.errors import (
    AccountBusy,
    ImageNotFound,
    QuotaExceeded,
    ShuttingDown,
    StorageUnavailable,
    TaskIdConflict,
    TaskUnfinished,
    TooManyTasks,
    XinflightError,
)
from xinflight.journal import Journal, Subscriber
from xinflight.model import Task, day_of, has_content
from xinflight.protocol import CancelledTask, Chat, ChatContent, ListTasks, TaskRequest
from xinflight.settings import Settings
from xinflight.storage import FoundTask, Outcome, Retention
from xinflight.tasks.admission import (
    check,
    check_content,
    check_context,
    check_inputs,
    check_metadata,
    choose_model,
)
from xinflight.tasks.new_task import choose_kind, names_images, new_task, resolve_inputs
from xinflight.tasks.pools import Pools
from xinflight.tasks.presence import Presence
from xinflight.uploads import Uploads
from xinflight.upstream import Xinference

__all__ = ["Front"]

log = structlog.stdlib.get_logger(__name__)


DAY = 86400.0


class Front:
    """Accept tasks for the pools, and find and cancel them there."""

    def __init__(
        self,
        settings: Settings,
        upstream: Xinference,
        journal: Journal,
        pools: Pools,
        retention: Retention,
        uploads: Uploads,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._upstream = upstream
        self._journal = journal
        self._pools = pools
        self._retention = retention
        self._uploads = uploads
        self._clock = clock
        self._presence = Presence(pools, upstream.polls, clock, settings.disconnect_grace)
        # Acceptances being stored, by owner, then by uid, each with its task id; counted with the unfinished ones.
        self._accepting: dict[str, dict[str, tuple[asyncio.Future[Outcome], str]]] = {}
        self._accepting_bytes: Counter[str] = Counter()
        self._accepting_from: Counter[str | None] = Counter()
        self._accepting_count = 0
        self._draining = False
        # Owners whose data is being erased.
        self._refused: set[str] = set()

    async def open(self) -> None:
        """Take back what an earlier process left unfinished; may raise StorageUnavailable."""
        for owner in await self._pools.open():
            self._presence.absent(owner)

    # Accept

    async def accept(
        self, request: TaskRequest, identity: Identity, subscriber: Subscriber, address: str | None
    ) -> tuple[Task, bool]:
        """Accept a caller's request, or find the task that its id stands for; return it, and whether it is new.

        The subscriber receives all events of the task, from the first one. The task is stored when this returns;
        cancelling the call does not take it back. `address` stands for the client; None counts for no address.

        Raises:
            PromptMissing, OutOfBounds, LoraTag, ModelNotFound, ModelUnsuitable: it can't be done.
            ImageNotFound, BadImage, TooManyUploads: an image can't be used.
            UpstreamAuth: Xinference refuses our key.
            TaskIdConflict: the id stands for other content.
            TooManyTasks, QuotaExceeded, AccountBusy, ShuttingDown, StorageUnavailable: not now.
        """
        # First, since what can't be compared can't be told from what is known under its id.
        check_metadata(request.metadata)
        content = self._content(request)
        owner = identity.id
        known = None if request.task_id is None else self._pools.find(owner, request.task_id)
        if known is None and names_images(request):
            # An output among them becomes an upload, which is not for a request that stores nothing else.
            known = await self._find_known(owner, request.task_id)
        if known is None:
            try:
                task = await self._admit(request, identity, content, address)
                known = await self._accept(task, content, subscriber, address)
            except XinflightError:
                # An id that is known is answered, whatever a new task would be refused for. Looked up only here:
                # otherwise the store itself tells whether the id of a new task is known.
                known = await self._find_known(owner, request.task_id)
                if known is None:
                    raise
            else:
                if known is None:
                    return task, True
        return self._attach(request, known, subscriber), False

    async def _find_known(self, owner: str, task_id: str | None) -> Task | None:
        return None if task_id is None else await self.find(owner, task_id)

    async def _admit(
        self, request: TaskRequest, identity: Identity, content: bytes | None, address: str | None
    ) -> Task:
        """Return the task of a request that may be accepted now; raises what `accept` raises."""
        owner = identity.id
        await self._check_quota(owner)
        kind = choose_kind(request, self._upstream)
        check(request, kind, self._settings)
        inputs = await resolve_inputs(request, owner, self._uploads)
        check_inputs(inputs)
        self._check_room(owner, address)
        model = choose_model(request.model, kind.ability(getattr(request, "image", None) is not None), self._upstream)
        pool, rank = self._pools.pool_of(model), self._pools.next_rank()
        if model is not None:
            check_context(request, model)
        task = new_task(request, identity, kind, model, inputs, pool, rank, self._settings, self._clock.time())
        task.content_bytes = len(content or b"")
        task.paused = owner in self._pools.paused_owners
        if not task.inputs and not task.paused:
            # The request of what will have a slot at once is stored as one that may be sent, with the task: to store
            # that by itself would be another commit. Of inputs, nobody knows how long they take to prepare.
            for output in task.outputs[: max(self._pools.room(pool) - self._accepting_count, 0)]:
                output.announced = True
        if self._pools.bytes_of(owner) + self._accepting_bytes[owner] + task.bytes > self._settings.pending_bytes:
            raise self._full(f"{self._settings.pending_bytes} bytes per owner", owner)
        return task

    async def _accept(
        self, task: Task, content: bytes | None, subscriber: Subscriber, address: str | None
    ) -> Task | None:
        """Store a task that was admitted in this turn of the loop; return the known one if its id is in use."""
        owner, task_bytes = task.owner, task.bytes
        subscriber.subscribe([task.uid], [task.uid], after=None)
        accepting = self._journal.accept(task, content)
        self._accepting.setdefault(owner, {})[task.uid] = accepting, task.task_id
        self._accepting_bytes[owner] += task_bytes
        self._accepting_from[address] += 1
        self._accepting_count += 1
        # Not by this call, since a caller who leaves must lose nothing.
        accepting.add_done_callback(lambda _: self._accepted(task, accepting, address, task_bytes))
        try:
            outcome = await asyncio.shield(accepting)
        except (ImageNotFound, StorageUnavailable) as error:
            log.debug("task not accepted", error=str(error))
            subscriber.unsubscribe(task.uid)
            raise
        if not isinstance(outcome, Task):
            return None
        subscriber.unsubscribe(task.uid)
        return outcome

    def _content(self, request: TaskRequest) -> bytes | None:
        """Return what is stored beside the task of a request: the messages of a chat."""
        if not isinstance(request, Chat):
            return None
        content = ChatContent(messages=request.messages, tools=request.tools, tool_choice=request.tool_choice)
        return check_content(content, self._settings)

    async def _check_quota(self, owner: str) -> None:
        """Raise QuotaExceeded if an owner has used up this day's compute seconds; what is accepted still runs."""
        most = self._settings.seconds_per_day
        if most is None:
            return
        now = self._clock.time()
        today = day_of(now)
        await self._journal.store_charges()
        usage = await self._journal.store.usage(owner, first=today, last=today)
        if usage and usage[0].seconds >= most:
            midnight = DAY - now % DAY
            raise QuotaExceeded(field="action", limit=f"{most:g} compute seconds per day", retry_after=midnight)

    def _check_room(self, owner: str, address: str | None) -> None:
        if self._draining:
            raise ShuttingDown
        if owner in self._refused:
            raise AccountBusy
        self.check_storage()
        if self._pools.size + self._accepting_count >= self._settings.tasks:
            raise self._full(f"{self._settings.tasks} in all", None)
        if self._pools.count(owner) + len(self._accepting.get(owner, ())) >= self._settings.tasks_per_owner:
            raise self._full(f"{self._settings.tasks_per_owner} per owner", owner)
        most = self._settings.tasks_per_address
        if address is not None and most:
            # One person may be many owners, and would take all the room of `tasks`.
            if self._pools.count_from(address) + self._accepting_from[address] >= most:
                raise self._full(f"{most} per address", owner)

    def _full(self, limit: str, owner: str | None) -> TooManyTasks:
        """Return the error for a limit, of an owner or of all."""
        return TooManyTasks(field="action", limit=limit, retry_after=self._pools.retry_after(owner))

    @contextmanager
    def refusing(self, owner: str) -> Iterator[None]:
        """Refuse new tasks of an owner inside the block."""
        self._refused.add(owner)
        try:
            yield
        finally:
            self._refused.remove(owner)

    def check_storage(self) -> None:
        """Raise StorageUnavailable while nothing new can be stored."""
        if self._journal.broken or self._pools.unsaved.bytes:
            raise StorageUnavailable

    def _accepted(self, task: Task, accepting: asyncio.Future[Outcome], address: str | None, task_bytes: int) -> None:
        """Give a task to its pool once it is stored, unless it was refused or its id is known."""
        owner = task.owner
        del self._accepting[owner][task.uid]
        self._accepting_bytes[owner] -= task_bytes
        if not self._accepting[owner]:
            del self._accepting[owner], self._accepting_bytes[owner]
        self._accepting_from[address] -= 1
        if not self._accepting_from[address]:
            del self._accepting_from[address]
        self._accepting_count -= 1
        # In the same turn of the loop: for the limits it must neither count twice nor be missing.
        if accepting.exception() is None and not isinstance(accepting.result(), Task):
            params = task.params
            log.info("task accepted", task=task.task_id, model=params.model, n=params.n, request_id=task.request_id)
            self._pools.submit(task, address)
            # The last subscriber may have left while it was stored.
            self._presence.absent(owner)

    async def settled(self, owner: str, task_id: str | None = None) -> None:
        """Wait for an owner's acceptances that are being stored, or for those of one id.

        A cancel from another connection would otherwise miss the task that it means, and that task would run.
        """
        of_owner = self._accepting.get(owner, {})
        accepting = [one for one, known in of_owner.values() if task_id is None or known == task_id]
        if accepting:
            await asyncio.wait(accepting)

    def _attach(self, request: TaskRequest, known: Task, subscriber: Subscriber) -> Task:
        """Subscribe to a known task from its start; raise TaskIdConflict when it was another request."""
        if not has_content(known.digest, request):
            raise TaskIdConflict(field="task_id", limit="the same content under the same id")
        subscriber.subscribe([known.uid], [known.uid] if self.is_active(known) else [], after=0)
        return known

    # Find, cancel, delete

    async def find(self, owner: str, task_id: str) -> Task | None:
        """Return a task of an owner, finished or not, or None; may raise StorageUnavailable."""
        return self._pools.find(owner, task_id) or await self._journal.store.task(owner, task_id)

    def is_active(self, task: Task) -> bool:
        """Tell whether events of a task may still come: until its end is stored, which is later than it ended."""
        return not task.ended or self._pools.find(task.owner, task.task_id) is not None

    async def page(self, owner: str, wanted: ListTasks) -> tuple[list[FoundTask], str | None]:
        """Return a page of an owner's tasks, newest first, with their marks; unfinished ones as they stand now.

        The second value is the cursor of the next page, None for the last. May raise StorageUnavailable.
        """
        rows, following = await self._retention.page(owner, wanted)
        return [replace(row, task=self._newest(row.task)) for row in rows], following

    def _newest(self, stored: Task) -> Task:
        running = self._pools.find(stored.owner, stored.task_id)
        # An end is told when it is stored, not before.
        return stored if running is None or running.uid != stored.uid or running.ended else running

    async def cancel(self, owner: str, task_id: str, index: int | None = None) -> CancelledTask:
        """Cancel a task or one output of it; tell what it was. Idempotent; unknown and ended are soft answers."""
        await self.settled(owner, task_id)
        task = await self.find(owner, task_id)
        if task is None or (index is not None and index >= len(task.outputs)):
            return CancelledTask(task_id=task_id, was="unknown", index=index)
        was = task.state if index is None else task.outputs[index].state
        self._pools.cancel(owner, task_id, index)
        return CancelledTask(task_id=task_id, was=was, index=index)

    async def cancel_all(self, owner: str, keep: Collection[str], group: str | None = None) -> list[CancelledTask]:
        """Cancel an owner's unfinished tasks, or those of a group, but those whose ids are in `keep`.

        Others run between two of them.
        """
        await self.settled(owner)
        cancelled = []
        for task in self._pools.of_owner(owner):
            if task.task_id not in keep and group in (None, task.params.group):
                cancelled.append(CancelledTask(task_id=task.task_id, was=task.state))
                self._pools.cancel(owner, task.task_id, None)
                await asyncio.sleep(0)
        return cancelled

    async def delete(self, owner: str, task_id: str) -> Task | None:
        """Delete an ended task and its outputs; return it, or None for an unknown one.

        Raises:
            TaskUnfinished: it is on its way.
            StorageUnavailable: not now.
        """
        task = await self.find(owner, task_id)
        if task is None:
            return None
        if self.is_active(task):
            raise TaskUnfinished(field="task_id")
        await self._retention.delete(task)
        return task

    async def unpause_owner(self, owner: str) -> None:
        """Forget that an owner paused everything; may raise StorageUnavailable."""
        await self._pools.paused_owners.discard(owner)

    # Subscribe

    async def subscribe(self, owner: str) -> Subscriber:
        """Return a subscriber that watches nothing yet; `unsubscribe` it when done. May raise StorageUnavailable."""
        subscriber = await self._journal.subscribe(owner)
        self._presence.joined(owner)
        self._pools.queue.changed()
        return subscriber

    def unsubscribe(self, subscriber: Subscriber) -> None:
        """Deliver nothing more to a subscriber."""
        self._journal.unsubscribe(subscriber)
        self._presence.left(subscriber.owner)

    # End

    async def drain(self, seconds: float) -> None:
        """Refuse new tasks, start nothing more, and let what runs go on for at most `seconds`."""
        self._draining = True
        await self._pools.drain(seconds)

    async def close(self) -> None:
        """Abort what runs; what is unfinished goes on after the next start, if the store is durable."""
        self._presence.close()
        for owner in list(self._accepting):
            await self.settled(owner)
        await self._pools.close()
