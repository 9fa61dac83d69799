"""One client, without a transport: its requests, and what waits to be sent to it."""

from xinflight.connection.outbox import Outbox, SlowReader
from xinflight.connection.session import Session

__all__ = [
    "Outbox",
    "Session",
    "SlowReader",
]
