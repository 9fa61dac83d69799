"""Marks and words in the SQLite database, for the threads that write and read it."""

import hashlib
import sqlite3
from collections.abc import Iterable, Sequence

import msgspec

import xinflight.storage.library_queries as sql
from xinflight.model import Marks, StoredMessage, Task, without_output
from xinflight.storage.sqlite_deletion import UNREADABLE
from xinflight.storage.words import Phrase, words

__all__ = ["STARRED", "add_words", "index_tasks", "marks_of_row", "match", "merge_words", "purge_output", "set_marks"]

STARRED = ""
"""The label of a task with a starred output. Those of its tags are the tags, none of which is empty."""
INDEXED = 50
"""Tasks that are prepared for a search in one transaction: commits wait for it."""
INDEXED_BYTES = 2**16
"""Bytes of tasks after which there are enough of them: a long text takes 10 ms."""

MERGED = 20
"""Pages of the index of words, 80 KB, that are merged in one transaction, for which commits wait some 2 ms."""

_task = msgspec.msgpack.Decoder(Task)
_message = msgspec.msgpack.Decoder(StoredMessage)
_encode = msgspec.msgpack.Encoder().encode


def set_marks(connection: sqlite3.Connection, task: Task, marks: Iterable[Marks]) -> bool:
    """Set all marks of a task, drop the event that told of those before; return False if the task is gone."""
    row = connection.execute(sql.TASK_OF_UID, (task.uid,)).fetchone()
    if row is None:
        return False
    number, body = row
    connection.execute(sql.CLEAR_MARKS, (task.uid,))
    labels = set()
    for each in marks:
        values = {
            "uid": task.uid,
            "index": each.index,
            "starred": each.starred,
            "tags": msgspec.json.encode(each.tags).decode() if each.tags else None,
            "deleted": each.deleted,
        }
        connection.execute(sql.SET_MARKS, values)
        if each.deleted is None:
            labels |= {*each.tags, *([STARRED] if each.starred else [])}
    connection.execute(sql.DROP_LABELS, (number,))
    connection.executemany(sql.ADD_LABEL, [(task.owner, label, number, label.casefold()) for label in labels])
    connection.execute(sql.DROP_MARKED, (task.uid,))
    add_words(connection, number, body, labels)
    return True


def marks_of_row(row: tuple[str, int, int, str | None, float | None]) -> Marks:
    """Return the marks of an output from a row of MARKS."""
    _, index, starred, tags, deleted = row
    found = [] if tags is None else msgspec.json.decode(tags, type=list[str])
    return Marks(index=index, starred=bool(starred), tags=found, deleted=deleted)


def index_tasks(connection: sqlite3.Connection) -> bool:
    """Add the words of the next tasks that were accepted; return whether there were any."""
    row = connection.execute(sql.INDEXED_TO).fetchone()
    rows = connection.execute(sql.NEW_TASKS, (0 if row is None else row[0], INDEXED)).fetchall()
    size = 0
    for number, body in rows:
        add_words(connection, number, body, [label for (label,) in connection.execute(sql.LABELS, (number,))])
        connection.execute(sql.SET_INDEXED_TO, (str(number),))
        size += len(body)
        if size > INDEXED_BYTES:
            break
    return bool(rows)


def add_words(connection: sqlite3.Connection, number: int, body: bytes, labels: Iterable[str]) -> None:
    """Add or replace the words of a task, unless it can't be read or is not to be kept."""
    try:
        task = _task.decode(body)
    except UNREADABLE:
        return
    if task.params.store:
        key = _key(task.owner)
        # The prompt last: it may have more words than count.
        text = " ".join((task.params.model or "", *sorted(labels), task.params.prompt))
        connection.execute(sql.ADD_WORDS, (number, " ".join(key + word for word in words(text))))


def merge_words(connection: sqlite3.Connection, *, begin: bool) -> bool:
    """Merge some of the parts of the index, all of them after a `begin`; return whether there was anything to merge.

    What was deleted stays in its parts until then (sqlite.org/fts5.html, section 6.8).
    """
    before = connection.total_changes
    connection.execute(sql.MERGE_WORDS, (-MERGED if begin else MERGED,))
    # The statement itself counts as one change.
    return connection.total_changes - before > 1


def match(owner: str, wanted: Sequence[Phrase]) -> str:
    """Return the query of FTS5 for the phrases of an owner (sqlite.org/fts5.html, section 3)."""
    key = _key(owner)
    # Words have letters and digits only, so nothing in them can end the quotes.
    quoted = ['"' + " ".join(key + word for word in phrase.words) + '"' for phrase in wanted]
    return " ".join(text + (" *" if phrase.prefix else "") for text, phrase in zip(quoted, wanted, strict=True))


def _key(owner: str) -> str:
    """Return what each word of an owner begins with, so that a search reads nothing of others.

    Two owners may have the same: tasks are compared with the owner, too.
    """
    return hashlib.blake2s(owner.encode(errors="surrogateescape"), digest_size=5).hexdigest()


def purge_output(connection: sqlite3.Connection, uid: str, index: int) -> Task | None:
    """Delete an output of an ended task from its tables, its task and its events; return the task as it is then."""
    row = connection.execute(sql.TASK_OF_UID, (uid,)).fetchone()
    task = None if row is None else _task.decode(row[1])
    if task is None or not task.ended or index >= len(task.outputs):
        return None
    output = task.outputs[index]
    output.deleted, output.file, output.text, output.reasoning, output.chat = True, None, None, None, None
    for query in (sql.DROP_SHARES_OF, sql.DROP_OUTPUT):
        connection.execute(query, (output.output_id,))
    for owner, seq, body in connection.execute(sql.EVENTS_TO_CHANGE, (uid,)).fetchall():
        changed = without_output(_message.decode(body), index)
        if changed is not None:
            connection.execute(sql.SET_EVENT, (_encode(changed), owner, seq))
    return task
