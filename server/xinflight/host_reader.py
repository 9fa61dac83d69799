"""A loop of the host's own code over the events of one task, as one of the gateway's connections."""

from xinflight.errors import ShuttingDown
from xinflight.journal import Subscriber
from xinflight.model import Event, EventMessage
from xinflight.protocol import Notice, Queue
from xinflight.render import RenderContext, render

__all__ = ["HostReader"]


class HostReader:
    """Read the events of the task that a subscriber follows, up to its end or until the gateway closes."""

    def __init__(self, subscriber: Subscriber, render_context: RenderContext) -> None:
        self.owner = subscriber.owner
        self.lang = render_context.lang
        self.ended = False
        self._closing = False
        self._subscriber = subscriber
        self._render_context = render_context

    def notify(self, notice: Notice) -> None:
        """Do nothing: the iterator yields the events of one task only."""

    def upstream_changed(self) -> None:
        """Do nothing: what it means for the task is reported by its events."""

    def close(self) -> None:
        """End the iteration once everything that is queued now is read."""
        self._closing = True
        self._subscriber.wake.set()

    async def next_message(self) -> EventMessage | Queue:
        """Wait for the next event; that of the end sets `ended`. Raise ShuttingDown if the gateway closes first."""
        while True:
            await self._subscriber.wake.wait()
            item = await self._subscriber.next_item()
            if isinstance(item, Event):
                message = await render(item, self._render_context)
                self._render_context.written(item, message)
                self.ended = item.ends
                return message
            if isinstance(item, Queue):
                return item
            if self._closing:
                raise ShuttingDown
