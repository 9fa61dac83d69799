"""Cursors of pages: each stands for one row, and none tells its number."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xinflight.storage.page_cursors import PageCursors

CURSORS = PageCursors()


@given(st.integers(0, 2**52 - 1))
def test_a_cursor_stands_for_its_row(number: int) -> None:
    cursor = CURSORS.encode(number)
    assert CURSORS.decode(cursor) == number
    assert cursor.isdecimal()
    assert len(cursor) <= 16


@pytest.mark.parametrize("cursor", ["0", "1", "9" * 16, "0" * 16])
def test_any_digits_stand_for_some_row(cursor: str) -> None:
    assert 0 <= CURSORS.decode(cursor) < 2**52


def test_cursors_tell_neither_a_number_nor_a_distance() -> None:
    """Rows next to each other have cursors all over the range, and others in another process."""
    cursors = [int(CURSORS.encode(number)) for number in range(1, 1001)]
    assert len(set(cursors)) == 1000
    assert min(abs(one - other) for one, other in pairwise(cursors)) > 2**20
    assert sum(cursor > 2**51 for cursor in cursors) == pytest.approx(500, abs=100)
    assert PageCursors().encode(1) != CURSORS.encode(1)
