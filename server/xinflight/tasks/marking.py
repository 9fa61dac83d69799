"""Stars and tags of outputs, and deleted outputs: hidden at once, restored on request, gone after a while."""

import asyncio
from collections.abc import Callable, Collection

import structlog
from msgspec import Struct
from msgspec.structs import replace

from xinflight.clock import Clock
from xinflight.errors import NotFound, StorageUnavailable
from xinflight.journal import Journal
from xinflight.key_locks import KeyLocks
from xinflight.model import UNDO_SECONDS, DeletedOutput, Marks, Output, Task, marked_message, without_outputs
from xinflight.protocol import CancelledTask
from xinflight.storage import Retention
from xinflight.supervise import Supervisor
from xinflight.tasks.front import Front
from xinflight.threads import to_end

__all__ = ["HIDDEN", "Marking"]

log = structlog.stdlib.get_logger(__name__)

HIDDEN = 10_000
"""Outputs that wait to be gone. Above that, the ones that were deleted first are gone sooner."""
PAUSE = 5.0
"""Seconds until another try to delete what could not be deleted, or whose task has not ended."""


class _Hidden(Struct, eq=False):
    """An output that is hidden, `due` to be deleted at a monotonic time, and `leaving` once its file may be gone.

    A clock that is set must neither take the time to restore it away nor prolong it.
    """

    output: DeletedOutput
    due: float
    leaving: bool = False


class Marking:
    """Change the marks of outputs. The task `deleted outputs` deletes what can't be restored any more.

    Each change is a stored event, which reaches all who follow the owner's tasks. `on_deleted` is called with owner
    and task id when a task is deleted with the last of its outputs.
    """

    def __init__(
        self,
        front: Front,
        journal: Journal,
        retention: Retention,
        clock: Clock,
        supervisor: Supervisor,
        on_deleted: Callable[[str, str], None],
    ) -> None:
        self._front = front
        self._journal = journal
        self._retention = retention
        self._clock = clock
        self._supervisor = supervisor
        self._on_deleted = on_deleted
        # What was deleted and is still there: in memory, since everything that is shown asks for it. By uid and
        # index, and by the id of the output, what was deleted first before the others. Bounded by HIDDEN.
        self._deleted: dict[str, dict[int, _Hidden]] = {}
        self._by_output: dict[str, _Hidden] = {}
        # By uid: each change of a task's marks begins with what the one before has left.
        self._locks = KeyLocks()
        self._wake = asyncio.Event()

    async def open(self) -> None:
        """Hide what an earlier process has hidden, and start deleting. May raise StorageUnavailable."""
        for output in await self._journal.store.library.deleted():
            self._hide(output)
        self._supervisor.start("deleted outputs", self._keep_deleting)

    async def close(self) -> None:
        """Stop deleting; what is due waits for the next start."""
        await self._supervisor.stop("deleted outputs")

    # What is hidden; none of these waits

    def hidden(self, uid: str) -> Collection[int]:
        """Return the indices of a task's outputs that were deleted and are still there."""
        return self._deleted.get(uid, {}).keys()

    def hides(self, output_id: str) -> bool:
        """Tell whether an output was deleted and is still there."""
        return output_id in self._by_output

    def visible(self, task: Task) -> Task | None:
        """Return a task without its hidden outputs; None for an ended one that has no others."""
        hidden = self.hidden(task.uid)
        rest = without_outputs(task, hidden)
        return None if hidden and task.ended and not rest.shown else rest

    # Changes

    async def mark(
        self, owner: str, task_id: str, index: int | None, *, starred: bool | None, tags: list[str] | None
    ) -> CancelledTask:
        """Star or tag one finished output of a task, or all; return its state, and `unknown` for an unknown id.

        Cancelling the call undoes nothing.

        Raises:
            NotFound: there is no such finished output.
            StorageUnavailable: not now.
        """

        def change(marks: Marks) -> Marks:
            if marks.deleted is not None:
                return marks
            return replace(
                marks,
                starred=marks.starred if starred is None else starred,
                # A tag that is given twice is one tag.
                tags=marks.tags if tags is None else list(dict.fromkeys(tags)),
            )

        return await self._change(owner, task_id, index, change)

    async def delete(self, owner: str, task_id: str, index: int) -> CancelledTask:
        """Hide a finished output for UNDO_SECONDS and then delete it. Errors as `mark`."""
        now = self._clock.time()

        def change(marks: Marks) -> Marks:
            return replace(marks, deleted=now if marks.deleted is None else marks.deleted)

        return await self._change(owner, task_id, index, change)

    async def restore(self, owner: str, task_id: str, index: int) -> CancelledTask:
        """Show an output again that was deleted. Errors as `mark`: NotFound for one that is gone, too."""

        def change(marks: Marks) -> Marks:
            return replace(marks, deleted=None)

        return await self._change(owner, task_id, index, change)

    async def _change(
        self, owner: str, task_id: str, index: int | None, change: Callable[[Marks], Marks]
    ) -> CancelledTask:
        await self._front.settled(owner, task_id)
        task = await self._front.find(owner, task_id)
        if task is None:
            return CancelledTask(task_id=task_id, was="unknown", index=index)
        async with self._locks.hold(task.uid):
            # Again, since while this waited the last change may have deleted an output for ever.
            task = await self._front.find(owner, task_id)
            if task is None:
                return CancelledTask(task_id=task_id, was="unknown", index=index)
            marks = {each.index: each for each in await self._journal.store.library.marks(task.uid)}
            chosen = [output for output in task.shown if output.ended and index in (None, output.index)]
            leaving = {index for index, hidden in self._deleted.get(task.uid, {}).items() if hidden.leaving}
            chosen = [output for output in chosen if output.index not in leaving]
            if index is not None and not chosen:
                raise NotFound(field="index")
            changed = dict(marks)
            for output in chosen:
                changed[output.index] = change(marks.get(output.index, Marks(index=output.index)))
            if changed != marks:
                # A caller who leaves must not leave what is hidden here behind what is stored, nor let the next
                # change begin before this one is stored.
                await to_end(self._store(task, [each for each in changed.values() if not each.empty]))
        return CancelledTask(task_id=task_id, was=task.state, index=index)

    async def _store(self, task: Task, marks: list[Marks]) -> None:
        """Store all marks of a task, and hide or show its outputs accordingly."""
        message = marked_message(task, marks, self._clock.time())
        if await self._journal.mark(task, message, marks) is None:
            raise NotFound(field="task_id")
        deleted = {each.index: each.deleted for each in marks if each.deleted is not None}
        for hidden in tuple(self._deleted.get(task.uid, {}).values()):
            if hidden.output.index not in deleted:
                self._show(hidden.output)
        for index, at in deleted.items():
            if index not in self.hidden(task.uid):
                self._hide(_deleted(task, task.outputs[index], at))
        self._wake.set()

    def _hide(self, output: DeletedOutput) -> None:
        left = min(max(output.at + UNDO_SECONDS - self._clock.time(), 0.0), UNDO_SECONDS)
        hidden = _Hidden(output, self._clock.monotonic() + left)
        self._deleted.setdefault(output.uid, {})[output.index] = hidden
        self._by_output[output.output_id] = hidden

    def _show(self, output: DeletedOutput) -> None:
        del self._by_output[output.output_id]
        of_task = self._deleted[output.uid]
        del of_task[output.index]
        if not of_task:
            del self._deleted[output.uid]

    # Deletion

    async def _keep_deleting(self) -> None:
        while True:
            self._wake.clear()
            pause = await self._delete_due()
            try:
                async with self._clock.timeout(pause):
                    await self._wake.wait()
            except TimeoutError:
                pass

    async def _delete_due(self) -> float | None:
        """Delete what can't be restored any more; return the seconds until there is more to delete, None if never."""
        later = False
        for hidden in tuple(self._by_output.values()):
            left = hidden.due - self._clock.monotonic()
            if left > 0 and len(self._by_output) <= HIDDEN:
                return PAUSE if later else left
            try:
                async with self._locks.hold(hidden.output.uid):
                    later = not await self._purge(hidden) or later
            except (StorageUnavailable, OSError) as error:
                log.warning("deleted output is still there", error=str(error))
                later = True
        return PAUSE if later else None

    async def _purge(self, hidden: _Hidden) -> bool:
        """Delete an output for ever, with the last one its task; return False if the task has not ended."""
        output = hidden.output
        if self._by_output.get(output.output_id) is not hidden:
            return True
        task = await self._front.find(output.owner, output.task_id)
        if task is not None and task.uid == output.uid:
            if self._front.is_active(task):
                return False
            if [each.index for each in task.shown] == [output.index]:
                await self._retention.delete(task)
                self._on_deleted(task.owner, task.task_id)
            else:
                # Its file goes first: what can't be deleted from the store after that must not come back without it.
                hidden.leaving = True
                await self._retention.purge(task, output.index)
        self._show(output)
        return True


def _deleted(task: Task, output: Output, at: float) -> DeletedOutput:
    return DeletedOutput(
        owner=task.owner, task_id=task.task_id, uid=task.uid, index=output.index, output_id=output.output_id, at=at
    )
