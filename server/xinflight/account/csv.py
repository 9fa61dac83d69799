"""Usage as CSV (RFC 4180) that is safe to open in a spreadsheet. No I/O."""

import csv
import io

from xinflight.model import Usage

__all__ = ["CSV_HEADER", "csv_line"]

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")
"""What a cell begins with that a spreadsheet would compute (owasp.org/www-community/attacks/CSV_Injection)."""

COLUMNS = ("owner", "day", "seconds", "outputs", "bytes")


def csv_line(usage: Usage) -> bytes:
    """Return one record. An owner's id that looks like a formula gets an apostrophe in front."""
    owner = f"'{usage.owner}" if usage.owner.startswith(_FORMULA) else usage.owner
    return _line((owner, usage.day, round(usage.seconds, 3), usage.outputs, usage.bytes))


def _line(cells: tuple[object, ...]) -> bytes:
    line = io.StringIO()
    csv.writer(line, lineterminator="\r\n").writerow(cells)
    return line.getvalue().encode()


CSV_HEADER = _line(COLUMNS)
"""The first line."""
