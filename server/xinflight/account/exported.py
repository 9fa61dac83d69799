"""What an export has of each task: its line in `tasks.jsonl`, and the names of its files. No I/O."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from msgspec import Struct

from xinflight.model import Marks, Output, Share, Task, TaskInput, Upload, prompt_slug, suffix_of
from xinflight.protocol import ChatContent, ChatEnd, Params, State

__all__ = [
    "README",
    "ExportedShare",
    "ExportedTask",
    "ExportedUpload",
    "Manifest",
    "exported_share",
    "exported_task",
    "exported_upload",
    "file_name",
    "upload_name",
    "utc",
]

README = """\
All that xinflight keeps of you
===============================

tasks.jsonl     your generations, one JSON object per line, newest first: parameters, metadata, times (UTC), states.
                `file` of an output is the path of its image in this archive; of a chat there are its messages in
                `content` and the answer in `text`.
outputs/        the images of the generations that had ended when this export began, in a folder per day (UTC):
                time, beginning of the prompt, seed, id of the generation, index.
uploads.jsonl   the images that you uploaded to start from, while they are kept: `file` is the path of each.
uploads/        these images.
usage.csv       what you used per day (UTC): compute seconds, images, bytes.
shares.jsonl    your share links. Their secrets are not kept, so the addresses can't be told.
preferences.json what you set for the page, if anything.
presets.json    your presets, if you saved any.
manifest.json   written last: what this archive has. If it is not there, the download is incomplete.

Generations that were started after the export began are not in it. Images that were deleted while it was made are
named in tasks.jsonl or uploads.jsonl and missing: then `files` is less than `files_listed` in manifest.json.

xinflight 保存的您的全部数据
============================

tasks.jsonl     您的生成任务，每行一个 JSON 对象，最新的在前：参数、元数据、时间（UTC）、状态。
                对话的消息在 `content` 中，回答在 `text` 中。
outputs/        导出开始时已结束的任务的图片，按日期（UTC）分文件夹。
uploads.jsonl   您上传或取用且尚未过期的图片。
uploads/        这些图片。
usage.csv       每天（UTC）的用量：计算秒数、图片数、字节数。
shares.jsonl    您的分享链接（不保存其密钥，因此无法给出地址）。
preferences.json 您为页面做的设置（如有）。
presets.json    您保存的预设（如有）。
manifest.json   最后写入：此压缩包的内容。若缺少此文件，则下载不完整。
"""


class _ExportedOutput(Struct, omit_defaults=True, kw_only=True):
    """One output of a task. `file` is its path in the archive."""

    index: int
    state: State
    seed: int
    code: str | None = None
    file: str | None = None
    text: str | None = None
    reasoning: str | None = None
    chat: ChatEnd | None = None
    media_type: str | None = None
    width: int | None = None
    height: int | None = None
    bytes: int | None = None
    starred: bool = False
    tags: list[str] = []
    deleted: bool = False


class ExportedTask(Struct, omit_defaults=True, kw_only=True):
    """One line of `tasks.jsonl`. Times are ISO 8601 in UTC. `content` are the messages and tools of a chat."""

    task_id: str
    state: State
    created: str
    deadline: str
    cancelled: str | None = None
    ended: str | None = None
    lang: str | None = None
    params: Params
    metadata: Any = None
    inputs: list[TaskInput] = []
    content: ChatContent | None = None
    outputs: list[_ExportedOutput]


class ExportedUpload(Struct, kw_only=True):
    """One line of `uploads.jsonl`. `file` is its path in the archive, times are ISO 8601 in UTC."""

    upload_id: str
    media_type: str
    width: int
    height: int
    bytes: int
    created: str
    expires: str
    file: str


class ExportedShare(Struct, omit_defaults=True, kw_only=True):
    """One line of `shares.jsonl`."""

    id: str
    task_id: str
    index: int
    created: str
    expires: str | None = None


class Manifest(Struct, kw_only=True):
    """What an archive has. `files_listed` are named in its lists, `files` are there, with so many `bytes`."""

    format: int = 1
    owner: str
    created: str
    tasks: int = 0
    files_listed: int = 0
    files: int = 0
    bytes: int = 0
    uploads: int = 0
    shares: int = 0


def exported_task(
    task: Task, marks: Sequence[Marks], content: ChatContent | None, *, with_files: bool
) -> ExportedTask:
    """Return the line of a task; `with_files` tells whether its files are in the archive."""
    marked = {each.index: each for each in marks}
    return ExportedTask(
        task_id=task.task_id,
        state=task.state,
        created=utc(task.created),
        deadline=utc(task.deadline),
        cancelled=None if task.cancelled_at is None else utc(task.cancelled_at),
        ended=None if task.ended_at is None else utc(task.ended_at),
        lang=task.lang,
        params=task.params,
        metadata=task.metadata,
        inputs=task.inputs,
        content=content,
        outputs=[_exported_output(task, output, marked.get(output.index), with_files) for output in task.outputs],
    )


def _exported_output(task: Task, output: Output, marks: Marks | None, with_file: bool) -> _ExportedOutput:
    if output.deleted:
        return _ExportedOutput(index=output.index, state=output.state, seed=output.seed, deleted=True)
    exported = _ExportedOutput(
        index=output.index,
        state=output.state,
        seed=output.seed,
        code=output.code,
        text=output.text,
        reasoning=output.reasoning,
        chat=output.chat,
    )
    if marks is not None:
        exported.starred, exported.tags = marks.starred, marks.tags
    if with_file and output.state is State.COMPLETED and output.file is not None:
        exported.file = file_name(task, output)
        exported.media_type = output.file.media_type
        exported.width, exported.height = output.file.width, output.file.height
        exported.bytes = output.file.bytes
    return exported


def exported_upload(upload: Upload) -> ExportedUpload:
    """Return the line of an upload."""
    return ExportedUpload(
        upload_id=upload.upload_id,
        media_type=upload.media_type,
        width=upload.width,
        height=upload.height,
        bytes=upload.bytes,
        created=utc(upload.created),
        expires=utc(upload.expires),
        file=upload_name(upload),
    )


def upload_name(upload: Upload) -> str:
    """Return the path of an upload in the archive."""
    return f"uploads/{upload.upload_id}{suffix_of(upload.media_type)}"


def exported_share(share: Share) -> ExportedShare:
    """Return the line of a share."""
    expires = None if share.expires is None else utc(share.expires)
    return ExportedShare(
        id=share.id, task_id=share.task_id, index=share.index, created=utc(share.created), expires=expires
    )


def file_name(task: Task, output: Output) -> str:
    """Return the path of a completed output in the archive: when it was asked for, and what for."""
    assert output.file is not None  # of completed outputs only
    moment = datetime.fromtimestamp(task.created, UTC)
    name = f"{moment:%H%M%S}_{prompt_slug(task)}_seed-{output.seed}_{task.uid}_{output.index}"
    return f"outputs/{moment:%Y-%m-%d}/{name}{suffix_of(output.file.media_type)}"


def utc(time: float) -> str:
    """Return a Unix time as ISO 8601 in UTC, with milliseconds."""
    return datetime.fromtimestamp(time, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
