"""Names under which people keep the files of outputs: when, what for, and with which seed. No I/O."""

import mimetypes
import unicodedata
from datetime import UTC, datetime
from functools import lru_cache

from xinflight.model.task import Output, Task

__all__ = ["download_name", "prompt_slug", "suffix_of"]

SLUG_LENGTH = 40
"""Characters of a prompt in the name of a file: with four bytes each, the name fits every file system."""


def download_name(task: Task, output: Output) -> str:
    """Return the name of a completed output's file: day of acceptance (UTC), beginning of the prompt, seed."""
    assert output.file is not None  # of completed outputs only
    day = f"{datetime.fromtimestamp(task.created, UTC):%Y-%m-%d}"
    return f"{day}_{prompt_slug(task)}_seed-{output.seed}{suffix_of(output.file.media_type)}"


def prompt_slug(task: Task) -> str:
    """Return the beginning of a prompt as part of a file name: letters and digits of any script, parted by dashes.

    Nothing else of it may get into a path: no separators, no dots, no control or direction characters.
    """
    text = unicodedata.normalize("NFC", task.params.prompt[: 4 * SLUG_LENGTH])
    kept = "".join(char if char.isalnum() or unicodedata.category(char) in ("Mn", "Mc") else " " for char in text)
    return "-".join(kept.split())[:SLUG_LENGTH].strip("-") or ("video" if task.kind == "video" else "image")


@lru_cache(maxsize=32)
def suffix_of(media_type: str) -> str:
    """Return how the name of a file of a media type ends, empty for an unknown one."""
    return mimetypes.guess_extension(media_type) or ""
