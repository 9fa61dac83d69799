"""A session without sockets: frames of one client, whatever they are made of, to the parts of a scripted gateway."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from scripted_gateway import ScriptedGateway
from xinflight.auth import Grant, Identity, Proof
from xinflight.clock import Clock
from xinflight.connection import Access, Outbox, Session
from xinflight.errors import Unauthorised
from xinflight.gateway import Gateway
from xinflight.journal import MemoryBus
from xinflight.protocol import Codec
from xinflight.request_limits import ClientMeter


def put_together(parts: ScriptedGateway) -> Gateway:
    """Return a gateway of these parts; opening and closing them stays theirs."""
    gateway = Gateway(parts.settings, parts.store, MemoryBus(), parts.blobs, parts.clock)
    gateway.upstream, gateway.journal = parts.upstream, parts.journal
    gateway._front, gateway._pools, gateway._retention = parts.front, parts.pools, parts.retention
    return gateway


def access_of(owner: str, clock: Clock) -> Access:
    """Return the access of somebody whose credentials neither expire nor can be renewed."""

    async def refuse(token: str) -> Grant:
        raise Unauthorised

    grant = Grant(identity=Identity(id=owner), proof=Proof(owner=owner))
    return Access(grant, refuse, lambda grant, callback: lambda: None, clock)


class _Sender:
    def __init__(self, sent: list[bytes]) -> None:
        self._sent = sent

    def takes(self, size: int) -> bool:
        return True

    async def send(self, messages: Sequence[bytes]) -> None:
        self._sent.extend(messages)


@asynccontextmanager
async def conversation(parts: ScriptedGateway, codec: Codec) -> AsyncIterator[tuple[Session, list[bytes]]]:
    """Give a session of "ann" and what it sends; at the end of the block all that waits is sent."""
    gateway = put_together(parts)
    sent: list[bytes] = []
    subscriber = await gateway.subscribe("ann")
    context = gateway.render_context("en", str)
    outbox = Outbox(_Sender(sent), subscriber, context, codec, parts.clock, patience=5.0)
    writer = asyncio.create_task(outbox.run(), name="writer")
    meter = ClientMeter(gateway.limits, "ann", None, parts.clock)
    yield Session(gateway, access_of("ann", parts.clock), subscriber, outbox, context, codec, meter), sent
    outbox.close()
    await writer
    gateway.unsubscribe(subscriber)
