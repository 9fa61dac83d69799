"""The WebSocket endpoint: a thin layer between aiohttp and a session."""

import asyncio
import math
from contextlib import suppress

import structlog
from aiohttp import WSMsgType, hdrs, web

from xinflight.auth import Grant
from xinflight.clock import Clock
from xinflight.connection import Outbox, Session, SlowReader
from xinflight.errors import (
    AmbiguousCredentials,
    RateLimited,
    StorageUnavailable,
    TokenExpired,
    TooManyConnections,
    Unauthorised,
    XinflightError,
)
from xinflight.gateway import Gateway
from xinflight.i18n import translate
from xinflight.protocol import CODECS, JSON, CloseCode, Codec
from xinflight.render import RenderContext
from xinflight.request_limits import ClientMeter
from xinflight.web.context import HttpContext
from xinflight.web.first_message import FirstMessages
from xinflight.web.frames import FrameSender
from xinflight.web.request_ids import bind_request

__all__ = ["WebSocket"]

log = structlog.stdlib.get_logger(__name__)

MAX_FRAME = 2**20
"""Bytes above which the socket is closed with 1009 (RFC 6455). From `limits.frame_bytes` up to here a frame is
answered with an error. More if `limits.chat_bytes` is."""
FLOOD_CLOSE = 1.0
"""Seconds that a flooding client has to close the connection from its side."""
_ENDS = (WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED)


class WebSocket:
    """Serve WebSocket connections."""

    def __init__(self, context: HttpContext) -> None:
        self._context = context
        # Sockets that have not said whose they are must leave room for those that have.
        self._first_messages = FirstMessages(max(1, context.gateway.settings.connections // 4), context.gateway.clock)

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Handle GET /ws/generate: serve one connection until either side closes it.

        A connection that can't be served is accepted and closed with a code, which browsers report to a page; they
        hide the status of a failed handshake. One without credentials may send a token as its first message.
        """
        context = self._context
        bind_request(request)
        context.check_allowed(request)
        grant: Grant | XinflightError | None
        try:
            context.count(request)
            grant = await self._handshake_grant(request)
        except (Unauthorised, TokenExpired, AmbiguousCredentials) as error:
            grant = error
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
            max_msg_size=max(MAX_FRAME, self._context.gateway.settings.chat_bytes),
        )
        try:
            await ws.prepare(request)
        except ConnectionError:
            # The client left during the handshake; 499 is nginx's code for it.
            return web.Response(status=499)
        # They are sent, and would take 2 KB of every idle connection.
        ws.headers.clear()
        try:
            # Before it is known whose it is: sockets without credentials are counted, too, until they are closed.
            with context.connection(request):
                await self._serve(request, ws, grant)
        except (Unauthorised, TokenExpired, AmbiguousCredentials, RateLimited, TooManyConnections) as error:
            context.gateway.refusals.write("connection refused", error)
            await ws.close(code=_close_code(error), message=_close_reason(error))
        finally:
            _break_cycle(ws)
        return ws

    async def close_waiting(self, app: web.Application) -> None:
        """Close the connections that have not said whose they are; those of owners are closed by the gateway."""
        await self._first_messages.close()

    async def _handshake_grant(self, request: web.Request) -> Grant | None:
        """Return who the handshake is from; None if a token has to come in the first message."""
        login = self._context.login
        if request.query.get("auth") == "message" and not login.brings_token(request):
            # The client has a token that a browser can't send in a handshake. A cookie may be another owner's.
            return None
        try:
            return await self._context.grant(request)
        except (Unauthorised, TokenExpired):
            if login.brings_token(request):
                raise
            return None

    async def _serve(
        self, request: web.Request, ws: web.WebSocketResponse, grant: Grant | XinflightError | None
    ) -> None:
        context = self._context
        if isinstance(grant, XinflightError):
            raise grant
        if request.headers.get("Sec-WebSocket-Protocol") is not None and ws.ws_protocol is None:
            await ws.close(code=CloseCode.BAD_SUBPROTOCOL, message=", ".join(CODECS).encode())
        elif context.gateway.draining:
            await ws.close(code=CloseCode.RESTART, message=b"restarting")
        else:
            codec = CODECS.get(ws.ws_protocol or "", JSON)
            if grant is None:
                token = await self._first_messages.token(request, ws, codec, context.addresses.client(request))
                if token is None:
                    return
                grant = await context.login.grant_of_message(request, token)
                # A browser that sends its token in a message has none to send with the request for an image.
                render_context = context.render_context(request, signed=True)
            else:
                render_context = context.render_context(request)
            with context.gateway.limits.connection_of(grant.identity.id):
                await self._run(request, ws, codec, grant, render_context)

    async def _run(
        self,
        request: web.Request,
        ws: web.WebSocketResponse,
        codec: Codec,
        grant: Grant,
        render_context: RenderContext,
    ) -> None:
        """Exchange messages until either side closes the connection, then release all that it used."""
        gateway, identity = self._context.gateway, grant.identity
        try:
            subscriber = await gateway.subscribe(identity.id)
        except StorageUnavailable as error:
            log.error("history not read", detail=error.detail)
            await ws.close(code=CloseCode.FULL, message=b"try again")
            return

        sender = FrameSender(request, ws, binary=codec.binary)
        patience = gateway.settings.heartbeat
        outbox = Outbox(sender, subscriber, render_context, codec, gateway.clock, patience)
        meter = self._context.meter(request, identity.id)
        access = self._context.access(request, grant)
        session = Session(gateway, access, subscriber, outbox, render_context, codec, meter)
        # To the end of this request, which is the last one of its TCP connection.
        structlog.contextvars.bind_contextvars(connection=session.connection_id)
        session.welcome()
        started = gateway.clock.monotonic()
        writer = asyncio.create_task(_write(gateway, session, ws, request), name=f"writer {session.connection_id}")
        session.register()
        try:
            frames = await _read(session, ws, meter, gateway.clock)
        finally:
            session.unregister()
            # Else the connection would be aborted before the client has read why, and what to do.
            if not session.ended:
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
    # Not `async for`: that would be one more coroutine of every idle connection.
    while (frame := await ws.receive()).type not in _ENDS:
        frames += 1
        if meter.flooding:
            log.info("flooding client disconnected", owner=session.owner, frames=frames)
            # It has a moment to read the code; aiohttp would read what it sends for 10 s.
            with suppress(TimeoutError):
                async with clock.timeout(FLOOD_CLOSE):
                    await ws.close(code=CloseCode.FLOOD, message=b"too many messages")
            break
        if frame.type in (WSMsgType.TEXT, WSMsgType.BINARY) and await session.outbox.room():
            await session.receive(frame.data)
        elif frame.type is WSMsgType.PING and await session.outbox.room():
            await _answer_ping(ws, meter, frame.data)
        # Frames that arrived together are read without suspending. Without this, thousands of them would be processed
        # before any other connection, or the writer of this one, has a turn.
        await asyncio.sleep(0)
    return frames


async def _answer_ping(ws: web.WebSocketResponse, meter: ClientMeter, data: bytes) -> None:
    """Answer a ping; it counts as a message, and one too many is left unanswered (RFC 6455 section 5.5.3)."""
    if meter.count() is None:
        with suppress(ConnectionError):
            await ws.pong(data)


async def _write(gateway: Gateway, session: Session, ws: web.WebSocketResponse, request: web.Request) -> None:
    """Send what the outbox has; close the socket when the session ends or the peer is too slow."""
    try:
        await session.outbox.run()
    except SlowReader:
        gateway.telemetry.slow_reader("websocket")
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
        await ws.close(code=session.close_code, message=session.close_reason.encode())


def _close_code(error: XinflightError) -> CloseCode:
    """Return the code that tells a refused client what to do."""
    match error:
        case TokenExpired():
            return CloseCode.EXPIRED
        case TooManyConnections() | RateLimited():
            return CloseCode.FULL
        case _:
            return CloseCode.UNAUTHORISED


def _close_reason(error: XinflightError) -> bytes:
    """Return the reason of a refusal in English, at most 123 bytes (RFC 6455 section 5.5)."""
    text = translate(error.code, "en")
    return (f"{text}: {error.limit}" if error.limit else text).encode()[:123]


def _break_cycle(ws: web.WebSocketResponse) -> None:
    """Drop the tracebacks of the exception that a lost connection leaves in its response.

    Their frames refer to the response, and it to the request and its transport: without this, all of them would stay
    until a full garbage collection, which is rare.
    """
    if (error := ws.exception()) is not None:
        error.__traceback__ = error.__context__ = None


def _abort(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()
