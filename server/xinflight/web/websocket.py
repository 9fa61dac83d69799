"""The WebSocket endpoint: a thin layer between aiohttp and a session."""

import asyncio
import math
from contextlib import suppress
from functools import partial

import structlog
from aiohttp import WSMsgType, hdrs, web

from xinflight.auth import Identity
from xinflight.clock import Clock
from xinflight.connection import Outbox, Session, SlowReader
from xinflight.errors import (
    AmbiguousCredentials,
    RateLimited,
    StorageUnavailable,
    TokenExpired,
    TooManyConnections,
    Unauthorised,
)
from xinflight.protocol import CODECS, JSON, CloseCode
from xinflight.request_limits import ClientMeter
from xinflight.web.context import HttpContext

__all__ = ["WebSocket"]

log = structlog.stdlib.get_logger(__name__)

MAX_FRAME = 2**20
"""Bytes above which the socket is closed with 1009 (RFC 6455). From `limits.frame_bytes` up to here a frame is
answered with an error."""


FLOOD_CLOSE = 1.0
"""Seconds that a flooding client has to close the connection from its side."""


class WebSocket:
    """Serve WebSocket connections."""

    def __init__(self, context: HttpContext) -> None:
        self._context = context

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Handle GET /ws/generate: serve one connection until either side closes it.

        A connection that can't be served is accepted and closed with a code, which browsers report to a page; they
        hide the status of a failed handshake.
        """
        context = self._context
        context.check_allowed(request)
        try:
            context.count(request)
            grant = await context.grant(request)
        except (Unauthorised, TokenExpired, AmbiguousCredentials):
            grant = None
        except RateLimited as error:
            # Before the upgrade: a request or a guess beyond the limit must not cost more than that.
            context.gateway.refusals.write("handshake refused", error)
            headers = {hdrs.RETRY_AFTER: str(math.ceil(error.retry_after or 0))}
            raise web.HTTPTooManyRequests(text="Too many requests.\n", headers=headers) from None
        ws = web.WebSocketResponse(
            protocols=tuple(CODECS),
            # A pong is due within half of this, so a dead peer is detected within one and a half times this.
            heartbeat=context.gateway.settings.heartbeat,
            # aiohttp answers pings that arrived together without suspending: 40,000 of them in half a second.
            autoping=False,
            # Deflate costs 1.6 times the CPU and 259 KB per socket, and can't be disabled for a single frame.
            compress=False,
            max_msg_size=MAX_FRAME,
        )
        try:
            await ws.prepare(request)
        except ConnectionError:
            # The client left during the handshake; 499 is nginx's code for it.
            return web.Response(status=499)
        try:
            # Before it is known whose it is: sockets without credentials are counted, too, until they are closed.
            with context.connection(request):
                await self._serve(request, ws, grant.identity if grant is not None else None)
        except TooManyConnections as error:
            context.gateway.refusals.write("connection refused", error)
            await ws.close(code=CloseCode.FULL, message=b"too many connections")
        return ws

    async def _serve(self, request: web.Request, ws: web.WebSocketResponse, identity: Identity | None) -> None:
        context = self._context
        offered = request.headers.get("Sec-WebSocket-Protocol")
        if identity is None:
            await ws.close(code=CloseCode.UNAUTHORISED, message=b"a token is needed")
        elif offered is not None and ws.ws_protocol is None:
            await ws.close(code=CloseCode.BAD_SUBPROTOCOL, message=", ".join(CODECS).encode())
        elif context.gateway.draining:
            await ws.close(code=CloseCode.RESTART, message=b"restarting")
        else:
            with context.gateway.limits.connection_of(identity.id):
                await self._run(request, ws, identity)

    async def _run(self, request: web.Request, ws: web.WebSocketResponse, identity: Identity) -> None:
        """Exchange messages until either side closes the connection, then release all that it used."""
        gateway = self._context.gateway
        try:
            subscriber = await gateway.subscribe(identity.id)
        except StorageUnavailable as error:
            log.error("history not read", detail=error.detail)
            await ws.close(code=CloseCode.FULL, message=b"try again")
            return

        codec = CODECS.get(ws.ws_protocol or "", JSON)
        send = partial(ws.send_frame, opcode=WSMsgType.BINARY if codec.binary else WSMsgType.TEXT)
        render_context = self._context.render_context(request)
        outbox = Outbox(send, subscriber, render_context, codec, gateway.clock, patience=gateway.settings.heartbeat)
        meter = self._context.meter(request, identity.id)
        session = Session(gateway, identity, subscriber, outbox, render_context, codec, meter)
        with structlog.contextvars.bound_contextvars(connection=session.connection_id):
            session.welcome()
            gateway.register(session)
            started = gateway.clock.monotonic()
            writer = asyncio.create_task(_write(outbox, ws, request), name=f"writer {session.connection_id}")
            try:
                frames = await _read(session, ws, meter, gateway.clock)
            finally:
                gateway.unregister(session)
                writer.cancel()
                await asyncio.gather(writer, return_exceptions=True)
                gateway.unsubscribe(subscriber)
                # The kernel would keep the socket's buffers for minutes if the peer is gone without a close.
                if not ws.closed or ws.close_code == CloseCode.ABNORMAL:
                    _abort(request)
            seconds = round(gateway.clock.monotonic() - started, 3)
            log.info("connection closed", code=ws.close_code, frames=frames, seconds=seconds)


async def _read(session: Session, ws: web.WebSocketResponse, meter: ClientMeter, clock: Clock) -> int:
    """Pass every frame to the session, and answer pings; return how many arrived. A flood closes the connection.

    A frame is not processed before the outbox has room for its reply. Once nothing is sent any more, frames are
    discarded.
    """
    frames = 0
    async for frame in ws:
        frames += 1
        if meter.flooding:
            log.info("flooding client disconnected", frames=frames)
            # It has a moment to read the code; aiohttp would read what it sends for 10 s.
            with suppress(TimeoutError):
                async with clock.timeout(FLOOD_CLOSE):
                    await ws.close(code=CloseCode.FLOOD, message=b"too many messages")
            break
        # Frames that arrived together are read without suspending. Without this, thousands of them would be processed
        # before any other connection, or the writer of this one, has a turn.
        await asyncio.sleep(0)
        if frame.type in (WSMsgType.TEXT, WSMsgType.BINARY) and await session.outbox.room():
            await session.receive(frame.data)
        elif frame.type is WSMsgType.PING and await session.outbox.room():
            await _answer_ping(ws, meter, frame.data)
    return frames


async def _answer_ping(ws: web.WebSocketResponse, meter: ClientMeter, data: bytes) -> None:
    """Answer a ping; it counts as a message, and one too many is left unanswered (RFC 6455 section 5.5.3)."""
    if meter.count() is None:
        with suppress(ConnectionError):
            await ws.pong(data)


async def _write(outbox: Outbox, ws: web.WebSocketResponse, request: web.Request) -> None:
    """Send what the outbox has; close the socket when the outbox is closed or the peer is too slow."""
    try:
        await outbox.run()
    except SlowReader:
        log.info("slow reader dropped")
        _abort(request)
    except (ConnectionError, OSError):
        log.debug("peer disconnected during a write")
    except StorageUnavailable as error:
        log.error("replay not read", detail=error.detail)
        await ws.close(code=CloseCode.FULL, message=b"try again")
    except Exception:
        # A bug: an open socket that sends nothing would leave the client waiting, while after an abort it reconnects.
        log.exception("connection broke")
        _abort(request)
    else:
        await ws.close(code=CloseCode.RESTART, message=b"restarting")


def _abort(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()
