"""Writes of tasks and events, encoded, as one transaction of SQLite."""

import sqlite3
from collections.abc import Iterable, Sequence

import msgspec
import structlog

import xinflight.storage.sqlite_queries as sql
from xinflight.model import UPLOAD_SECONDS, Task, Usage
from xinflight.storage.library_rows import set_marks
from xinflight.storage.sqlite_deletion import UNREADABLE, set_aside
from xinflight.storage.store import (
    EVENT_BYTES,
    TASK_BYTES,
    Accept,
    Append,
    Charge,
    Extend,
    Mark,
    Save,
    StaleFence,
    TaskWrite,
    Write,
)

__all__ = ["Batch", "row_of_task"]

log = structlog.stdlib.get_logger(__name__)

_task = msgspec.msgpack.Decoder(Task)
_encode = msgspec.msgpack.Encoder().encode


class Batch:
    """Writes, encoded, for one transaction."""

    def __init__(self, writes: Sequence[Write]) -> None:
        self._writes = writes
        self._charges = [write for write in writes if isinstance(write, Charge)]
        of_tasks = [write for write in writes if not isinstance(write, Charge)]
        self._rows = {
            write.task.uid: row_of_task(write.task) for write in of_tasks if not isinstance(write, Extend | Mark)
        }
        self._new = {write.task.uid for write in of_tasks if isinstance(write, Accept)}
        self._messages = [None if isinstance(write, Save | Charge) else _encode(write.message) for write in writes]
        self._fences = {(write.task.pool, write.fence) for write in of_tasks if not isinstance(write, Accept | Mark)}
        self._fences |= {(charge.pool, charge.fence) for charge in self._charges}
        self._ended = {write.task.uid for write in of_tasks if write.task.ended}
        # Those that have ended and held uploads.
        self._users = [{"uid": write.task.uid} for write in of_tasks if write.task.ended and write.task.inputs]

    def run(self, connection: sqlite3.Connection) -> list[int | Task | None]:
        """Store all; return for each write its seq, the known task, or None."""
        for pool, fence in self._fences:
            row = connection.execute(sql.FENCE, (pool,)).fetchone()
            if row is None or row[0] != fence:
                raise StaleFence(pool)
        # Before anything else, so that an `Accept` finds a known task as it stands.
        connection.executemany(sql.UPDATE_TASK, [row for uid, row in self._rows.items() if uid not in self._new])
        seqs: dict[str, int] = {}
        rows = [
            None if isinstance(write, Charge) else self._store(connection, seqs, write, message)
            for write, message in zip(self._writes, self._messages, strict=True)
        ]
        self._charge(connection)
        connection.executemany(sql.SET_SEQ, list(seqs.items()))
        sizes = [{"uid": uid, "task_bytes": TASK_BYTES, "event_bytes": EVENT_BYTES} for uid in self._ended]
        connection.executemany(sql.SET_SIZE, sizes)
        if self._users:
            connection.executemany(sql.DROP_USES, self._users)
        return rows

    def _charge(self, connection: sqlite3.Connection) -> None:
        connection.executemany(sql.ADD_USAGE, _sums(charge.usage for charge in self._charges))
        finish = {(charge.pool, charge.usage.owner): charge.finish for charge in self._charges}
        connection.executemany(sql.SET_FINISH_TAG, [(*whose, tag) for whose, tag in finish.items()])
        for charge in {charge.pool: charge for charge in self._charges}.values():
            connection.execute(sql.SET_VIRTUAL_TIME, (charge.virtual_time, charge.mean, charge.pool))
            connection.execute(sql.DROP_FINISH_TAGS, (charge.pool, charge.virtual_time))

    def _store(
        self, connection: sqlite3.Connection, seqs: dict[str, int], write: TaskWrite, message: bytes | None
    ) -> int | Task | None:
        task = write.task
        if isinstance(write, Accept):
            known = self._add_task(connection, task)
            if known is not None:
                return known
            if not _hold_uploads(connection, task):
                connection.execute(sql.DROP_TASK, {"uid": task.uid})
                return None
            outputs = [(output.output_id, task.uid, output.index) for output in task.outputs]
            connection.executemany(sql.ADD_OUTPUT, outputs)
            if write.content is not None:
                connection.execute(sql.ADD_CONTENT, (task.uid, write.content))
        if isinstance(write, Mark) and not set_marks(connection, task, write.marks):
            return None
        if message is None:
            return None
        if isinstance(write, Append) and write.compacts:
            connection.execute(sql.DROP_DELTAS, (task.uid,))
        if task.owner not in seqs:
            row = connection.execute(sql.LAST_SEQ, (task.owner,)).fetchone()
            seqs[task.owner] = 0 if row is None else int(row[0])
        seqs[task.owner] += 1
        connection.execute(sql.ADD_EVENT, (task.owner, seqs[task.owner], task.uid, task.lang, message))
        return seqs[task.owner]

    def _add_task(self, connection: sqlite3.Connection, task: Task) -> Task | None:
        """Add a new task, or return the one that its owner knows under its id, unless that can't be read."""
        while connection.execute(sql.ADD_TASK, self._rows[task.uid]).rowcount == 0:
            uid, body = connection.execute(sql.TASK, (task.owner, task.task_id)).fetchone()
            try:
                return _task.decode(body)
            except UNREADABLE as error:
                log.error("unreadable task set aside", uid=uid, error=str(error))
                set_aside(connection, uid)
        return None


def _sums(used: Iterable[Usage]) -> list[dict[str, object]]:
    """Return the rows of what owners used, one for each owner and day."""
    sums: dict[tuple[str, str], Usage] = {}
    for each in used:
        key = each.owner, each.day
        sums[key] = sums[key].plus(each) if key in sums else each
    return [msgspec.structs.asdict(one) for one in sums.values()]


def _hold_uploads(connection: sqlite3.Connection, task: Task) -> bool:
    """Let a new task hold the uploads of its inputs, which expire later; return False if one of them is gone."""
    for upload_id in {each.upload_id for each in task.inputs}:
        values = {
            "uid": task.uid,
            "owner": task.owner,
            "upload_id": upload_id,
            "now": task.created,
            "expires": task.created + UPLOAD_SECONDS,
        }
        if connection.execute(sql.HOLD_UPLOAD, values).rowcount == 0:
            connection.execute(sql.DROP_USES, values)
            return False
        connection.execute(sql.ADD_USE, values)
    return True


def row_of_task(task: Task) -> dict[str, object]:
    """Return the columns of a task as it stands now."""
    return {
        "uid": task.uid,
        "owner": task.owner,
        "task_id": task.task_id,
        "group": task.params.group,
        "pool": task.pool,
        "state": task.state,
        "ended_at": task.ended_at,
        "bytes": sum(output.file.bytes for output in task.completed if output.file is not None),
        "kept": task.params.store,
        "created": task.created,
        "kind": task.kind,
        "model": task.params.model,
        "unsuccessful": task.unsuccessful,
        "body": _encode(task),
    }
