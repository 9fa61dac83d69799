"""Every statement of the SQLite store, so that a test can hold the plan of each one against the indexes.

Rows of `tasks` are found by owner and number, by owner and state, by uid, or by the partial indexes of the unfinished
and of the ended ones; events by owner and seq, or by uid and seq. A statement that serves a request scans no table:
its cost must not grow with the history.
"""

__all__ = [
    "ADD_EVENT",
    "CLAIM",
    "DROP_EVENT",
    "DROP_EVENTS",
    "DROP_TASK",
    "ENDED_TOTALS",
    "EPOCH",
    "EVENTS",
    "EVENTS_OF_TASKS",
    "FLOOR",
    "JUMP_SEQ",
    "KEEP_TASK",
    "KEEP_UNREADABLE",
    "LAST_SEQ",
    "MAKE_EPOCH",
    "NUMBERS_OF_STATE",
    "OLDEST_ENDED",
    "PICTURED",
    "RAISE_FLOOR",
    "RAISE_FLOOR_TO",
    "RAISE_SEQ",
    "RELEASE",
    "RENEW",
    "SIZE_UP",
    "TASK",
    "TASKS",
    "TASK_OF_NUMBER",
    "UNFINISHED",
]

EPOCH = "SELECT value FROM meta WHERE key = 'epoch'"
MAKE_EPOCH = "INSERT OR IGNORE INTO meta VALUES ('epoch', ?)"

# Commit

KEEP_TASK = (
    "INSERT INTO tasks (uid, owner, task_id, state, ended_at, bytes, body) VALUES (?, ?, ?, ?, ?, ?, ?) "
    "ON CONFLICT (uid) DO UPDATE SET state = excluded.state, ended_at = excluded.ended_at, "
    "bytes = excluded.bytes, body = excluded.body"
)
ADD_EVENT = "INSERT INTO events VALUES (?, ?, ?, ?, ?)"
RAISE_SEQ = "INSERT INTO owners (owner, seq) VALUES (?, ?) ON CONFLICT (owner) DO UPDATE SET seq = excluded.seq"
SIZE_UP = (
    "UPDATE tasks SET size = bytes + length(body) + :task_bytes + "
    "(SELECT coalesce(sum(length(body) + :event_bytes), 0) FROM events WHERE uid = :uid) "
    "WHERE uid = :uid"
)

# Positions

JUMP_SEQ = "UPDATE owners SET seq = seq + ? WHERE owner = ?"
LAST_SEQ = "SELECT seq FROM owners WHERE owner = ?"
FLOOR = "SELECT floor FROM owners WHERE owner = ?"

# Tasks

TASK = "SELECT uid, body FROM tasks WHERE owner = ? AND task_id = ?"
TASKS = "SELECT number, uid, body FROM tasks WHERE owner = ? AND number < ? ORDER BY number DESC LIMIT ?"
NUMBERS_OF_STATE = (
    "SELECT number FROM tasks WHERE owner = ? AND state = ? AND number < ? ORDER BY number DESC LIMIT ?"
)
TASK_OF_NUMBER = "SELECT number, uid, body FROM tasks WHERE number = ?"
PICTURED = "SELECT uid, body FROM tasks WHERE bytes > 0"

# Events

EVENTS = "SELECT seq, uid, lang, body FROM events WHERE owner = ? AND seq > ? AND seq <= ? ORDER BY seq LIMIT ?"
# By the index of the tasks, and in this order: the planner would rather read all events of the owner, since they are
# in the order that is asked for.
EVENTS_OF_TASKS = (
    "SELECT seq, uid, lang, body FROM json_each(?) AS wanted "
    "CROSS JOIN events INDEXED BY events_of_task ON uid = wanted.value "
    "WHERE owner = ? AND seq > ? AND seq <= ? ORDER BY seq LIMIT ?"
)

# Forget

ENDED_TOTALS = "SELECT count(*), coalesce(sum(size), 0) FROM tasks INDEXED BY tasks_ended WHERE ended_at IS NOT NULL"
OLDEST_ENDED = "SELECT uid, body, size, ended_at FROM tasks WHERE ended_at IS NOT NULL ORDER BY ended_at LIMIT 100"
RAISE_FLOOR = (
    "UPDATE owners SET floor = max(floor, (SELECT coalesce(max(seq), 0) FROM events WHERE uid = :uid)) "
    "WHERE owner = (SELECT owner FROM tasks WHERE uid = :uid)"
)
DROP_EVENTS = "DELETE FROM events WHERE uid = :uid"
DROP_EVENT = "DELETE FROM events WHERE owner = :owner AND seq = :seq"
RAISE_FLOOR_TO = "UPDATE owners SET floor = max(floor, :seq) WHERE owner = :owner"
DROP_TASK = "DELETE FROM tasks WHERE uid = :uid"
KEEP_UNREADABLE = (
    "INSERT INTO unreadable SELECT uid, owner, task_id, body FROM tasks WHERE uid = :uid ON CONFLICT DO NOTHING"
)

# Leases

CLAIM = "UPDATE tasks SET runner = ?, lease_until = ? WHERE ended_at IS NULL"
UNFINISHED = "SELECT uid, body FROM tasks WHERE ended_at IS NULL ORDER BY number"
RENEW = "UPDATE tasks SET lease_until = ? WHERE runner = ? AND ended_at IS NULL"
RELEASE = "UPDATE tasks SET runner = NULL, lease_until = NULL WHERE runner = ? AND ended_at IS NULL"
