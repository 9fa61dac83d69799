"""Delete from the SQLite database: tasks with all that belongs to them, events, owners. For the writing thread."""

import sqlite3

import msgspec

import xinflight.storage.library_queries as library
import xinflight.storage.sqlite_queries as sql

__all__ = ["UNREADABLE", "delete_task", "drop_event", "forget_owner", "prune_ended", "set_aside"]

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, TypeError)
"""What decoding damaged bytes raises; TypeError where SQLite gives a text or a number in their place."""


def prune_ended(
    connection: sqlite3.Connection, keep_bytes: int, keep_tasks: int, ended_before: float
) -> list[tuple[str, bytes]]:
    """Delete at most 100 ended tasks, recording for each owner up to where there may be gaps."""
    count, total = connection.execute(sql.ENDED_TOTALS).fetchone()
    gone = []
    for uid, body, size, ended_at in connection.execute(sql.OLDEST_ENDED):
        if total <= keep_bytes and count <= keep_tasks and ended_at >= ended_before:
            break
        total -= size
        count -= 1
        gone.append((uid, body))
    for uid, _ in gone:
        delete_task(connection, uid)
    return gone


def delete_task(connection: sqlite3.Connection, uid: str) -> None:
    """Delete one task and all that belongs to it, which is found by it, recording that there is a gap."""
    connection.execute(sql.TRIM_TASK, {"uid": uid})
    of_outputs = (sql.DROP_SHARES, sql.DROP_OUTPUTS, library.DROP_LABELS_OF, library.DROP_WORDS)
    for query in (sql.DROP_EVENTS, *of_outputs, sql.DROP_CONTENT, sql.DROP_USES, sql.DROP_TASK):
        connection.execute(query, {"uid": uid})


def forget_owner(connection: sqlite3.Connection, owner: str, used_before: str) -> None:
    """Delete what is left of an owner without tasks, and usage of days before a day."""
    of_person = (library.DROP_PREFERENCES, library.DROP_PRESETS)
    for query in (sql.RAISE_FORGOTTEN, sql.DROP_OWNER, sql.DROP_UNREADABLE, *of_person):
        connection.execute(query, (owner,))
    connection.execute(sql.DROP_USAGE, (owner, used_before))


def set_aside(connection: sqlite3.Connection, uid: str) -> None:
    """Delete a task but for its bytes: whoever mends them can put them back."""
    connection.execute(sql.KEEP_UNREADABLE, {"uid": uid})
    delete_task(connection, uid)


def drop_event(connection: sqlite3.Connection, owner: str, seq: int) -> None:
    """Delete one event, recording that there is a gap."""
    for query in (sql.DROP_EVENT, sql.TRIM_TO):
        connection.execute(query, {"owner": owner, "seq": seq})
