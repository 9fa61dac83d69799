"""Events on their way to one reader, in order: what is new of a text joins what the reader has not taken yet."""

from collections.abc import Callable, Iterable

from xinflight.model import Event, OwnerQueue, merge_deltas
from xinflight.protocol import Delta

__all__ = ["Buffer", "SentTexts", "buffer", "merged"]

Buffer = dict[tuple[str | int, ...], Event | OwnerQueue]
"""By what may be replaced or extended: the newest snapshot of an output, the deltas of a text."""


def buffer(events: Buffer, event: Event) -> int:
    """Add a stored event at the end, or to the delta before it of the same text; return by how many bytes that grows.

    Others may stand between the two: the delta stays where it is, with its seq (`merge_deltas`).
    """
    message = event.message
    if not isinstance(message, Delta):
        events[event.uid, -event.seq] = event
        return event.bytes
    key = event.uid, message.channel, message.index
    older = events.get(key)
    if not isinstance(older, Event):
        events[key] = event
        return event.bytes
    joined = merge_deltas(older, event)
    if joined is None:
        events[event.uid, -event.seq] = event
        return event.bytes
    events[key] = joined
    return joined.bytes - older.bytes


def merged(events: Iterable[Event]) -> list[Event]:
    """Return stored events in their order, with the deltas of each text as one."""
    found: Buffer = {}
    for event in events:
        buffer(found, event)
    return [event for event in found.values() if isinstance(event, Event)]


class SentTexts:
    """How long the texts of unfinished tasks are that one reader was sent, by task, then by text.

    `compacts` tells whether the deltas of a task are being deleted, or were lately.
    """

    __slots__ = ("_compacts", "_lengths")

    def __init__(self, compacts: Callable[[str], bool]) -> None:
        self._compacts = compacts
        self._lengths: dict[str, dict[tuple[str, int], int]] = {}

    def note(self, event: Event) -> bool:
        """Note that an event is to be sent; return False for text that comes after a gap.

        When a text ends, its deltas are deleted, and those may be gone that a replay was to bring, while later ones
        are buffered. Then an event with the whole text follows.
        """
        delta = event.message
        if not isinstance(delta, Delta):
            return True
        lengths = self._lengths.setdefault(event.uid, {})
        text = delta.channel, delta.index
        known = lengths.get(text)
        if known is None and delta.offset > 0 and self._compacts(event.uid):
            # How much of it the reader had when it came is not known here.
            known = lengths[text] = 0
        if known is not None and delta.offset > known:
            return False
        # A replay may bring again what was sent before.
        lengths[text] = max(known or 0, delta.offset + len(delta.text))
        return True

    def forget(self, uid: str) -> None:
        """Forget the texts of a task."""
        self._lengths.pop(uid, None)
