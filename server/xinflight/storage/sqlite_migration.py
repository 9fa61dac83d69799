"""Bring the rows of older schemas up to date: tasks whose fields had other names, outputs that were in no table."""

import sqlite3
from typing import Any

import msgspec
from msgspec import Raw, Struct

__all__ = ["convert_tasks", "describe_tasks", "fold_labels", "list_outputs", "note_failures", "rank_tasks"]

# As schema 2 had them, whatever has become of the structs of today.


class _Picture(Struct):
    media_type: str
    width: int
    height: int
    bytes: int


class _Job(Struct):
    index: int
    seed: int
    picture_id: str
    request_id: str
    state: str
    attempt: int = 0
    stoppable: bool = True
    code: str | None = None
    step: str | None = None
    upstream: str | None = None
    picture: _Picture | None = None


class _Params(Struct):
    model: str | None = None


class _Task(Struct):
    uid: str
    owner: str
    task_id: str
    digest: str
    params: Raw
    created: float
    deadline: float
    jobs: list[_Job]
    metadata: Raw = Raw(b"\xc0")  # nil
    lang: str | None = None
    cancelled_at: float | None = None
    ended_at: float | None = None


def convert_tasks(connection: sqlite3.Connection) -> None:
    """Rewrite the tasks of schema 2 as schema 3 has them, within the transaction that is open.

    One that can't be decoded stays as it is, and is set aside when it is read.
    Tasks are in the pool of the model that they name, which is the model's own unless the settings say otherwise.
    """
    # One body at a time: with long prompts all of them are hundreds of MB.
    for (number,) in connection.execute("SELECT number FROM tasks").fetchall():
        (body,) = connection.execute("SELECT body FROM tasks WHERE number = ?", (number,)).fetchone()
        try:
            task = msgspec.msgpack.decode(body, type=_Task)
            pool = msgspec.msgpack.decode(task.params, type=_Params).model or ""
        except (msgspec.DecodeError, UnicodeDecodeError, TypeError):
            continue
        connection.execute(
            "UPDATE tasks SET body = :body, pool = :pool, "
            "size = CASE WHEN ended_at IS NULL THEN 0 ELSE bytes + length(:body) + 500 + "
            "(SELECT coalesce(sum(length(body) + 150), 0) FROM events WHERE uid = tasks.uid) END "
            "WHERE number = :number",
            {"number": number, "pool": pool, "body": msgspec.msgpack.encode(_converted(task, pool))},
        )


def _converted(task: _Task, pool: str) -> dict[str, Any]:
    # The state follows from the outputs.
    kept = {name: getattr(task, name) for name in task.__struct_fields__ if name != "jobs"}
    return {**kept, "kind": "text2image", "pool": pool, "outputs": [_converted_output(job) for job in task.jobs]}


def _converted_output(job: _Job) -> dict[str, Any]:
    new_names = {"picture_id": "output_id", "stoppable": "abortable", "picture": "file"}
    return {new_names.get(name, name): getattr(job, name) for name in job.__struct_fields__}


# As schema 3 had them.


class _OutputId(Struct):
    index: int
    output_id: str


class _Outputs(Struct):
    outputs: list[_OutputId]


def list_outputs(connection: sqlite3.Connection) -> None:
    """Fill the table of outputs from the tasks of schema 3, within the transaction that is open.

    One that can't be decoded is set aside when it is read, so nobody can be told whose its outputs are.
    """
    for number, uid in connection.execute("SELECT number, uid FROM tasks").fetchall():
        (body,) = connection.execute("SELECT body FROM tasks WHERE number = ?", (number,)).fetchone()
        try:
            outputs = msgspec.msgpack.decode(body, type=_Outputs).outputs
        except (msgspec.DecodeError, UnicodeDecodeError, TypeError):
            continue
        rows = [(output.output_id, uid, output.index) for output in outputs]
        connection.executemany("INSERT OR IGNORE INTO outputs VALUES (?, ?, ?)", rows)


def rank_tasks(connection: sqlite3.Connection) -> None:
    """Rank the unfinished tasks of schema 3 by their acceptance, within the transaction that is open.

    One that can't be decoded stays as it is.
    """
    for (number,) in connection.execute("SELECT number FROM tasks WHERE ended_at IS NULL").fetchall():
        (body,) = connection.execute("SELECT body FROM tasks WHERE number = ?", (number,)).fetchone()
        try:
            task = msgspec.msgpack.decode(body, type=dict[str, Raw])
        except (msgspec.DecodeError, UnicodeDecodeError, TypeError):
            continue
        ranked = msgspec.msgpack.encode({**task, "rank": float(number)})
        connection.execute("UPDATE tasks SET body = ? WHERE number = ?", (ranked, number))


# As schema 4 had them.


class _Described(Struct):
    kind: str
    created: float
    params: _Params


def describe_tasks(connection: sqlite3.Connection) -> None:
    """Fill the columns by which the tasks of schema 4 are found, within the transaction that is open.

    One that can't be decoded is found by none of them.
    """
    for (number,) in connection.execute("SELECT number FROM tasks").fetchall():
        (body,) = connection.execute("SELECT body FROM tasks WHERE number = ?", (number,)).fetchone()
        try:
            task = msgspec.msgpack.decode(body, type=_Described)
        except (msgspec.DecodeError, UnicodeDecodeError, TypeError):
            continue
        values = (task.created, task.kind, task.params.model, number)
        connection.execute("UPDATE tasks SET created = ?, kind = ?, model = ? WHERE number = ?", values)


# As schema 5 had them.


class _EndedOutput(Struct):
    state: str


class _Ended(Struct):
    outputs: list[_EndedOutput]


def note_failures(connection: sqlite3.Connection) -> None:
    """Note which ended tasks of schema 5 have an output that failed or expired, within the transaction that is open.

    One that can't be decoded is not found by that.
    """
    for (number,) in connection.execute("SELECT number FROM tasks WHERE ended_at IS NOT NULL").fetchall():
        (body,) = connection.execute("SELECT body FROM tasks WHERE number = ?", (number,)).fetchone()
        try:
            task = msgspec.msgpack.decode(body, type=_Ended)
        except (msgspec.DecodeError, UnicodeDecodeError, TypeError):
            continue
        if any(output.state in ("failed", "expired") for output in task.outputs):
            connection.execute("UPDATE tasks SET unsuccessful = 1 WHERE number = ?", (number,))


# As schema 7 had them.


def fold_labels(connection: sqlite3.Connection) -> None:
    """Fill the column by which the labels of schema 7 are offered, within the transaction that is open."""
    labels = connection.execute("SELECT DISTINCT label FROM labels").fetchall()
    folded = [(label.casefold(), label) for (label,) in labels]
    # By the label alone there is no index: one pass for all of them instead of one for each.
    connection.execute("CREATE TEMP TABLE folds (label TEXT PRIMARY KEY, folded TEXT NOT NULL) WITHOUT ROWID")
    connection.executemany("INSERT INTO folds (folded, label) VALUES (?, ?)", folded)
    connection.execute("UPDATE labels SET folded = (SELECT folded FROM folds WHERE folds.label = labels.label)")
    connection.execute("DROP TABLE folds")
