"""What is over: paging through one's tasks, deleting one, and forgetting the oldest by size and age."""

import msgspec
import structlog

from xinflight.clock import Clock
from xinflight.errors import StorageUnavailable
from xinflight.model import ENDED, Task
from xinflight.protocol import State, TaskInfo
from xinflight.settings import Settings
from xinflight.storage.blobs import Blobs
from xinflight.storage.store import Store
from xinflight.supervise import Supervisor

__all__ = ["Retention", "describe"]

log = structlog.stdlib.get_logger(__name__)

KEEPER_PAUSE = 5.0
"""Seconds between two looks at size and age; what ends in between may stand above the cap for so long."""

PAGE_BYTES = 2**18
"""Bytes of the tasks on one page: 200 tasks with usual prompts fit, and who does not read them holds no more."""
READ_TASKS = 50
"""Tasks that are read at once for a page: the default limit, so that a usual page is one read."""


CLOCK_STEADY = 3600.0
"""Seconds that the wall clock must have run evenly, since the start or since it was set, before age counts."""
CLOCK_JUMP = 60.0
"""Seconds that the wall clock may gain or lose in that time."""


class Retention:
    """Read and shorten the history. The task `history keeper` enforces the cap; `close` awaits it."""

    def __init__(self, store: Store, images: Blobs, settings: Settings, clock: Clock, supervisor: Supervisor) -> None:
        self._store = store
        self._images = images
        self._settings = settings
        self._clock = clock
        self._supervisor = supervisor
        # Since when wall clock and monotonic clock run side by side, and how far apart.
        self._even_since: float | None = None
        self._offset = 0.0

    def start(self) -> None:
        """Start the keeper."""
        self._supervisor.start("history keeper", self._keep)

    async def close(self) -> None:
        """Stop the keeper."""
        await self._supervisor.stop("history keeper")

    async def page(
        self, owner: str, *, cursor: str | None, limit: int, state: str | None
    ) -> tuple[list[Task], str | None]:
        """Return a page of an owner's tasks, the newest first, and the cursor of the next page, None for the last.

        It has at most `limit` tasks and PAGE_BYTES, but always one task if there is any.

        Raises:
            StorageUnavailable: the store can't be read now.
        """
        states = set(State) - ENDED if state == "unfinished" else {State(state)} if state else set(State)
        before = None if cursor is None else int(cursor)
        tasks: list[Task] = []
        size = 0
        while True:
            # Not the whole page at once: 200 tasks with long prompts are 8 MB, of which most would be thrown away.
            asked = min(limit - len(tasks), READ_TASKS) + 1
            rows = await self._store.tasks(owner, before=before, limit=asked, states=states)
            for row in rows:
                size += len(msgspec.json.encode(describe(row.task)))
                if len(tasks) == limit or (tasks and size > PAGE_BYTES):
                    return tasks, str(before)
                tasks.append(row.task)
                before = row.number
            if len(rows) < asked:
                return tasks, None

    async def delete(self, task: Task) -> None:
        """Forget an ended task, then its pictures; what a crash leaves between is set aside at the next start."""
        await self._store.delete(task.uid)
        await self._drop_pictures(task)

    async def _keep(self) -> None:
        while True:
            try:
                await self.shorten()
            except StorageUnavailable as error:
                log.warning("history not shortened", error=str(error))
            await self._clock.sleep(KEEPER_PAUSE)

    async def shorten(self) -> None:
        """Forget until size and age are within the settings."""
        age = self._settings.history_age
        steady = self._clock_is_steady()
        ended_before = self._clock.time() - age if age is not None and steady else 0.0
        while gone := await self._store.prune(
            keep_bytes=self._settings.history_bytes,
            keep_tasks=self._settings.history_tasks,
            ended_before=ended_before,
        ):
            for task in gone:
                await self._drop_pictures(task)
            log.info("history shortened", tasks=len(gone))

    def _clock_is_steady(self) -> bool:
        """Tell whether the clock has told the time evenly for long enough to delete by it.

        A clock that is wrong for a minute, as before the network sets it, would otherwise delete the whole history.
        """
        now = self._clock.monotonic()
        offset = self._clock.time() - now
        if self._even_since is None or abs(offset - self._offset) > CLOCK_JUMP:
            self._even_since, self._offset = now, offset
        return now - self._even_since >= CLOCK_STEADY

    async def _drop_pictures(self, task: Task) -> None:
        for picture in task.pictures:
            try:
                await self._images.delete(picture.url)
            except OSError as error:
                log.warning("picture not deleted; the next start sets it aside", error=str(error))


def describe(task: Task) -> TaskInfo:
    """Return a task as clients see it; URLs are filled in for each."""
    failed = [job for job in task.jobs if job.state in (State.FAILED, State.EXPIRED)]
    return TaskInfo(
        task_id=task.task_id,
        state=task.state,
        created=task.created,
        ended=task.ended_at,
        params=task.params,
        data=task.pictures,
        failed=[job.index for job in failed],
        cancelled=[job.index for job in task.jobs if job.state is State.CANCELLED],
        code=failed[0].code if failed and task.state is not State.COMPLETED else None,
        metadata=task.metadata,
    )
