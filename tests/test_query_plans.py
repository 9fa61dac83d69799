"""What SQLite does for each statement of the store: nothing that serves a request reads more than what it returns."""

import ast
import asyncio
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

import xinflight.storage.library_queries as library
import xinflight.storage.sqlite_queries as sql
from xinflight.storage import SqliteStore

PACKAGE = Path(sql.__file__).parent
STATEMENTS = {name: text for module in (sql, library) for name, text in vars(module).items() if name.isupper()}

SCANS = {
    "WITH_FILES": "SCAN tasks",
    # A partial index holds what is unfinished, or not to be kept, and nothing else.
    "POOLS": "SCAN tasks USING INDEX tasks_unfinished",
    # No table: what is selected is the result of two searches.
    "LAST_SEQ": "SCAN CONSTANT ROW",
    "TRIMMED_TO": "SCAN CONSTANT ROW",
    "NOT_KEPT": "SCAN tasks USING INDEX tasks_not_kept",
    "JUMP_SEQS": "SCAN owners",
    "PAUSED_OWNERS": "SCAN paused_owners",
    "UPLOAD_BLOBS": "SCAN uploads USING COVERING INDEX sqlite_autoindex_uploads_1",
    # Of a backup, in its own copy.
    "COUNT_TASKS": "SCAN tasks USING COVERING INDEX sqlite_autoindex_tasks_1",
    "UPLOAD_SIZES": "SCAN uploads",
    # What of the index of words has these words, or this number: 192:M1 is "MATCH, in the order of the rowid".
    "FLOOR_BY_WORDS": "SCAN search VIRTUAL TABLE INDEX 192:M1<",
    "FOUND_BY_WORDS": "SCAN search VIRTUAL TABLE INDEX 192:M1<>",
    "DROP_WORDS": "SCAN search VIRTUAL TABLE INDEX 0:=",
    # The list that is asked for.
    "MARKS_OF_TASKS": "SCAN wanted VIRTUAL TABLE INDEX 1:",
    "EVENTS_OF_TASKS": "SCAN wanted VIRTUAL TABLE INDEX 1:",
}
"""The only scans: of a start, of a timer, of a backup, or of what a caller gave."""
SORTS = {"EVENTS_OF_TASKS"}
"""Statements that sort: the events of the tasks that are asked for, and no others."""
INDEXES = {
    "TASK": "sqlite_autoindex_tasks_2 (owner=? AND task_id=?)",
    "TASKS": "tasks_of_owner (owner=? AND number<?)",
    "NUMBERS_OF_STATE": "COVERING INDEX tasks_of_state (owner=? AND state=? AND number<?)",
    "NUMBERS_OF_GROUP": "COVERING INDEX tasks_of_group (owner=? AND group_name=? AND state=? AND number<?)",
    "DROP_DELTAS": "events_of_task (uid=?)",
    "TASK_OF_NUMBER": "INTEGER PRIMARY KEY (rowid=?)",
    "EVENTS_OF_OWNER": "PRIMARY KEY (owner=? AND seq>? AND seq<?)",
    "EVENTS_OF_TASKS": "events_of_task (uid=? AND seq>? AND seq<?)",
    "UNFINISHED": "tasks_unfinished (pool=?)",
    "FENCE": "PRIMARY KEY (pool=?)",
    "ENDED_TOTALS": "COVERING INDEX tasks_ended (ended_at>?)",
    "OLDEST_ENDED": "tasks_ended (ended_at>?)",
    "OVERDUE": "tasks_not_kept (ended_at<?)",
    "FINISH_TAGS": "COVERING INDEX finish_tags_of_pool (pool=?)",
    "DROP_FINISH_TAGS": "finish_tags_of_pool (pool=? AND finish<?)",
    "VIRTUAL_TIME": "PRIMARY KEY (pool=?)",
    "USAGE": "PRIMARY KEY (owner=? AND day>? AND day<?)",
    "UPLOAD": "sqlite_autoindex_uploads_2 (owner=? AND upload_id=?)",
    "UPLOADS": "uploads_of_owner (owner=? AND number<?)",
    "UPLOAD_TOTALS": "COVERING INDEX uploads_of_owner (owner=?)",
    "UNUSED_UPLOADS": "uploads_expiring (expires<?)",
    "FLOOR_BY_OWNER": "COVERING INDEX tasks_of_owner (owner=? AND number<?)",
    "FOUND_BY_OWNER": "tasks_of_owner (owner=? AND number>? AND number<?)",
    "FLOOR_UNSUCCESSFUL": "COVERING INDEX tasks_unsuccessful (owner=? AND unsuccessful=? AND number<?)",
    "FOUND_UNSUCCESSFUL": "tasks_unsuccessful (owner=? AND unsuccessful=? AND number>? AND number<?)",
    "FLOOR_BY_LABEL": "labels USING PRIMARY KEY (owner=? AND label=? AND number<?)",
    "FOUND_BY_LABEL": "labels USING PRIMARY KEY (owner=? AND label=? AND number>? AND number<?)",
    "FOUND_BY_WORDS": "tasks USING INTEGER PRIMARY KEY (rowid=?)",
    "NEXT_TAG": "COVERING INDEX labels_folded (owner=? AND (folded,label)>(?,?))",
    "MARKS_OF_TASKS": "outputs_of_task (uid=?)",
    "DELETED_OUTPUTS": "outputs_deleted (deleted>?)",
    "NEW_TASKS": "INTEGER PRIMARY KEY (rowid>?)",
    "DROP_MARKED": "events_of_task (uid=?)",
    "USAGE_OF_ALL": "usage_of_day ((day,owner)>(?,?) AND day<?)",
}
"""Which index what is asked most is read by."""


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sqlite3.Connection]:
    """Give an empty database of this version."""
    folder = tmp_path_factory.mktemp("database")
    asyncio.run(_make(folder))
    with closing(sqlite3.connect(folder / "xinflight.db")) as connection:
        yield connection


async def _make(folder: Path) -> None:
    store = SqliteStore(folder, full=False)
    await store.open()
    await store.close()


def plan(database: sqlite3.Connection, statement: str) -> list[str]:
    values = dict.fromkeys(re.findall(r":([a-z_]+)", statement), 0) or [0] * statement.count("?")
    return [row[3] for row in database.execute(f"EXPLAIN QUERY PLAN {statement}", values)]


@pytest.mark.parametrize("name", sorted(STATEMENTS))
async def test_every_statement_uses_an_index(database: sqlite3.Connection, name: str) -> None:
    steps = plan(database, STATEMENTS[name])
    scans = [step for step in steps if step.startswith("SCAN")]
    assert scans == ([SCANS[name]] if name in SCANS else [])
    assert any("TEMP B-TREE" in step for step in steps) == (name in SORTS), steps
    if name in INDEXES:
        assert any(INDEXES[name] in step for step in steps), steps


def texts(module: Path) -> Iterator[str]:
    """Yield the texts of a module but for its docstrings, which may begin with a verb of SQL, too."""
    nodes = list(ast.walk(ast.parse(module.read_text("utf-8"))))
    docstrings = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    for node in nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.value


@pytest.mark.parametrize(
    "module",
    [
        "store_sqlite",
        "sqlite_batch",
        "sqlite_deletion",
        "sqlite_database",
        "sqlite_schema",
        "sqlite_backup",
        "shares_sqlite",
        "uploads_sqlite",
        "library_rows",
        "library_sqlite",
    ],
)
def test_no_statement_is_anywhere_else(module: str) -> None:
    """One that stood in the store's own code would be held against no index."""
    statement = re.compile(r"\s*(SELECT|INSERT|UPDATE|DELETE|REPLACE|WITH)\s+[A-Za-z*]+\s", re.IGNORECASE)
    found = [text for text in texts(PACKAGE / f"{module}.py") if statement.match(text)]
    assert found == []


def test_every_statement_is_listed() -> None:
    assert sorted(sql.__all__ + library.__all__) == sorted(STATEMENTS)
