"""Rewrite what older schemas stored: tasks whose fields had other names."""

import sqlite3
from typing import Any

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

__all__ = ["convert_tasks"]

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


class _Task(Struct):
    uid: str
    owner: str
    task_id: str
    digest: str
    params: dict[str, Any]
    created: float
    deadline: float
    jobs: list[_Job]
    metadata: Raw | UnsetType = UNSET
    lang: str | None = None
    cancelled_at: float | None = None
    ended_at: float | None = None


def convert_tasks(connection: sqlite3.Connection) -> None:
    """Rewrite the tasks of schema 2 as schema 3 has them, within the transaction that is open.

    One that can't be decoded stays as it is, and is set aside when it is read.
    Tasks are in the pool of the model that they name, which is the model's own unless the settings say otherwise.
    """
    rows = connection.execute("SELECT uid, body FROM tasks").fetchall()
    for uid, body in rows:
        try:
            task = msgspec.msgpack.decode(body, type=_Task)
        except (msgspec.DecodeError, UnicodeDecodeError, TypeError):
            continue
        pool = task.params.get("model") or ""
        connection.execute(
            "UPDATE tasks SET body = :body, pool = :pool, "
            "size = CASE WHEN ended_at IS NULL THEN 0 ELSE size + length(:body) - length(body) END WHERE uid = :uid",
            {"uid": uid, "pool": pool, "body": msgspec.msgpack.encode(_converted(task, pool))},
        )


def _converted(task: _Task, pool: str) -> dict[str, Any]:
    # The state follows from the outputs.
    kept = {name: getattr(task, name) for name in task.__struct_fields__ if name != "jobs"}
    return {**kept, "kind": "text2image", "pool": pool, "outputs": [_converted_output(job) for job in task.jobs]}


def _converted_output(job: _Job) -> dict[str, Any]:
    new_names = {"picture_id": "output_id", "stoppable": "abortable", "picture": "file"}
    return {new_names.get(name, name): getattr(job, name) for name in job.__struct_fields__}
