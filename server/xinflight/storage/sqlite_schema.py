"""The SQLite database of a data folder: tables, migrations, permissions, and what to do when it can't be opened."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import structlog

from xinflight.errors import StoreUnusable
from xinflight.storage.sqlite_migration import (
    convert_tasks,
    describe_tasks,
    fold_labels,
    list_outputs,
    note_failures,
    rank_tasks,
)

__all__ = ["MIGRATIONS", "connect", "connect_to_read", "explain", "make_private", "migrate", "schema_of"]

log = structlog.stdlib.get_logger(__name__)

INCREMENTAL = 2
"""`PRAGMA auto_vacuum` of a file that can give pages back without being written anew."""
LOG_BYTES = 8 * 1024 * 1024
"""What the log keeps of its size when it begins anew."""

MIGRATIONS = [
    """
    CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE owners (
        owner TEXT PRIMARY KEY,
        seq INTEGER NOT NULL,
        floor INTEGER NOT NULL DEFAULT 0
    ) WITHOUT ROWID;
    CREATE TABLE tasks (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        uid TEXT NOT NULL UNIQUE,
        owner TEXT NOT NULL,
        task_id TEXT NOT NULL,
        state TEXT NOT NULL,
        ended_at REAL,
        bytes INTEGER NOT NULL,
        runner TEXT,
        lease_until REAL,
        body BLOB NOT NULL,
        UNIQUE (owner, task_id)
    );
    CREATE INDEX tasks_of_owner ON tasks (owner, number);
    CREATE INDEX tasks_unfinished ON tasks (number) WHERE ended_at IS NULL;
    CREATE INDEX tasks_ended ON tasks (ended_at, number, bytes) WHERE ended_at IS NOT NULL;
    CREATE TABLE events (
        owner TEXT NOT NULL,
        seq INTEGER NOT NULL,
        uid TEXT NOT NULL,
        lang TEXT,
        body BLOB NOT NULL,
        PRIMARY KEY (owner, seq)
    ) WITHOUT ROWID;
    CREATE INDEX events_of_task ON events (uid, seq);
    """,
    # `bytes` stays what its files are; `size` is all that an ended task takes, and 0 before its end.
    """
    ALTER TABLE tasks ADD COLUMN size INTEGER NOT NULL DEFAULT 0;
    UPDATE tasks SET size = bytes + length(body) + 500 +
        (SELECT coalesce(sum(length(body) + 150), 0) FROM events WHERE uid = tasks.uid)
        WHERE ended_at IS NOT NULL;
    DROP INDEX tasks_ended;
    CREATE INDEX tasks_ended ON tasks (ended_at, number, size) WHERE ended_at IS NOT NULL;
    CREATE INDEX tasks_of_state ON tasks (owner, state, number);
    CREATE TABLE unreadable (
        uid TEXT PRIMARY KEY,
        owner TEXT NOT NULL,
        task_id TEXT NOT NULL,
        body BLOB NOT NULL
    ) WITHOUT ROWID;
    """,
    # Tasks name their pool, whose lease takes the place of a lease per task. Snapshots drew numbers before, so the
    # next one must be above all that a client may have seen. The events {"type": "picture", ...} become "output":
    # bodies are MessagePack, in which the type comes first.
    """
    ALTER TABLE tasks ADD COLUMN pool TEXT NOT NULL DEFAULT '';
    ALTER TABLE tasks DROP COLUMN runner;
    ALTER TABLE tasks DROP COLUMN lease_until;
    DROP INDEX tasks_unfinished;
    CREATE INDEX tasks_unfinished ON tasks (pool, number) WHERE ended_at IS NULL;
    CREATE TABLE leases (pool TEXT PRIMARY KEY, fence INTEGER NOT NULL) WITHOUT ROWID;
    ALTER TABLE owners RENAME COLUMN floor TO trimmed_to;
    UPDATE owners SET seq = seq + 1000000;
    UPDATE events SET body = CAST(substr(body, 1, 1) || X'A474797065A66F7574707574' || substr(body, 15) AS BLOB)
        WHERE substr(body, 2, 13) = X'A474797065A770696374757265';
    """,
    # `usage` is per UTC day, and outlives the tasks that it counts. Finish tags are those of the owners ahead of the
    # virtual time of a pool (tasks/fair_shares.py). `kept` is 0 for a task that is deleted once its end was
    # delivered. Whose an output is, by its id: files are served to their owner only. Shares keep a digest of the
    # secret in their address, so that whoever reads the database can't open them. `contents` are the messages of
    # chats. Uploads are named by the hash of their bytes; one that an unfinished task uses is not deleted.
    """
    CREATE TABLE usage (
        owner TEXT NOT NULL,
        day TEXT NOT NULL,
        seconds REAL NOT NULL,
        outputs INTEGER NOT NULL,
        bytes INTEGER NOT NULL,
        PRIMARY KEY (owner, day)
    ) WITHOUT ROWID;
    CREATE INDEX usage_of_day ON usage (day, owner);
    ALTER TABLE leases ADD COLUMN virtual_time REAL NOT NULL DEFAULT 0;
    ALTER TABLE leases ADD COLUMN mean REAL;
    CREATE TABLE finish_tags (
        pool TEXT NOT NULL,
        owner TEXT NOT NULL,
        finish REAL NOT NULL,
        PRIMARY KEY (pool, owner)
    ) WITHOUT ROWID;
    CREATE INDEX finish_tags_of_pool ON finish_tags (pool, finish);
    CREATE TABLE paused_owners (owner TEXT PRIMARY KEY) WITHOUT ROWID;
    CREATE TABLE outputs (output_id TEXT PRIMARY KEY, uid TEXT NOT NULL, "index" INTEGER NOT NULL) WITHOUT ROWID;
    CREATE INDEX outputs_of_task ON outputs (uid);
    CREATE TABLE shares (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        digest BLOB NOT NULL UNIQUE,
        owner TEXT NOT NULL,
        output_id TEXT NOT NULL,
        created REAL NOT NULL,
        expires REAL
    );
    CREATE INDEX shares_of_owner ON shares (owner, number);
    CREATE INDEX shares_of_output ON shares (output_id);
    ALTER TABLE tasks ADD COLUMN kept INTEGER NOT NULL DEFAULT 1;
    CREATE INDEX tasks_not_kept ON tasks (ended_at) WHERE kept = 0;
    CREATE INDEX unreadable_of_owner ON unreadable (owner);
    ALTER TABLE tasks ADD COLUMN group_name TEXT;
    CREATE INDEX tasks_of_group ON tasks (owner, group_name, state, number) WHERE group_name IS NOT NULL;
    CREATE TABLE contents (uid TEXT NOT NULL UNIQUE, body BLOB NOT NULL);
    CREATE TABLE uploads (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        owner TEXT NOT NULL,
        upload_id TEXT NOT NULL,
        blob_id TEXT NOT NULL UNIQUE,
        media_type TEXT NOT NULL,
        width INTEGER NOT NULL,
        height INTEGER NOT NULL,
        bytes INTEGER NOT NULL,
        created REAL NOT NULL,
        expires REAL NOT NULL,
        UNIQUE (owner, upload_id)
    );
    CREATE INDEX uploads_of_owner ON uploads (owner, number, bytes);
    CREATE INDEX uploads_expiring ON uploads (expires);
    CREATE TABLE upload_uses (
        uid TEXT NOT NULL,
        owner TEXT NOT NULL,
        upload_id TEXT NOT NULL,
        PRIMARY KEY (uid, upload_id)
    ) WITHOUT ROWID;
    CREATE INDEX upload_uses_of_upload ON upload_uses (owner, upload_id);
    """,
    # What tasks are found by, and what owners note of outputs. `deleted` is when an output was; a while later it is
    # gone. The labels of a task are the tags of its outputs, and '' if one is starred. `search` has the words of
    # tasks up to the number `indexed_to`; its rowids are the numbers of tasks.
    """
    ALTER TABLE tasks ADD COLUMN created REAL NOT NULL DEFAULT 0;
    ALTER TABLE tasks ADD COLUMN kind TEXT NOT NULL DEFAULT '';
    ALTER TABLE tasks ADD COLUMN model TEXT;
    ALTER TABLE outputs ADD COLUMN starred INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE outputs ADD COLUMN tags TEXT;
    ALTER TABLE outputs ADD COLUMN deleted REAL;
    CREATE INDEX outputs_deleted ON outputs (deleted) WHERE deleted IS NOT NULL;
    CREATE TABLE labels (
        owner TEXT NOT NULL,
        label TEXT NOT NULL,
        number INTEGER NOT NULL,
        PRIMARY KEY (owner, label, number)
    ) WITHOUT ROWID;
    CREATE INDEX labels_of_task ON labels (number);
    CREATE VIRTUAL TABLE search USING fts5(words, tokenize = 'ascii', columnsize = 0);
    CREATE TABLE preferences (
        owner TEXT PRIMARY KEY,
        version INTEGER NOT NULL,
        body BLOB NOT NULL
    ) WITHOUT ROWID;
    """,
    # Ended tasks of which an output failed or expired, whatever became of the others.
    """
    ALTER TABLE tasks ADD COLUMN unsuccessful INTEGER NOT NULL DEFAULT 0;
    CREATE INDEX tasks_unsuccessful ON tasks (owner, unsuccessful, number) WHERE unsuccessful = 1;
    """,
    # All presets of an owner.
    """
    CREATE TABLE presets (
        owner TEXT PRIMARY KEY,
        version INTEGER NOT NULL,
        body BLOB NOT NULL
    ) WITHOUT ROWID;
    """,
    # Labels without their case, in which order tags are offered.
    """
    ALTER TABLE labels ADD COLUMN folded TEXT NOT NULL DEFAULT '';
    CREATE INDEX labels_folded ON labels (owner, folded, label);
    """,
]
CONVERSIONS = {
    3: (convert_tasks,),
    4: (list_outputs, rank_tasks),
    5: (describe_tasks,),
    6: (note_failures,),
    8: (fold_labels,),
}
"""What rewrites the rows of a schema's predecessor, in the same transaction."""


def make_private(path: Path) -> None:
    """Make the folder and the database for their owner only: prompts are nobody else's business.

    A folder that was there keeps its mode, for it may be shared on purpose; the log takes that of the database
    (sqlite.org/src, "robust_open"). Raises OSError.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
        file = path.with_name(name)
        if name == path.name and not file.exists():
            file.touch(mode=0o600)
        elif file.is_file():
            file.chmod(0o600)


def connect(path: Path, *, full: bool, busy_timeout: float) -> sqlite3.Connection:
    """Open a connection; `busy_timeout` is in seconds.

    Raises:
        sqlite3.Error, UnicodeDecodeError: it can't be used; `explain` says what to do.
    """
    connection = sqlite3.connect(path, timeout=busy_timeout, check_same_thread=False)
    try:
        # Before anything is written, of which nothing needs more.
        connection.execute(f"PRAGMA synchronous = {'FULL' if full else 'NORMAL'}")
        if connection.execute("PRAGMA auto_vacuum").fetchone()[0] != INCREMENTAL:
            # Before the first page is written; in a database that has tables it takes a VACUUM. Whoever sets it to
            # what it is writes nevertheless, and so waits for the disk.
            connection.execute(f"PRAGMA auto_vacuum = {INCREMENTAL}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA journal_size_limit = {LOG_BYTES}")
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        # What is deleted is overwritten with zeros, not only unlinked: it may be somebody's prompts.
        connection.execute("PRAGMA secure_delete = ON")
    except (sqlite3.Error, UnicodeDecodeError):
        # From Python 3.13 on a connection that nobody closed is a ResourceWarning, wherever it is collected.
        connection.close()
        raise
    return connection


def connect_to_read(path: Path, *, busy_timeout: float) -> sqlite3.Connection:
    """Open a connection that changes nothing, also while a server of another process writes. Raises sqlite3.Error."""
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=busy_timeout)


def schema_of(path: Path) -> int:
    """Return the schema of a database, 0 for an empty one. Raises sqlite3.Error."""
    with closing(connect_to_read(path, busy_timeout=1.0)) as connection:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])


def migrate(connection: sqlite3.Connection, path: Path) -> bool:
    """Bring the tables to this version, after a copy of the database; return whether there were none.

    Raises:
        StoreUnusable: a newer version has written them.
        sqlite3.Error, OSError: it can't be done now; nothing has changed.
    """
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if not 0 <= version <= len(MIGRATIONS):
        raise StoreUnusable(
            f"{path} was written by a newer xinflight (schema {version}, known here: {len(MIGRATIONS)}). "
            "Start that version, or choose another folder with --data-dir."
        )
    if 0 < version < len(MIGRATIONS):
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        copy = path.with_suffix(f".before-{len(MIGRATIONS)}.db")
        shutil.copyfile(path, copy)
        copy.chmod(0o600)
    if version < len(MIGRATIONS):
        # One transaction for all steps: whoever fails half way finds the old database at the next start.
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            for number, script in enumerate(MIGRATIONS[version:], version + 1):
                # Not `executescript`, which commits what is open before it begins.
                for statement in script.split(";"):
                    connection.execute(statement)
                for convert in CONVERSIONS.get(number, ()):
                    convert(connection)
            connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
    if connection.execute("PRAGMA auto_vacuum").fetchone()[0] != INCREMENTAL:
        _make_shrinkable(connection)
    return version == 0


def _make_shrinkable(connection: sqlite3.Connection) -> None:
    """Write the database anew, once, so that it can give space back from now on (sqlite.org/pragma.html)."""
    try:
        connection.execute("VACUUM")
    except sqlite3.OperationalError as error:
        # Most likely no room for a second copy. It works as it is, and the next start tries again.
        log.warning("database can't shrink yet", error=str(error))


def explain(path: Path, error: sqlite3.DatabaseError | UnicodeDecodeError) -> str:
    """Say what to do about a database that can't be opened (sqlite.org/rescode.html)."""
    # Errors of Python's own, of a text that is no UTF-8, carry no code.
    match getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF:
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return f"{path} is in use by another program ({error}). Stop it, or choose another with --data-dir."
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            # The folder as a whole: a log that stays behind would be played into the next file of that name.
            return (
                f"{path} is damaged ({error}). Move the folder away to start with an empty history: "
                f"mv {path.parent} {path.parent}.damaged"
            )
    return f"{path} can't be used ({error}). Look at the folder's permissions and the free space of its disk."
