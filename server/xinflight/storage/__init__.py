"""Where tasks, events and files are stored: contracts and implementations side by side, and retention."""

from xinflight.storage.backup import Backup, BackupFailed, BackupReport
from xinflight.storage.blobs import Blobs, StoredFile, draw_id
from xinflight.storage.blobs_files import FileBlobs
from xinflight.storage.blobs_memory import MemoryBlobs
from xinflight.storage.blobs_recent import RecentBlobs
from xinflight.storage.library import FoundTask, FoundTasks, Library, StoredPreferences, StoredPresets, TaskQuery
from xinflight.storage.page_cursors import PageCursors
from xinflight.storage.retention import Retention
from xinflight.storage.shares import ShareRow, Shares
from xinflight.storage.sharing import SHARES_PER_OWNER, Sharing
from xinflight.storage.sqlite_schema import MIGRATIONS, schema_of
from xinflight.storage.store import (
    Accept,
    Append,
    Charge,
    Extend,
    Mark,
    Outcome,
    PoolTags,
    Save,
    StaleFence,
    Store,
    Write,
)
from xinflight.storage.store_memory import MemoryStore
from xinflight.storage.store_sqlite import SqliteStore
from xinflight.storage.upload_files import IncomingFile, UploadFiles
from xinflight.storage.uploads import StoredUploads, UploadRow
from xinflight.storage.words import phrases

__all__ = [
    "MIGRATIONS",
    "SHARES_PER_OWNER",
    "Accept",
    "Append",
    "Backup",
    "BackupFailed",
    "BackupReport",
    "Blobs",
    "Charge",
    "Extend",
    "FileBlobs",
    "FoundTask",
    "FoundTasks",
    "IncomingFile",
    "Library",
    "Mark",
    "MemoryBlobs",
    "MemoryStore",
    "Outcome",
    "PageCursors",
    "PoolTags",
    "RecentBlobs",
    "Retention",
    "Save",
    "ShareRow",
    "Shares",
    "Sharing",
    "SqliteStore",
    "StaleFence",
    "Store",
    "StoredFile",
    "StoredPreferences",
    "StoredPresets",
    "StoredUploads",
    "TaskQuery",
    "UploadFiles",
    "UploadRow",
    "Write",
    "draw_id",
    "phrases",
    "schema_of",
]
