"""Delete all that an owner has: cancel what is unfinished, wait for its end, then delete tasks, files and uploads."""

from collections.abc import Callable, Collection

import structlog
from msgspec import Struct, field

from xinflight.clock import Clock
from xinflight.errors import StorageUnavailable
from xinflight.journal import Journal
from xinflight.model import ENDED, Event, day_of
from xinflight.protocol import Cancelled, CancelOutcome
from xinflight.storage import Retention
from xinflight.tasks import Front
from xinflight.uploads import Uploads

__all__ = ["ERASURE_SECONDS", "Erased", "Erasure"]

log = structlog.stdlib.get_logger(__name__)

ERASURE_SECONDS = 60.0
"""Seconds that an erasure waits for cancelled tasks to end: twice what Xinference has to confirm an abort."""
PAGE = 100
"""Tasks that are read at once."""


class Erased(Struct, kw_only=True):
    """What an erasure came to: how much was deleted, and the ids of tasks that still run.

    `unfinished` did not end in time and are still there. `running_on` are deleted, but the model is computing them.
    """

    tasks: int = 0
    outputs: int = 0
    uploads: int = 0
    unfinished: list[str] = field(default_factory=list)
    running_on: list[str] = field(default_factory=list)


class Erasure:
    """Erase owners. Every step can be repeated: after a crash or an error, erasing again deletes the rest."""

    def __init__(
        self,
        front: Front,
        journal: Journal,
        retention: Retention,
        uploads: Uploads,
        clock: Clock,
        on_erased: Callable[[str], None],
    ) -> None:
        self._front = front
        self._journal = journal
        self._retention = retention
        self._uploads = uploads
        self._clock = clock
        self._on_erased = on_erased

    async def erase(self, owner: str) -> Erased:
        """Erase an owner, who is refused new tasks and uploads meanwhile.

        Raises StorageUnavailable: what is left then is deleted by the next call, as after a cancellation.
        """
        erased = Erased()
        with self._front.refusing(owner), self._uploads.refusing(owner):
            await self._end_tasks(owner, erased)
            try:
                await self._delete_tasks(owner, erased)
            except OSError as error:
                raise StorageUnavailable(detail=str(error)) from None
            erased.uploads = await self._uploads.erase(owner)
            if not erased.unfinished:
                await self._front.unpause_owner(owner)
                await self._journal.store.forget(owner, used_before=day_of(self._clock.time()))
                await self._journal.skip_forgotten(owner)
        log.info("owner erased", tasks=erased.tasks, outputs=erased.outputs, unfinished=len(erased.unfinished))
        self._on_erased(owner)
        return erased

    async def _end_tasks(self, owner: str, erased: Erased) -> None:
        """Cancel all tasks and wait for their ends, at most ERASURE_SECONDS."""
        waiting: set[str] = set()
        subscriber = await self._front.subscribe(owner)
        try:
            waiting |= {task.task_id for task in await self._front.cancel_all(owner, ())}
            tasks = [task for task_id in waiting if (task := await self._front.find(owner, task_id)) is not None]
            uids = [task.uid for task in tasks]
            waiting &= {task.task_id for task in tasks}
            # With a replay: an end may have been stored, or published, before this subscribed.
            subscriber.subscribe(uids, uids, after=0)
            async with self._clock.timeout(ERASURE_SECONDS):
                while waiting:
                    item = await subscriber.next_item()
                    if item is None:
                        waiting -= await self._gone(owner, waiting)
                        if waiting:
                            await subscriber.wake.wait()
                    elif isinstance(item, Event) and item.ends:
                        waiting.discard(item.message.task_id or "")
                        if isinstance(item.message, Cancelled) and item.message.upstream in (
                            CancelOutcome.RUNNING_ON,
                            CancelOutcome.UNCONFIRMED,
                        ):
                            erased.running_on.append(item.message.task_id)
        except TimeoutError:
            erased.unfinished = sorted(waiting)
        finally:
            self._front.unsubscribe(subscriber)

    async def _gone(self, owner: str, task_ids: Collection[str]) -> set[str]:
        """Return which tasks were deleted: their ends may have gone with them, before these were read."""
        return {task_id for task_id in task_ids if await self._front.find(owner, task_id) is None}

    async def _delete_tasks(self, owner: str, erased: Erased) -> None:
        before = None
        while rows := await self._journal.store.tasks(owner, before=before, limit=PAGE, states=ENDED):
            for row in rows:
                await self._retention.erase(row.task)
                erased.tasks += 1
                erased.outputs += len(row.task.completed)
            before = rows[-1].number
