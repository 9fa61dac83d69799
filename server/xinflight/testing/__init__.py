"""The conformance kit: hold any server of the protocol against exchanges kept as data."""

from xinflight.testing.patterns import OPERATORS, BadPattern, Mismatch, fill, match
from xinflight.testing.run import Connect, Exchange, ExchangeFailed, Line, Message, Step, run_exchange

__all__ = [
    "OPERATORS",
    "BadPattern",
    "Connect",
    "Exchange",
    "ExchangeFailed",
    "Line",
    "Message",
    "Mismatch",
    "Step",
    "fill",
    "match",
    "run_exchange",
]
