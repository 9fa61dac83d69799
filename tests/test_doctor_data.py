"""What the doctor says about the data folder."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest

from xinflight.cli import data_report
from xinflight.cli.data_report import describe_data
from xinflight.settings import Settings
from xinflight.storage import MIGRATIONS, SqliteStore


def described(folder: Path) -> tuple[str, bool]:
    lines, usable = describe_data(Settings(data_dir=str(folder)))
    assert lines[0].startswith(f"Data         {folder}: ")
    return "\n".join(lines), usable


@pytest.fixture
async def folder(tmp_path: Path) -> Path:
    store = SqliteStore(tmp_path / "data", full=False)
    await store.open()
    await store.close()
    return tmp_path / "data"


def set_schema(folder: Path, version: int) -> None:
    with closing(sqlite3.connect(folder / "xinflight.db")) as database:
        database.execute(f"PRAGMA user_version = {version}")


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    """It is not made."""
    said, usable = described(tmp_path / "a" / "b")
    assert ("new" in said, usable, "To do" in said) == (True, True, False)
    assert not (tmp_path / "a").exists()


def test_a_folder_of_this_version(folder: Path) -> None:
    said, usable = described(folder)
    assert ("free" in said, usable, "To do" in said) == (True, True, False)


def test_folders_of_other_versions(folder: Path) -> None:
    set_schema(folder, len(MIGRATIONS) - 1)
    said, usable = described(folder)
    assert ("brings it up to date" in said, "back it up" in said, usable) == (True, True, True)
    set_schema(folder, len(MIGRATIONS) + 1)
    said, usable = described(folder)
    assert ("start that one" in said, usable) == (True, False)


def test_folders_that_can_not_be_used(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        # Root may write everywhere.
        patch.setattr(os, "access", lambda path, mode: False)
        said, usable = described(folder)
        assert ("can't write" in said, usable) == (True, False)
    (folder / "xinflight.db").write_bytes(b"damaged " * 1000)
    said, usable = described(folder)
    assert ("not a database" in said, usable) == (True, False)


def test_a_disk_that_is_almost_full(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server starts, but something has to be done."""
    almost = SimpleNamespace(f_bavail=4, f_blocks=100, f_frsize=10**9)
    monkeypatch.setattr(data_report, "os", SimpleNamespace(statvfs=lambda path: almost, **_access()))
    said, usable = described(folder)
    assert ("4.0 GB of 100.0 GB free" in said, "make room" in said, usable) == (True, True, True)


def _access() -> dict[str, object]:
    return {"access": os.access, "W_OK": os.W_OK, "X_OK": os.X_OK}
