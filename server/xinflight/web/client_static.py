"""Where the browser's files are."""

from importlib.resources import files
from pathlib import Path

__all__ = ["CLIENT_STATIC"]

CLIENT_STATIC = Path(str(files("xinflight.client_static")))
"""The folder of the browser's files, in a checkout as in an installed wheel."""
