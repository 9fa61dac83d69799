"""A data folder of an earlier version: `golden/schema-<n>.db` is a database as that schema's last version left it.

Each was written by a server that drew for a client and was killed while generations were under way. What is expected
of the new store is read from the old bytes, by no code of the package.
"""

import shutil
import sqlite3
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, closing
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from clients import ShiftedClock, WireClient, painter
from conftest import Front
from factories import EVERY_STATE, MANY, ids
from xinflight.errors import StoreUnusable
from xinflight.model import Marks, marked_message
from xinflight.protocol import State
from xinflight.storage import MIGRATIONS, Mark, SqliteStore, TaskQuery, phrases, sqlite_schema
from xinflight.storage.store import Row

GOLDEN = Path(__file__).parent / "golden"
NEWEST_FIRST = {
    1: ["waiting", "late", "gone", "inline", "plain", "done"],
    2: ["cancelling", "waiting", "running", "late", "gone", "partial", "failed", "inline", "plain", "done"],
    3: ["cancelling", "waiting", "running", "late", "gone", "partial", "failed", "inline", "plain", "done"],
    4: ["sails", "cancelling", "waiting", "running", "late", "gone", "partial", "failed", "inline", "plain", "done"],
}
NEWEST_FIRST[5] = NEWEST_FIRST[4]
UNFINISHED = {1: ["waiting"], 2: ["running", "waiting", "cancelling"], 3: ["running", "cancelling", "waiting"]}
UNFINISHED[4] = UNFINISHED[5] = UNFINISHED[3]
OLD_NAMES = {"picture_id": "output_id", "stoppable": "abortable", "picture": "file"}
DELETED_TO, LAST_STORED, LAST_SHOWN = 8, 87, 93
"""Seqs of schema 2: of a task that was deleted, of the newest event, and of the newest snapshot that a client saw."""


class Old:
    """A database of an earlier schema, in a data folder of its own; it is read as it was written."""

    def __init__(self, schema: int, folder: Path) -> None:
        self.schema, self.folder = schema, folder
        folder.mkdir()
        self.path = folder / "xinflight.db"
        golden = GOLDEN / f"schema-{schema}.db"
        shutil.copyfile(golden, self.path)
        with closing(sqlite3.connect(f"file:{golden}?mode=ro&immutable=1", uri=True)) as connection:
            (self.epoch,) = connection.execute("SELECT value FROM meta WHERE key = 'epoch'").fetchone()
            self.seqs = dict(connection.execute("SELECT owner, seq FROM owners").fetchall())
            bodies = connection.execute("SELECT state, body FROM tasks ORDER BY number").fetchall()
            told = connection.execute("SELECT owner, seq, uid, lang, body FROM events ORDER BY owner, seq").fetchall()
        self.tasks = [{**msgspec.msgpack.decode(body, type=dict[str, Any]), "state": state} for state, body in bodies]
        for was in self.tasks:
            outputs = was.pop("outputs") if schema > 2 else was.pop("jobs")
            was["outputs"] = [{OLD_NAMES.get(name, name): job[name] for name in job} for job in outputs]
        # Since schema 3 the seq is a column only.
        events = [
            (owner, uid, lang, msgspec.msgpack.decode(body) | {"seq": seq}) for owner, seq, uid, lang, body in told
        ]
        self.events = [
            (owner, uid, lang, message | {"type": "output"} if message["type"] == "picture" else message)
            for owner, uid, lang, message in events
        ]


def dump(path: Path) -> list[str]:
    """Return all that a database holds, and its version."""
    with closing(sqlite3.connect(path)) as connection:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        return [f"version {version}", *connection.iterdump()]


@pytest.fixture(params=[1, 2, 3, 4, 5])
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Old:
    """Give a data folder of each earlier schema."""
    return Old(request.param, tmp_path / "data")


@pytest.fixture
async def store(old: Old) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(old.folder, full=False)
    assert await store.open() == old.epoch
    yield store
    await store.close()


# The store


async def test_every_task_is_still_what_it_was(store: SqliteStore, old: Old) -> None:
    rows: list[Row] = []
    for owner in old.seqs:
        rows += reversed(await store.tasks(owner, before=None, limit=100, states=EVERY_STATE))
    tasks = {row.task.uid: row.task for row in rows}
    assert len(tasks) == len(old.tasks)
    for was in old.tasks:
        task = tasks[was["uid"]]
        same = ("owner", "task_id", "digest", "created", "deadline", "metadata", "lang", "cancelled_at", "ended_at")
        assert {name: getattr(task, name) for name in same} == {name: was[name] for name in same}
        assert (task.state, task.kind, task.pool) == (was["state"], "text2image", was["params"].get("model") or "")
        assert msgspec.to_builtins(task.params) == was["params"]
        assert len(task.outputs) == len(was["outputs"])
        for output, job in zip(task.outputs, was["outputs"], strict=True):
            of_attempt = ("request_id", "state", "attempt", "abortable", "code", "step", "upstream")
            kept = ("index", "seed", "output_id", *of_attempt)
            assert {name: getattr(output, name) for name in kept} == {name: job[name] for name in kept}
            of_file = ("media_type", "width", "height", "bytes")
            file = output.file and {name: getattr(output.file, name) for name in of_file}
            assert file == (job["file"] and {name: job["file"][name] for name in of_file})
            assert output.text is None
    assert not store.made_new


async def test_every_event_is_still_what_it_was(store: SqliteStore, old: Old) -> None:
    for owner in old.seqs:
        events = await store.events_of_owner(owner, after=0, upto=MANY, limit=1000)
        assert [
            (event.owner, event.uid, event.lang, msgspec.msgpack.decode(msgspec.msgpack.encode(event.message)))
            for event in events
        ] == [told for told in old.events if told[0] == owner]


async def test_pages_of_the_history_are_the_same(store: SqliteStore, old: Old) -> None:
    newest_first = NEWEST_FIRST[old.schema]
    assert await ids(store, "local") == newest_first
    before, found = None, []
    while page := await store.tasks("local", before=before, limit=4, states=EVERY_STATE):
        found += [row.task.task_id for row in page]
        before = page[-1].number
    assert found == newest_first
    states = {was["task_id"]: was["state"] for was in old.tasks if was["owner"] == "local"}
    for state in State:
        assert await ids(store, "local", states={state}) == [each for each in newest_first if states[each] == state]


async def test_what_is_unfinished_and_what_has_files_is_known(store: SqliteStore, old: Old) -> None:
    assert await store.pools() == sorted({was["params"]["model"] for was in old.tasks if was["ended_at"] is None})
    unfinished = [task.task_id for pool in await store.pools() for task in await store.unfinished(pool)]
    assert unfinished == UNFINISHED[old.schema]
    outputs = [(was, job) for was in old.tasks for job in was["outputs"]]
    assert await store.output_ids() == {
        job["output_id"] for was, job in outputs if job["file"] or not was["ended_at"]
    }


async def test_ranks_rise_with_acceptance(store: SqliteStore, old: Old) -> None:
    """Those of unfinished tasks, since only those wait."""
    unfinished = [task for pool in await store.pools() for task in await store.unfinished(pool)]
    by_acceptance = [was["uid"] for was in old.tasks if was["ended_at"] is None]
    assert [task.uid for task in sorted(unfinished, key=lambda task: task.rank)] == by_acceptance
    assert len({task.rank for task in unfinished}) == len(unfinished)


async def test_whose_an_output_is_is_known(store: SqliteStore, old: Old) -> None:
    owners = {job["output_id"]: was["owner"] for was in old.tasks for job in was["outputs"]}
    assert {output_id: await store.output_owner(output_id) for output_id in owners} == owners
    assert set(owners.values()) == set(old.seqs)
    assert await store.output_owner("nothing") is None


async def test_old_tasks_are_found_as_new_ones_are(store: SqliteStore, old: Old) -> None:
    """By their words a moment after the start, and by all that is noted of them from then on."""
    while await store.library.index():
        pass

    async def found(**query: Any) -> list[str]:
        page = await store.library.find("local", TaskQuery(**query), before=None, limit=100)
        return [row.task.task_id for row in page.tasks]

    newest_first = NEWEST_FIRST[old.schema]
    tasks = {was["task_id"]: was for was in old.tasks if was["owner"] == "local"}
    assert await found(kind="text2image") == newest_first
    assert await found(since=tasks["late"]["created"], until=tasks["late"]["created"] + 0.001) == ["late"]
    partly = ["partial"] * (old.schema > 1)
    wholly = [each for each in newest_first if tasks[each]["state"] in ("failed", "expired")]
    assert await found(unsuccessful=True) == [each for each in newest_first if each in [*partly, *wholly]]
    models = {was["params"].get("model") for was in tasks.values()}
    for model in models - {None}:
        assert await found(model=model) == [
            each for each in newest_first if tasks[each]["params"].get("model") == model
        ]
    prompts = {each: tasks[each]["params"]["prompt"] for each in newest_first}
    assert await found(phrases=phrases(prompts["gone"])) == [
        each for each in newest_first if prompts[each] == prompts["gone"]
    ]
    assert await found(phrases=phrases("红色小船")) == ["sails"] * (old.schema > 3)
    done = await store.task("local", "done")
    assert done is not None
    marks = [Marks(index=0, starred=True)]
    await store.commit([Mark(task=done, message=marked_message(done, marks, 1.0), marks=marks)])
    assert await found(starred=True) == ["done"]


async def test_what_it_takes_is_counted(store: SqliteStore, old: Old) -> None:
    with closing(sqlite3.connect(old.path)) as connection:
        told = "SELECT sum(length(body) + 150) FROM events WHERE uid = tasks.uid"
        query = f"SELECT size - bytes - length(body) - ({told}) FROM tasks WHERE ended_at IS NOT NULL"
        beside = connection.execute(query).fetchall()
        (total,) = connection.execute("SELECT sum(size) FROM tasks").fetchone()
    assert set(beside) == {(500,)}, "500 each, 150 per event"
    count = len(beside)
    assert await store.prune(keep_bytes=total, keep_tasks=count, ended_before=0.0) == []
    gone = await store.prune(keep_bytes=total - 1, keep_tasks=count, ended_before=0.0)
    assert [task.task_id for task in gone] == ["done"]


async def test_the_next_seq_is_above_all_that_a_client_may_have_seen(store: SqliteStore, old: Old) -> None:
    """Before schema 3, snapshots drew numbers of the same series, up to a million beyond the newest event."""
    for owner, seq in old.seqs.items():
        assert await store.last_seq(owner) >= seq + (1_000_000 if old.schema < 3 else 0)
    assert await store.trimmed_to("local") == {1: 0, 2: DELETED_TO, 3: 3, 4: 3, 5: 3}[old.schema]


async def test_the_file_is_that_of_a_new_one(old: Old, tmp_path: Path) -> None:
    before = dump(old.path)
    store = SqliteStore(old.folder, full=False)
    await store.open()
    fresh = SqliteStore(tmp_path / "fresh", full=False)
    await fresh.open()
    await fresh.close()
    await store.close()

    def form(path: Path) -> list[object]:
        with closing(sqlite3.connect(path)) as connection:
            rows = connection.execute("SELECT type, name, tbl_name FROM sqlite_schema ORDER BY name").fetchall()
            tables = [name for kind, name, _ in rows if kind == "table"]
            columns = [
                connection.execute(f"SELECT name, type FROM pragma_table_info('{name}') ORDER BY name").fetchall()
                for name in tables
            ]
            pragmas = [connection.execute(f"PRAGMA {name}").fetchone() for name in ("user_version", "auto_vacuum")]
            return [rows, columns, pragmas]

    assert form(old.path) == form(tmp_path / "fresh" / "xinflight.db")
    assert dump(old.folder / f"xinflight.before-{len(MIGRATIONS)}.db") == before


async def test_tags_of_an_earlier_schema_are_offered_in_any_case(tmp_path: Path) -> None:
    old = Old(5, tmp_path / "old")
    with closing(sqlite3.connect(old.path)) as connection:
        rows = [("local", label, number) for number, label in enumerate(["Sea", "sea", "Über", "", "gone"])]
        connection.executemany("INSERT INTO labels VALUES (?, ?, ?)", rows)
        connection.commit()
    store = SqliteStore(old.folder, full=False)
    await store.open()
    assert await store.library.tags("local", prefix="SE", limit=9) == ["Sea", "sea"]
    assert await store.library.tags("local", prefix="ü", limit=9) == ["Über"]
    assert await store.library.tags("local", prefix="", limit=9) == ["gone", "Sea", "sea", "Über"]
    await store.close()


async def test_a_task_that_was_unreadable_stays_so(old: Old) -> None:
    """It is set aside by whoever meets it, as one of today is; the others are brought up."""
    with closing(sqlite3.connect(old.path)) as connection:
        odd = {**old.tasks[0], "params": {"model": {"not": "a name"}}}
        bad = [
            b"\xc1",
            "a text",
            msgspec.msgpack.encode({"uid": "x", "jobs": 5, "outputs": 5}),
            msgspec.msgpack.encode(odd),
        ]
        for body, (uid,) in zip(
            bad, connection.execute("SELECT uid FROM tasks ORDER BY number").fetchall(), strict=False
        ):
            connection.execute("UPDATE tasks SET body = ? WHERE uid = ?", (body, uid))
        connection.commit()
    store = SqliteStore(old.folder, full=False)
    await store.open()
    left = NEWEST_FIRST[old.schema][:-4]
    assert await ids(store, "local") == left
    await store.close()


@pytest.mark.parametrize("step", ["statement", "rows", "last"])
async def test_an_upgrade_that_fails_half_way_changes_nothing(
    old: Old, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = dump(old.path)

    def convert(connection: sqlite3.Connection) -> None:
        for conversion in conversions:
            conversion(connection)
        raise sqlite3.OperationalError("database or disk is full")

    newest = max(sqlite_schema.CONVERSIONS)
    conversions = sqlite_schema.CONVERSIONS[newest]
    with monkeypatch.context() as patch:
        if step == "rows":
            patch.setitem(sqlite_schema.CONVERSIONS, newest, (convert,))
        elif step == "statement":
            bad = f"{MIGRATIONS[-1]}; DROP TABLE no_such_table;"
            patch.setattr(sqlite_schema, "MIGRATIONS", [*MIGRATIONS[:-1], bad])
        else:
            patch.setattr(sqlite_schema, "MIGRATIONS", [*MIGRATIONS, "DROP TABLE no_such_table"])
        with pytest.raises(StoreUnusable, match=r"no such table|disk is full"):
            await SqliteStore(old.folder, full=False).open()
    assert dump(old.path) == before
    store = SqliteStore(old.folder, full=False)
    assert await store.open() == old.epoch
    assert await ids(store, "local") == NEWEST_FIRST[old.schema]
    await store.close()


# A server


@pytest.fixture
def then(old: Old, clock: ShiftedClock) -> None:
    """Turn the clock back to when the old server was killed, so that no deadline has passed since."""
    clock.shift = max(was["created"] for was in old.tasks) + 10.0 - clock.time()


@pytest.mark.usefixtures("then")
async def test_what_was_unfinished_goes_on(old: Old, front: Front) -> None:
    engine, client = await front(painter(uid="demo-painter"), painter(uid="other-painter"))
    unfinished = UNFINISHED[old.schema]
    await client.ask(action="resume", after=f"{old.epoch}:0", tasks=unfinished)
    ends = await client.ends(*unfinished)
    assert {task_id: end["type"] for task_id, end in ends.items()} == {
        task_id: "cancelled" if task_id == "cancelling" else "result" for task_id in unfinished
    }
    for task_id in unfinished:
        seqs = [message["seq"] for message in client.of(task_id) if "seq" in message]
        assert seqs == sorted(set(seqs)), "each event once and in order, those of before and those of now"
        assert seqs[0] <= old.seqs["local"] < seqs[-1]
    made = {was["task_id"]: was["params"]["n"] for was in old.tasks if was["task_id"] in unfinished}
    for task_id, end in ends.items():
        if end["type"] == "result":
            assert [each["index"] for each in end["data"]["data"]] == list(range(made[task_id]))
            assert [message["index"] for message in client.of(task_id, "output")] == list(range(made[task_id]))
    if old.schema > 1:
        assert engine.prompts.count("two slow boats") == 1, "its first output was made before"


FILE = b"\xff\xd8\xff a file"


@pytest.mark.usefixtures("then")
@pytest.mark.parametrize("old", [1, 2], indirect=True)
@pytest.mark.parametrize("done", ["nothing", "database", "folder"])
async def test_files_are_found_wherever_an_earlier_start_was_killed(
    old: Old, front: Front, stack: AsyncExitStack, done: str
) -> None:
    """Database and folder are brought up one after the other; a kill in between loses nothing, in either order."""
    made = {job["output_id"] for was in old.tasks for job in was["outputs"] if job["file"]}
    for output_id in made:
        path = old.folder / "pictures" / output_id[:2] / output_id
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(FILE + output_id.encode())
    if done == "database":
        store = SqliteStore(old.folder, full=False)
        await store.open()
        await store.close()
    elif done == "folder":
        (old.folder / "pictures").rename(old.folder / "outputs")
    _, client = await front(painter(uid="demo-painter"), painter(uid="other-painter"))
    http = await stack.enter_async_context(aiohttp.ClientSession())
    tasks = (await client.ask(action="list"))["tasks"]
    of_events = [(message["url"], owner) for owner, _, _, message in old.events if message["type"] == "output"]
    mine = {output_id for output_id, owner in of_events if owner == "local"}
    told = [output["url"] for task in tasks for output in task.get("data", [])]
    assert mine
    assert mine <= {url.rpartition("/")[2] for url in told}
    for url in told:
        output_id = url.rpartition("/")[2]
        if output_id in made:
            async with http.get(url) as response:
                assert (response.status, await response.read()) == (200, FILE + output_id.encode())
    assert {path.name for path in (old.folder / "outputs").glob("??/*")} >= made, "those of other owners, too"
    assert not (old.folder / "outputs" / "lost").exists()
    assert not (old.folder / "pictures").exists()


async def recovered(client: WireClient, after: str, **scope: Any) -> tuple[bool, list[int]]:
    """Resume; return whether nothing is missing, and the seqs of all that was replayed."""
    seen = len(client.seen)
    answer = await client.ask(action="resume", after=after, **scope)
    replayed = [message for message in client.seen[seen:] if message.get("seq") and message["type"] != "recovered"]
    assert answer["type"] == "recovered"
    return answer["recovered"], [message["seq"] for message in replayed if message["seq"] <= LAST_STORED]


@pytest.mark.usefixtures("then")
@pytest.mark.parametrize("old", [2], indirect=True)
@pytest.mark.parametrize(
    ("after", "whole"),
    [
        (0, False),
        (DELETED_TO - 1, False),
        (DELETED_TO, True),
        (40, True),
        (LAST_STORED - 1, True),
        (LAST_STORED, True),
        (LAST_SHOWN, True),
        (2_000_000, False),
    ],
)
async def test_cursors_of_before_are_good_or_told_as_gaps(old: Old, front: Front, after: int, whole: bool) -> None:
    """A cursor of a snapshot, too: nothing was stored between the newest event and that."""
    _, client = await front(painter(uid="demo-painter"), painter(uid="other-painter"))
    stored = [message["seq"] for owner, _, _, message in old.events if owner == "local"]
    told = await recovered(client, f"{old.epoch}:{after}", scope="all")
    assert told == (whole, [seq for seq in stored if seq > after] if whole else [])


@pytest.mark.usefixtures("then")
@pytest.mark.parametrize("old", [2], indirect=True)
async def test_a_cursor_of_another_database_is_a_gap(old: Old, front: Front) -> None:
    _, client = await front(painter(uid="demo-painter"), painter(uid="other-painter"))
    assert (await recovered(client, "0123456789abcdef:40", scope="all"))[0] is False
    whole, replayed = await recovered(client, f"{old.epoch}:0", tasks=["done"])
    assert (whole, replayed) == (True, [9, 14, 18, 19]), "of one task nothing was deleted"
