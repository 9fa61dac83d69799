"""What owners can do with all that is theirs: see what they used, export it, erase it, set preferences, keep presets.

`Account` is entered for all; one export or erasure of an owner runs at a time.
"""

from xinflight.account.account import Account
from xinflight.account.csv import CSV_HEADER, csv_line

__all__ = ["CSV_HEADER", "Account", "csv_line"]
