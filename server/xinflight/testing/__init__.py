"""The conformance kit: tests any server of the protocol with exchanges that are stored as data."""

from xinflight.testing.patterns import OPERATORS, BadPattern, Mismatch, fill, match
from xinflight.testing.run import Connect, Connection, Exchange, ExchangeFailed, Message, Step, run_exchange

__all__ = [
    "OPERATORS",
    "BadPattern",
    "Connect",
    "Connection",
    "Exchange",
    "ExchangeFailed",
    "Message",
    "Mismatch",
    "Step",
    "fill",
    "match",
    "run_exchange",
]
