"""Fixtures that give every kind of the table its turn."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from kind_table import ROWS, Home, Life, Row, home, lives


@pytest.fixture
def nothing_unhandled(caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]) -> Iterator[None]:
    """Fail a test whose server logged an error, in its own log or in that of aiohttp."""
    yield
    assert [record for record in caplog.get_records("call") if record.levelname == "ERROR"] == []
    assert [line for line in capsys.readouterr().out.splitlines() if "[error" in line] == []


@pytest.fixture(params=lives(ROWS))
async def place(request: pytest.FixtureRequest, tmp_path: Path, nothing_unhandled: None) -> AsyncIterator[Home]:
    """Give each kind in turn a home."""
    row: Row = request.param
    async with home(row, tmp_path / "data") as made:
        yield made


@pytest.fixture
async def life(place: Home) -> AsyncIterator[Life]:
    """Give a running server of the home."""
    async with place.life() as running:
        yield running
