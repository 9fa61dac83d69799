"""A loop of the host's own code over the events of one task, as one of the gateway's connections."""

import msgspec

from xinflight.errors import ShuttingDown, WrongShape
from xinflight.journal import Subscriber
from xinflight.model import Event, EventMessage
from xinflight.protocol import JSON, Chat, Generate, Notice, Queue
from xinflight.render import RenderContext, render

__all__ = ["HostReader", "encode_request"]


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


def encode_request(request: Generate | Chat) -> bytes:
    """Encode what the host asks for; raise WrongShape for a text with half of a surrogate pair."""
    try:
        return JSON.encode(request)
    except UnicodeEncodeError:
        raise WrongShape(field=_not_unicode(request), limit="Unicode text") from None


def _not_unicode(request: Generate | Chat) -> str | None:
    """Return the first field whose text can't be encoded."""
    for field in request.__struct_fields__:
        try:
            msgspec.json.encode(getattr(request, field))
        except UnicodeEncodeError:
            return field
    return None
