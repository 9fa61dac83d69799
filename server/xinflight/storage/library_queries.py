"""Statements of the SQLite store about what owners find and note; otherwise as `sqlite_queries`.

Tasks are found by owner and number, by whether an output failed, by the labels of their outputs, or by their words,
newest first. Each statement
FOUND_... is given a floor, the number that FLOOR_... returned: so it looks at so many tasks and no more.
"""

__all__ = [
    "ADD_LABEL",
    "ADD_WORDS",
    "CLEAR_MARKS",
    "DELETED_OUTPUTS",
    "DROP_LABELS",
    "DROP_LABELS_OF",
    "DROP_MARKED",
    "DROP_OUTPUT",
    "DROP_PREFERENCES",
    "DROP_PRESETS",
    "DROP_SHARES_OF",
    "DROP_WORDS",
    "EVENTS_TO_CHANGE",
    "FLOOR_BY_LABEL",
    "FLOOR_BY_OWNER",
    "FLOOR_BY_WORDS",
    "FLOOR_UNSUCCESSFUL",
    "FOUND_BY_LABEL",
    "FOUND_BY_OWNER",
    "FOUND_BY_WORDS",
    "FOUND_UNSUCCESSFUL",
    "INDEXED_TO",
    "LABELS",
    "MARKS",
    "MARKS_OF_TASKS",
    "MERGE_WORDS",
    "NEW_TASKS",
    "NEXT_TAG",
    "PREFERENCES",
    "PRESETS",
    "SET_EVENT",
    "SET_INDEXED_TO",
    "SET_MARKS",
    "SET_PREFERENCES",
    "SET_PRESETS",
    "TASK_OF_UID",
]

# Tasks

_allowed = (
    "AND instr(:states, tasks.state) AND (:unsuccessful IS NULL OR tasks.unsuccessful = 1) "
    "AND (:kind IS NULL OR tasks.kind = :kind) "
    "AND (:model IS NULL OR tasks.model = :model) AND (:group IS NULL OR tasks.group_name = :group) "
    "AND (:since IS NULL OR tasks.created >= :since) AND (:until IS NULL OR tasks.created < :until) "
    "AND (:starred IS NULL OR EXISTS (SELECT 1 FROM labels AS stars "
    "WHERE stars.owner = :owner AND stars.label = :starred AND stars.number = tasks.number)) "
    "AND (:tag IS NULL OR EXISTS (SELECT 1 FROM labels AS tags "
    "WHERE tags.owner = :owner AND tags.label = :tag AND tags.number = tasks.number))"
)
FLOOR_BY_OWNER = (
    "SELECT number FROM tasks WHERE owner = :owner AND number < :before ORDER BY number DESC LIMIT 1 OFFSET :scan"
)
FOUND_BY_OWNER = " ".join(
    (
        "SELECT number, uid, body FROM tasks INDEXED BY tasks_of_owner",
        "WHERE owner = :owner AND number < :before AND number > :floor",
        _allowed,
        "ORDER BY number DESC LIMIT :limit",
    )
)
FLOOR_UNSUCCESSFUL = (
    "SELECT number FROM tasks INDEXED BY tasks_unsuccessful "
    "WHERE owner = :owner AND unsuccessful = 1 AND number < :before ORDER BY number DESC LIMIT 1 OFFSET :scan"
)
FOUND_UNSUCCESSFUL = " ".join(
    (
        "SELECT number, uid, body FROM tasks INDEXED BY tasks_unsuccessful",
        "WHERE owner = :owner AND unsuccessful = 1 AND number < :before AND number > :floor",
        _allowed,
        "ORDER BY number DESC LIMIT :limit",
    )
)
FLOOR_BY_LABEL = (
    "SELECT number FROM labels WHERE owner = :owner AND label = :label AND number < :before "
    "ORDER BY number DESC LIMIT 1 OFFSET :scan"
)
FOUND_BY_LABEL = " ".join(
    (
        "SELECT tasks.number, uid, body FROM labels CROSS JOIN tasks ON tasks.number = labels.number",
        "WHERE labels.owner = :owner AND labels.label = :label",
        "AND labels.number < :before AND labels.number > :floor",
        _allowed,
        "ORDER BY labels.number DESC LIMIT :limit",
    )
)
FLOOR_BY_WORDS = (
    "SELECT rowid FROM search WHERE search MATCH :match AND rowid < :before ORDER BY rowid DESC LIMIT 1 OFFSET :scan"
)
FOUND_BY_WORDS = " ".join(
    (
        "SELECT tasks.number, uid, body FROM search CROSS JOIN tasks ON tasks.number = search.rowid",
        "WHERE search MATCH :match AND search.rowid < :before AND search.rowid > :floor AND tasks.owner = :owner",
        _allowed,
        "ORDER BY search.rowid DESC LIMIT :limit",
    )
)

# Words. The deleted ones stay in the files of the index until its parts are merged.

INDEXED_TO = "SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'indexed_to'"
SET_INDEXED_TO = "INSERT INTO meta VALUES ('indexed_to', ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value"
NEW_TASKS = "SELECT number, body FROM tasks WHERE number > ? ORDER BY number LIMIT ?"
ADD_WORDS = "INSERT OR REPLACE INTO search (rowid, words) VALUES (?, ?)"
DROP_WORDS = "DELETE FROM search WHERE rowid = (SELECT number FROM tasks WHERE uid = :uid)"
MERGE_WORDS = "INSERT INTO search (search, rank) VALUES ('merge', ?)"

# Marks

TASK_OF_UID = "SELECT number, body FROM tasks WHERE uid = ?"
MARKS = (
    'SELECT uid, "index", starred, tags, deleted FROM outputs '
    "WHERE uid = ? AND (starred OR tags IS NOT NULL OR deleted IS NOT NULL)"
)
MARKS_OF_TASKS = (
    'SELECT uid, "index", starred, tags, deleted FROM json_each(?) AS wanted '
    "CROSS JOIN outputs INDEXED BY outputs_of_task ON uid = wanted.value "
    "WHERE starred OR tags IS NOT NULL OR deleted IS NOT NULL"
)
CLEAR_MARKS = "UPDATE outputs SET starred = 0, tags = NULL, deleted = NULL WHERE uid = ?"
SET_MARKS = (
    'UPDATE outputs SET starred = :starred, tags = :tags, deleted = :deleted WHERE uid = :uid AND "index" = :index'
)
LABELS = "SELECT label FROM labels WHERE number = ?"
DROP_LABELS = "DELETE FROM labels WHERE number = ?"
DROP_LABELS_OF = "DELETE FROM labels WHERE number = (SELECT number FROM tasks WHERE uid = :uid)"
ADD_LABEL = "INSERT INTO labels (owner, label, number, folded) VALUES (?, ?, ?, ?)"
# Tag by tag: a list of distinct tags would read a row for each task that has them.
NEXT_TAG = (
    "SELECT folded, label FROM labels WHERE owner = :owner AND (folded, label) > (:folded, :label) "
    "ORDER BY folded, label LIMIT 1"
)
# Bodies are MessagePack, in which the type comes first: {"type": "marked", ...}.
DROP_MARKED = "DELETE FROM events WHERE uid = ? AND substr(body, 2, 12) = X'A474797065A66D61726B6564'"

# Outputs that were deleted

DELETED_OUTPUTS = (
    'SELECT owner, task_id, uid, "index", output_id, deleted '
    "FROM outputs INDEXED BY outputs_deleted CROSS JOIN tasks USING (uid) "
    "WHERE deleted IS NOT NULL ORDER BY deleted"
)
DROP_SHARES_OF = "DELETE FROM shares WHERE output_id = ?"
DROP_OUTPUT = "DELETE FROM outputs WHERE output_id = ?"
EVENTS_TO_CHANGE = "SELECT owner, seq, body FROM events WHERE uid = ?"
SET_EVENT = "UPDATE events SET body = ? WHERE owner = ? AND seq = ?"

# Preferences and presets

PREFERENCES = "SELECT version, body FROM preferences WHERE owner = ?"
SET_PREFERENCES = (
    "INSERT INTO preferences (owner, version, body) VALUES (?, ?, ?) "
    "ON CONFLICT (owner) DO UPDATE SET version = excluded.version, body = excluded.body"
)
DROP_PREFERENCES = "DELETE FROM preferences WHERE owner = ?"
PRESETS = "SELECT version, body FROM presets WHERE owner = ?"
SET_PRESETS = (
    "INSERT INTO presets (owner, version, body) VALUES (?, ?, ?) "
    "ON CONFLICT (owner) DO UPDATE SET version = excluded.version, body = excluded.body"
)
DROP_PRESETS = "DELETE FROM presets WHERE owner = ?"
