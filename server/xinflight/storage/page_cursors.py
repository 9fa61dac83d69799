"""Cursors of pages that tell nothing: rows are numbered over all owners, so numbers would tell of others."""

import hmac
import secrets

__all__ = ["PageCursors"]

HALF = 26
MASK = (1 << HALF) - 1
ROUNDS = 4
"""A Feistel network of four rounds is a strong pseudorandom permutation (Luby and Rackoff 1988)."""


class PageCursors:
    """Permute the numbers of rows, below 2^52, with a key of this process.

    A cursor from before a restart stands for another number, almost always one above all rows: for the first page.
    """

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)

    def encode(self, number: int) -> str:
        """Return the cursor for a row: at most 16 digits."""
        left, right = number >> HALF, number & MASK
        for turn in range(ROUNDS):
            left, right = right, left ^ self._mixed(turn, right)
        return str(left << HALF | right)

    def decode(self, cursor: str) -> int:
        """Return the number of the row that a cursor stands for; any digits stand for some number."""
        number = int(cursor) % (1 << 2 * HALF)
        left, right = number >> HALF, number & MASK
        for turn in reversed(range(ROUNDS)):
            left, right = right ^ self._mixed(turn, left), left
        return left << HALF | right

    def _mixed(self, turn: int, half: int) -> int:
        digest = hmac.digest(self._key, b"%d %d" % (turn, half), "sha256")
        return int.from_bytes(digest[:4], "big") & MASK
