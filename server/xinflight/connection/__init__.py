"""One client connection, independent of the transport: its requests, and its queue of outgoing messages."""

from xinflight.connection.access import EXPIRES_SOON, Access, AccessHost
from xinflight.connection.outbox import Outbox, SlowReader
from xinflight.connection.session import Session

__all__ = [
    "EXPIRES_SOON",
    "Access",
    "AccessHost",
    "Outbox",
    "Session",
    "SlowReader",
]
