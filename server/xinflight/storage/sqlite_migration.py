"""Rewrite what older schemas stored: tasks whose fields had other names."""

import sqlite3
from typing import Any

import msgspec

__all__ = ["convert_tasks"]


def convert_tasks(connection: sqlite3.Connection) -> None:
    """Rewrite the tasks of schema 2 as schema 3 has them.

    One that can't be decoded stays as it is, and is set aside when it is read.
    Unfinished tasks wait in the pool of the model that they name, which is the model's own unless the settings say
    otherwise.
    """
    rows = connection.execute("SELECT uid, body FROM tasks").fetchall()
    for uid, body in rows:
        try:
            task = _converted(msgspec.msgpack.decode(body, type=dict[str, Any]))
        except (msgspec.DecodeError, KeyError, TypeError):
            continue
        connection.execute(
            "UPDATE tasks SET body = ?, pool = ? WHERE uid = ?", (msgspec.msgpack.encode(task), task["pool"], uid)
        )


def _converted(task: dict[str, Any]) -> dict[str, Any]:
    outputs = [_converted_output(job) for job in task.pop("jobs")]
    # The state follows from the outputs.
    del task["state"]
    return {**task, "kind": "text2image", "pool": task["params"].get("model") or "", "outputs": outputs}


def _converted_output(job: dict[str, Any]) -> dict[str, Any]:
    picture = job.pop("picture", None)
    file = None
    if picture is not None:
        file = {name: picture[name] for name in ("media_type", "width", "height", "bytes")}
    output_id, abortable = job.pop("picture_id"), job.pop("stoppable", True)
    return {**job, "output_id": output_id, "abortable": abortable, "file": file}
