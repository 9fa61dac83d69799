"""Every statement of the SQLite store, so that a test can hold the plan of each one against the indexes.

Rows of `tasks` are found by owner and number, by owner and state, by uid, or by the partial indexes of the unfinished
and of the ended ones; events by owner and seq, or by uid and seq; uploads by owner and id. A statement that serves a
request scans no table: its cost must not grow with the history.
"""

__all__ = [
    "ADD_CONTENT",
    "ADD_EVENT",
    "ADD_OUTPUT",
    "ADD_SHARE",
    "ADD_TASK",
    "ADD_UPLOAD",
    "ADD_USAGE",
    "ADD_USE",
    "BOOT",
    "CONTENT",
    "COUNT_SHARES",
    "COUNT_TASKS",
    "DROP_CONTENT",
    "DROP_DELTAS",
    "DROP_EPOCH",
    "DROP_EVENT",
    "DROP_EVENTS",
    "DROP_EXPIRED_SHARES",
    "DROP_FINISH_TAGS",
    "DROP_OLD_USAGE",
    "DROP_OUTPUTS",
    "DROP_OWNER",
    "DROP_SHARE",
    "DROP_SHARES",
    "DROP_TASK",
    "DROP_UNREADABLE",
    "DROP_UPLOAD",
    "DROP_USAGE",
    "DROP_USES",
    "ENDED_TOTALS",
    "EPOCH",
    "EVENTS_OF_OWNER",
    "EVENTS_OF_TASKS",
    "EXPIRE_UPLOAD",
    "EXPIRE_UPLOADS",
    "FENCE",
    "FINISH_TAGS",
    "FORGET_UPLOAD",
    "HAS_TASK",
    "HOLD_UPLOAD",
    "JUMP_SEQS",
    "KEEP_UNREADABLE",
    "LAST_SEQ",
    "MAKE_EPOCH",
    "NOT_KEPT",
    "NUMBERS_OF_GROUP",
    "NUMBERS_OF_STATE",
    "OLDEST_ENDED",
    "OUTPUT_INDEX",
    "OUTPUT_OWNER",
    "OUTPUT_TASK",
    "OVERDUE",
    "PAUSED_OWNERS",
    "PAUSE_OWNER",
    "POOLS",
    "RAISE_FENCE",
    "RAISE_FORGOTTEN",
    "RENEW_UPLOAD",
    "SET_BODY",
    "SET_BOOT",
    "SET_FINISH_TAG",
    "SET_SEQ",
    "SET_SIZE",
    "SET_VIRTUAL_TIME",
    "SHARE",
    "SHARES",
    "TASK",
    "TASKS",
    "TASK_OF_NUMBER",
    "TRIMMED_TO",
    "TRIM_TASK",
    "TRIM_TO",
    "UNFINISHED",
    "UNPAUSE_OWNER",
    "UNUSED_UPLOADS",
    "UPDATE_TASK",
    "UPLOAD",
    "UPLOADS",
    "UPLOAD_BLOBS",
    "UPLOAD_SIZES",
    "UPLOAD_TOTALS",
    "USAGE",
    "USAGE_OF_ALL",
    "VIRTUAL_TIME",
    "WITH_FILES",
]

EPOCH = "SELECT value FROM meta WHERE key = 'epoch'"
MAKE_EPOCH = "INSERT OR IGNORE INTO meta VALUES ('epoch', ?)"

BOOT = "SELECT value FROM meta WHERE key = 'boot'"
SET_BOOT = "INSERT INTO meta VALUES ('boot', ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value"
JUMP_SEQS = "UPDATE owners SET seq = seq + 1000000"

# Positions

# Whoever comes after owners were forgotten counts on from here, so that no cursor of theirs can be taken for one
# without a gap.
LAST_SEQ = (
    "SELECT coalesce((SELECT seq FROM owners WHERE owner = ?), "
    "(SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'forgotten'), 0)"
)
TRIMMED_TO = (
    "SELECT coalesce((SELECT trimmed_to FROM owners WHERE owner = ?), "
    "(SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'forgotten'), 0)"
)

# Commit

ADD_TASK = (
    "INSERT INTO tasks "
    "(uid, owner, task_id, group_name, pool, state, ended_at, bytes, kept, created, kind, model, body) "
    "VALUES (:uid, :owner, :task_id, :group, :pool, :state, :ended_at, :bytes, :kept, :created, :kind, :model, "
    ":body) "
    "ON CONFLICT (owner, task_id) DO NOTHING"
)
UPDATE_TASK = (
    "UPDATE tasks SET pool = :pool, state = :state, ended_at = :ended_at, bytes = :bytes, model = :model, "
    "unsuccessful = :unsuccessful, body = :body WHERE uid = :uid"
)
ADD_OUTPUT = 'INSERT INTO outputs (output_id, uid, "index") VALUES (?, ?, ?)'
ADD_CONTENT = "INSERT INTO contents VALUES (?, ?)"
ADD_EVENT = "INSERT INTO events VALUES (?, ?, ?, ?, ?)"
# Bodies are MessagePack, in which the type comes first: {"type": "delta", ...}.
DROP_DELTAS = "DELETE FROM events WHERE uid = ? AND substr(body, 2, 11) = X'A474797065A564656C7461'"
SET_SEQ = (
    "INSERT INTO owners (owner, seq, trimmed_to) "
    "VALUES (?, ?, coalesce((SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'forgotten'), 0)) "
    "ON CONFLICT (owner) DO UPDATE SET seq = excluded.seq"
)
SET_SIZE = (
    "UPDATE tasks SET size = bytes + length(body) + :task_bytes + "
    "coalesce((SELECT length(body) FROM contents WHERE uid = :uid), 0) + "
    "(SELECT coalesce(sum(length(body) + :event_bytes), 0) FROM events WHERE uid = :uid) "
    "WHERE uid = :uid"
)

ADD_USAGE = (
    "INSERT INTO usage (owner, day, seconds, outputs, bytes) VALUES (:owner, :day, :seconds, :outputs, :bytes) "
    "ON CONFLICT (owner, day) DO UPDATE SET seconds = seconds + excluded.seconds, "
    "outputs = outputs + excluded.outputs, bytes = bytes + excluded.bytes"
)

# Tasks

TASK = "SELECT uid, body FROM tasks WHERE owner = ? AND task_id = ?"
TASKS = "SELECT number, uid, body FROM tasks WHERE owner = ? AND number < ? ORDER BY number DESC LIMIT ?"
NUMBERS_OF_STATE = (
    "SELECT number FROM tasks WHERE owner = ? AND state = ? AND number < ? ORDER BY number DESC LIMIT ?"
)
NUMBERS_OF_GROUP = (
    "SELECT number FROM tasks INDEXED BY tasks_of_group "
    "WHERE owner = ? AND group_name = ? AND state = ? AND number < ? ORDER BY number DESC LIMIT ?"
)
CONTENT = "SELECT body FROM contents WHERE uid = ?"
TASK_OF_NUMBER = "SELECT number, uid, body FROM tasks WHERE number = ?"
WITH_FILES = "SELECT uid, body FROM tasks WHERE bytes > 0 OR ended_at IS NULL"
NOT_KEPT = "SELECT uid, body FROM tasks INDEXED BY tasks_not_kept WHERE kept = 0"
OVERDUE = "SELECT uid, body FROM tasks INDEXED BY tasks_not_kept WHERE kept = 0 AND ended_at < ?"

# Outputs and shares

OUTPUT_OWNER = "SELECT owner FROM outputs JOIN tasks USING (uid) WHERE output_id = ? AND deleted IS NULL"
OUTPUT_TASK = "SELECT uid, body FROM outputs JOIN tasks USING (uid) WHERE output_id = ?"
ADD_SHARE = (
    "INSERT INTO shares (id, digest, owner, output_id, created, expires) "
    "SELECT :id, :digest, :owner, output_id, :created, :expires FROM outputs WHERE output_id = :output_id"
)
COUNT_SHARES = "SELECT count(*) FROM shares WHERE owner = ?"
SHARE = (
    'SELECT shares.number, id, shares.owner, task_id, "index", output_id, shares.created, expires '
    "FROM shares CROSS JOIN outputs USING (output_id) CROSS JOIN tasks USING (uid) "
    "WHERE digest = :digest AND (expires IS NULL OR expires > :now)"
)
SHARES = (
    'SELECT shares.number, id, shares.owner, task_id, "index", output_id, shares.created, expires '
    "FROM shares CROSS JOIN outputs USING (output_id) CROSS JOIN tasks USING (uid) "
    "WHERE shares.owner = :owner AND shares.number < :before AND (expires IS NULL OR expires > :now) "
    "AND (:task_id IS NULL OR task_id = :task_id) ORDER BY shares.number DESC LIMIT :limit"
)
DROP_SHARE = "DELETE FROM shares WHERE owner = :owner AND id = :id"
DROP_EXPIRED_SHARES = "DELETE FROM shares WHERE owner = :owner AND expires <= :now"

# Uploads, and the unfinished tasks that use them

UPLOAD = (
    "SELECT number, owner, upload_id, blob_id, media_type, width, height, bytes, created, expires "
    "FROM uploads WHERE owner = ? AND upload_id = ?"
)
UPLOADS = (
    "SELECT number, owner, upload_id, blob_id, media_type, width, height, bytes, created, expires "
    "FROM uploads INDEXED BY uploads_of_owner "
    "WHERE owner = :owner AND number < :before AND expires > :now ORDER BY number DESC LIMIT :limit"
)
UPLOAD_TOTALS = "SELECT count(*), coalesce(sum(bytes), 0) FROM uploads INDEXED BY uploads_of_owner WHERE owner = ?"
UPLOAD_BLOBS = "SELECT blob_id FROM uploads"
ADD_UPLOAD = (
    "INSERT INTO uploads (owner, upload_id, blob_id, media_type, width, height, bytes, created, expires) "
    "VALUES (:owner, :upload_id, :blob_id, :media_type, :width, :height, :bytes, :created, :expires)"
)
RENEW_UPLOAD = "UPDATE uploads SET expires = max(expires, :expires) WHERE owner = :owner AND upload_id = :upload_id"
HOLD_UPLOAD = (
    "UPDATE uploads SET expires = max(expires, :expires) "
    "WHERE owner = :owner AND upload_id = :upload_id AND expires > :now"
)
ADD_USE = "INSERT INTO upload_uses VALUES (:uid, :owner, :upload_id)"
DROP_USES = "DELETE FROM upload_uses WHERE uid = :uid"
EXPIRE_UPLOAD = (
    "UPDATE uploads SET expires = 0 "
    "WHERE owner = :owner AND upload_id = :upload_id AND expires > :now AND expires <= :latest"
)
EXPIRE_UPLOADS = "UPDATE uploads SET expires = 0 WHERE owner = ?"
UNUSED_UPLOADS = (
    "SELECT number, owner, upload_id, blob_id, media_type, width, height, bytes, created, expires "
    "FROM uploads WHERE expires <= :now AND NOT EXISTS (SELECT 1 FROM upload_uses "
    "WHERE upload_uses.owner = uploads.owner AND upload_uses.upload_id = uploads.upload_id) "
    "ORDER BY expires LIMIT :limit"
)
DROP_UPLOAD = (
    "DELETE FROM uploads WHERE blob_id = :blob_id AND expires <= :now AND NOT EXISTS (SELECT 1 FROM upload_uses "
    "WHERE upload_uses.owner = uploads.owner AND upload_uses.upload_id = uploads.upload_id)"
)

# Events

EVENTS_OF_OWNER = (
    "SELECT owner, seq, uid, lang, body FROM events WHERE owner = ? AND seq > ? AND seq <= ? ORDER BY seq LIMIT ?"
)
# By the index of the tasks, and in this order: the planner would rather read all events of the owner, since they are
# in the order that is asked for.
EVENTS_OF_TASKS = (
    "SELECT owner, seq, uid, lang, body FROM json_each(?) AS wanted "
    "CROSS JOIN events INDEXED BY events_of_task ON uid = wanted.value "
    "WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?"
)

# Delete

ENDED_TOTALS = "SELECT count(*), coalesce(sum(size), 0) FROM tasks INDEXED BY tasks_ended WHERE ended_at IS NOT NULL"
OLDEST_ENDED = "SELECT uid, body, size, ended_at FROM tasks WHERE ended_at IS NOT NULL ORDER BY ended_at LIMIT 100"
TRIM_TASK = (
    "UPDATE owners SET trimmed_to = max(trimmed_to, (SELECT coalesce(max(seq), 0) FROM events WHERE uid = :uid)) "
    "WHERE owner = (SELECT owner FROM tasks WHERE uid = :uid)"
)
DROP_EVENTS = "DELETE FROM events WHERE uid = :uid"
DROP_EVENT = "DELETE FROM events WHERE owner = :owner AND seq = :seq"
TRIM_TO = "UPDATE owners SET trimmed_to = max(trimmed_to, :seq) WHERE owner = :owner"
DROP_SHARES = "DELETE FROM shares WHERE output_id IN (SELECT output_id FROM outputs WHERE uid = :uid)"
DROP_OUTPUTS = "DELETE FROM outputs WHERE uid = :uid"
DROP_CONTENT = "DELETE FROM contents WHERE uid = :uid"
DROP_TASK = "DELETE FROM tasks WHERE uid = :uid"
KEEP_UNREADABLE = (
    "INSERT INTO unreadable SELECT uid, owner, task_id, body FROM tasks WHERE uid = :uid ON CONFLICT DO NOTHING"
)

# Erasure

RAISE_FORGOTTEN = (
    "INSERT INTO meta SELECT 'forgotten', seq + 1 FROM owners WHERE owner = ? ON CONFLICT (key) "
    "DO UPDATE SET value = max(CAST(value AS INTEGER), CAST(excluded.value AS INTEGER))"
)
DROP_OWNER = "DELETE FROM owners WHERE owner = ?"
DROP_UNREADABLE = "DELETE FROM unreadable WHERE owner = ?"
DROP_USAGE = "DELETE FROM usage WHERE owner = ? AND day < ?"

# Usage

USAGE = "SELECT owner, day, seconds, outputs, bytes FROM usage WHERE owner = ? AND day >= ? AND day <= ? ORDER BY day"
USAGE_OF_ALL = (
    "SELECT owner, day, seconds, outputs, bytes FROM usage INDEXED BY usage_of_day "
    "WHERE (day, owner) > (?, ?) AND day <= ? ORDER BY day, owner LIMIT ?"
)
DROP_OLD_USAGE = (
    "DELETE FROM usage WHERE (owner, day) IN "
    "(SELECT owner, day FROM usage INDEXED BY usage_of_day WHERE day < ? ORDER BY day LIMIT 1000)"
)

# Fair shares

SET_FINISH_TAG = (
    "INSERT INTO finish_tags (pool, owner, finish) VALUES (?, ?, ?) "
    "ON CONFLICT (pool, owner) DO UPDATE SET finish = excluded.finish"
)
DROP_FINISH_TAGS = "DELETE FROM finish_tags WHERE pool = ? AND finish <= ?"
FINISH_TAGS = "SELECT owner, finish FROM finish_tags WHERE pool = ?"
VIRTUAL_TIME = "SELECT virtual_time, mean FROM leases WHERE pool = ?"
SET_VIRTUAL_TIME = "UPDATE leases SET virtual_time = ?, mean = ? WHERE pool = ?"

# Pauses

PAUSED_OWNERS = "SELECT owner FROM paused_owners ORDER BY owner"
PAUSE_OWNER = "INSERT INTO paused_owners VALUES (?) ON CONFLICT DO NOTHING"
UNPAUSE_OWNER = "DELETE FROM paused_owners WHERE owner = ?"

# Leases

FENCE = "SELECT fence FROM leases WHERE pool = ?"
RAISE_FENCE = "INSERT INTO leases (pool, fence) VALUES (?, 1) ON CONFLICT (pool) DO UPDATE SET fence = fence + 1"
POOLS = "SELECT DISTINCT pool FROM tasks WHERE ended_at IS NULL"
UNFINISHED = "SELECT uid, body FROM tasks WHERE ended_at IS NULL AND pool = ? ORDER BY number"

# A copy for a backup

DROP_EPOCH = "DELETE FROM meta WHERE key = 'epoch'"
SET_BODY = "UPDATE tasks SET body = ? WHERE uid = ?"
HAS_TASK = "SELECT 1 FROM tasks WHERE uid = ?"
OUTPUT_INDEX = 'SELECT "index" FROM outputs WHERE output_id = ?'
COUNT_TASKS = "SELECT count(*) FROM tasks"
UPLOAD_SIZES = "SELECT blob_id, bytes FROM uploads"
FORGET_UPLOAD = "DELETE FROM uploads WHERE blob_id = ?"
