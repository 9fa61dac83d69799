"""The contract between those who run tasks and those who watch them, in one process or in several.

`bus_<implementation>.py` implement it; one conformance suite holds them to this page.
"""

from typing import Protocol

from xinflight.model import Event, OwnerQueue

__all__ = ["Bus", "Listener"]


class Listener(Protocol):
    """Whoever is told of events."""

    def deliver(self, event: Event | OwnerQueue) -> None:
        """Accept an event or a snapshot; must not wait."""


class Bus(Protocol):
    """Carry events and snapshots to their listeners. Calls come from one event loop."""

    def publish(self, event: Event | OwnerQueue) -> None:
        """Deliver an event to every listener of its task or owner, in the order of the calls.

        An owner's queue has the uid of no task; those who attach to it receive it as those of the owner do.
        """

    def attach(self, listener: Listener, owner: str, uid: str | None) -> None:
        """Deliver the events of one task to a listener, or with `uid` None those of all of an owner's tasks."""

    def detach(self, listener: Listener, owner: str, uid: str | None) -> None:
        """Stop that; nothing happens when the listener was not attached."""
