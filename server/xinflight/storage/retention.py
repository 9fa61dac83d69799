"""The history and usage: page through one's tasks, delete one, and delete the oldest by number, size and age."""

import msgspec
import structlog

from xinflight.clock import Clock
from xinflight.errors import StorageUnavailable
from xinflight.model import ENDED, Task, day_of
from xinflight.protocol import ListTasks, State
from xinflight.settings import Settings
from xinflight.storage.blobs import Blobs
from xinflight.storage.library import FoundTask, TaskQuery
from xinflight.storage.page_cursors import PageCursors
from xinflight.storage.store import Store
from xinflight.storage.words import phrases
from xinflight.supervise import Supervisor

__all__ = ["Retention"]

log = structlog.stdlib.get_logger(__name__)

PAUSE = 5.0
"""Seconds between two looks at size and age; what ends in between may stand above the cap for so long."""

PAGE_BYTES = 2**18
"""Bytes of the tasks on one page: 200 tasks with usual prompts fit, and who does not read them holds no more."""
READ_TASKS = 50
"""Tasks that are read at once for a page: the default limit, so that a usual page is one read."""


USAGE_SECONDS = 400 * 86400.0
"""How long usage is kept: a statement of the year before can be had. Owners may be made up, so rows may be many."""

WORDS_SECONDS = 1800.0
"""Seconds after which words of deleted tasks are overwritten: the whole index of words is written anew for that."""

CLOCK_STEADY = 3600.0
"""Seconds that the wall clock must have run evenly, since the start or since it was set, before age counts."""
CLOCK_JUMP = 60.0
"""Seconds that the wall clock may gain or lose in that time."""


class Retention:
    """Read and prune the history. The task `retention` enforces the caps; `close` awaits it."""

    def __init__(self, store: Store, blobs: Blobs, settings: Settings, clock: Clock, supervisor: Supervisor) -> None:
        self._store = store
        self._blobs = blobs
        self._settings = settings
        self._clock = clock
        self._supervisor = supervisor
        self._cursors = PageCursors()
        # Usage before this day is gone already.
        self._usage_since = ""
        # When words of deleted tasks were overwritten, or this began (monotonic).
        self._overwritten = clock.monotonic()
        # Since when wall clock and monotonic clock run side by side, and how far apart.
        self._even_since: float | None = None
        self._offset = 0.0

    async def sweep(self) -> None:
        """Set aside the files that no task names, unless all tasks were lost; before anything else runs.

        Raises StorageUnavailable.
        """
        if not self._store.made_new:
            await self._blobs.sweep(await self._store.output_ids(), self._clock.time())

    def start(self) -> None:
        """Start to enforce the caps."""
        self._supervisor.start("retention", self._keep)

    async def close(self) -> None:
        """Stop that."""
        await self._supervisor.stop("retention")

    async def page(self, owner: str, wanted: ListTasks) -> tuple[list[FoundTask], str | None]:
        """Return a page of an owner's tasks, newest first, and the cursor of the next page or None.

        It has at most `limit` tasks and PAGE_BYTES, and one task at least if there is any; but of a search that finds
        few it may have fewer, or none, since it looks at a bounded number of tasks.

        Raises:
            StorageUnavailable: the store can't be read now.
        """
        query = _query(wanted)
        before = None if wanted.cursor is None else self._cursors.decode(wanted.cursor)
        if wanted.search is not None and not query.phrases:
            return [], None
        tasks: list[FoundTask] = []
        size = 0
        while True:
            # Not the whole page at once: 200 tasks with long prompts are 8 MB, of which most would be thrown away.
            asked = min(wanted.limit - len(tasks), READ_TASKS) + 1
            found = await self._store.library.find(owner, query, before=before, limit=asked)
            for row in found.tasks:
                size += len(msgspec.json.encode(row.task))
                if len(tasks) == wanted.limit or (tasks and size > PAGE_BYTES):
                    assert before is not None  # the number of the last task
                    return tasks, self._cursors.encode(before)
                tasks.append(row)
                before = row.number
            if len(found.tasks) < asked:
                return tasks, None if found.before is None else self._cursors.encode(found.before)

    async def delete(self, task: Task) -> None:
        """Delete an ended task, then its files; what a crash leaves between is set aside at the next start."""
        await self._store.delete(task.uid)
        await self._delete_files(task)

    async def purge(self, task: Task, index: int) -> None:
        """Delete one output of an ended task, its file first: after a crash between, this is done again.

        Raises StorageUnavailable or OSError: not now.
        """
        await self._blobs.delete(task.outputs[index].output_id)
        await self._store.library.purge(task.uid, index)

    async def erase(self, task: Task) -> None:
        """Delete the files of an ended task, then the task: after a crash between, it is still there to try again.

        Raises:
            StorageUnavailable, OSError: not now; what is left is found again.
        """
        for output in task.files:
            await self._blobs.delete(output.output_id)
        await self._store.delete(task.uid)

    async def lacks_files(self, task: Task) -> bool:
        """Return whether a file of an ended task is gone: `erase` began and did not come to its end."""
        return any([await self._blobs.identify(output.output_id) is None for output in task.files])

    async def _keep(self) -> None:
        while True:
            try:
                await self.enforce()
                await self._keep_words()
            except StorageUnavailable as error:
                log.warning("retention not enforced", error=str(error))
            await self._clock.sleep(PAUSE)

    async def _keep_words(self) -> None:
        """Prepare new tasks for a search, and from time to time overwrite the words of deleted ones."""
        while await self._store.library.index():
            # Between two steps others may write.
            pass
        now = self._clock.monotonic()
        if now - self._overwritten >= WORDS_SECONDS:
            self._overwritten = now
            while await self._store.library.overwrite():
                pass

    async def enforce(self) -> None:
        """Delete ended tasks until number, size and age are within the settings, and usage that is too old."""
        age = self._settings.history_age
        steady = self._clock_is_steady()
        ended_before = self._clock.time() - age if age is not None and steady else 0.0
        while gone := await self._store.prune(
            keep_bytes=max(self._settings.history_bytes - self._blobs.thumbnail_bytes, 0),
            keep_tasks=self._settings.history_tasks,
            ended_before=ended_before,
        ):
            for task in gone:
                await self._delete_files(task)
            log.info("history pruned", tasks=len(gone))
        oldest = day_of(self._clock.time() - USAGE_SECONDS)
        if steady and oldest != self._usage_since:
            while await self._store.prune_usage(before=oldest):
                # Between two steps others may write.
                pass
            self._usage_since = oldest

    def _clock_is_steady(self) -> bool:
        """Tell whether the clock has told the time evenly for long enough to delete by it.

        A clock that is wrong for a minute, as before the network sets it, would otherwise delete the whole history.
        """
        now = self._clock.monotonic()
        offset = self._clock.time() - now
        if self._even_since is None or abs(offset - self._offset) > CLOCK_JUMP:
            self._even_since, self._offset = now, offset
        return now - self._even_since >= CLOCK_STEADY

    async def _delete_files(self, task: Task) -> None:
        for output in task.files:
            try:
                await self._blobs.delete(output.output_id)
            except OSError as error:
                log.warning("file not deleted; the next start sets it aside", error=str(error))


def _query(wanted: ListTasks) -> TaskQuery:
    """Return what a request for a list asks for."""
    match wanted.state:
        case None:
            states = frozenset(State)
        case "unfinished":
            states = frozenset(State) - ENDED
        case "unsuccessful":
            states = ENDED
        case state:
            states = frozenset({State(state)})
    return TaskQuery(
        states=states,
        unsuccessful=wanted.state == "unsuccessful",
        group=wanted.group,
        phrases=phrases(wanted.search or ""),
        starred=wanted.starred,
        tag=wanted.tag,
        model=wanted.model,
        kind=wanted.kind,
        since=wanted.since,
        until=wanted.until,
    )
