"""The command line and the standalone server."""

from xinflight.cli.collector import collect_cycles
from xinflight.cli.commands import greet, main
from xinflight.cli.log_writer import LogWriter
from xinflight.cli.logs import formatter, printable, processors
from xinflight.cli.server import serving
from xinflight.cli.tokens import read_expiry

__all__ = [
    "LogWriter",
    "collect_cycles",
    "formatter",
    "greet",
    "main",
    "printable",
    "processors",
    "read_expiry",
    "serving",
]
