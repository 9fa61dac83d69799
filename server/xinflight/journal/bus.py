"""The contract between those who run tasks and those who watch them, in one process or in several.

`bus_<impl>.py` implement it; one conformance suite holds them to this page.
"""

from collections.abc import Awaitable, Callable
from typing import Protocol

from msgspec import Struct

from xinflight.storage import Event

__all__ = ["Bus", "CancelCommand", "Handler", "Listener"]


class Listener(Protocol):
    """Somebody who is told of events. Must not wait."""

    def push(self, event: Event) -> None:
        """Take an event."""


class CancelCommand(Struct, frozen=True, kw_only=True):
    """Cancel a task, or one picture of it, wherever it runs."""

    owner: str
    task_id: str
    index: int | None = None


Handler = Callable[[CancelCommand], Awaitable[bool]]
"""Carry out a command; return False when the task does not run here."""


class Bus(Protocol):
    """Carry events, commands and model slots. Calls come from one event loop."""

    def publish(self, event: Event) -> None:
        """Tell everybody who listens to the event's task or owner, in the order of the calls."""

    def attach(self, listener: Listener, owner: str, uid: str | None) -> None:
        """Tell a listener of one task, or with `uid` None of all of an owner's, from now on."""

    def detach(self, listener: Listener, owner: str, uid: str | None) -> None:
        """Stop that; nothing happens when it did not listen."""

    def serve(self, handler: Handler) -> None:
        """Carry out commands for the tasks that run here."""

    async def command(self, command: CancelCommand) -> bool:
        """Send a command to whoever runs its task; return False when nobody does."""

    async def take_slot(self, model: str, slots: int) -> None:
        """Wait until fewer than `slots` jobs of all processes are at a model, then count one more."""

    async def give_slot(self, model: str) -> None:
        """Count one less."""
