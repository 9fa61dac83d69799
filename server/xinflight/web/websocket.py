"""The WebSocket: a thin handler around a session."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog
from aiohttp import WSMsgType, web

from xinflight.connection import Outbox, Session, SlowReader
from xinflight.errors import StorageUnavailable
from xinflight.protocol import CODECS, JSON, CloseCode
from xinflight.web.context import HttpContext

__all__ = ["ws_handler"]

log = structlog.stdlib.get_logger(__name__)

MAX_FRAME = 2**20
"""Bytes above which RFC 6455's 1009 closes the socket; from the soft limit to here an error is answered."""


def ws_handler(door: HttpContext) -> Callable[[web.Request], Awaitable[web.WebSocketResponse]]:
    """Return the handler of one mounted gateway."""

    async def handle(request: web.Request) -> web.WebSocketResponse:
        door.check(request)
        identity = await door.authenticate(request, None)
        ws = web.WebSocketResponse(
            protocols=tuple(CODECS),
            # The pong is due within half of this, so a dead peer is found within one and a half.
            heartbeat=door.gateway.settings.heartbeat,
            # Deflate costs 1.6 times the CPU and 259 KB a socket, and can't be left out for one frame.
            compress=False,
            max_msg_size=MAX_FRAME,
        )
        await ws.prepare(request)
        offered = request.headers.get("Sec-WebSocket-Protocol")
        if identity is None:
            await ws.close(code=CloseCode.UNAUTHORISED, message=b"a token is needed")
        elif offered is not None and ws.ws_protocol is None:
            await ws.close(code=CloseCode.BAD_SUBPROTOCOL, message=", ".join(CODECS).encode())
        elif door.gateway.draining:
            await ws.close(code=CloseCode.RESTART, message=b"restarting")
        elif door.gateway.full:
            await ws.close(code=CloseCode.FULL, message=b"too many connections")
        else:
            await _speak(door, request, ws, identity.id)
        return ws

    return handle


async def _speak(door: HttpContext, request: web.Request, ws: web.WebSocketResponse, owner: str) -> None:
    """Serve one connection until either side ends it; leaves nothing behind."""
    gateway = door.gateway
    context = door.render_context(request)
    try:
        subscriber = await gateway.subscribe(owner)
    except StorageUnavailable as error:
        log.error("history not read", detail=error.detail)
        await ws.close(code=CloseCode.FULL, message=b"try again")
        return

    codec = CODECS.get(ws.ws_protocol or "", JSON)
    kind = WSMsgType.BINARY if codec.binary else WSMsgType.TEXT

    async def send(frame: bytes) -> None:
        await ws.send_frame(frame, kind)

    outbox = Outbox(send, subscriber, context, codec, gateway.clock, patience=gateway.settings.heartbeat)
    session = Session(gateway, subscriber, outbox, context, codec)
    with structlog.contextvars.bound_contextvars(connection=session.connection_id):
        session.welcome()
        gateway.joined(session)
        started = gateway.clock.monotonic()
        writer = asyncio.create_task(_write(outbox, ws, request), name=f"writer {session.connection_id}")
        try:
            frames = await _read(session, ws)
        finally:
            gateway.left(session)
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)
            gateway.unsubscribe(subscriber)
            # A peer that is gone would hold the buffers of the socket for long.
            if not ws.closed or ws.close_code == CloseCode.ABNORMAL:
                _abort(request)
        seconds = round(gateway.clock.monotonic() - started, 3)
        log.info("connection closed", code=ws.close_code, frames=frames, seconds=seconds)


async def _read(session: Session, ws: web.WebSocketResponse) -> int:
    """Hand every frame to the session; return how many there were.

    A frame waits until there is room for its answer. Frames that come when nothing is sent any more are dropped.
    """
    frames = 0
    async for frame in ws:
        frames += 1
        # Frames that have arrived together are read without waiting: the loop must turn between them, or thousands
        # would be acted on before anybody else, or the writer of this very connection, has a turn.
        await asyncio.sleep(0)
        if frame.type in (WSMsgType.TEXT, WSMsgType.BINARY) and await session.outbox.room():
            await session.receive(frame.data)
    return frames


async def _write(outbox: Outbox, ws: web.WebSocketResponse, request: web.Request) -> None:
    """Send what the outbox has; when it is closed or the peer too slow, close the socket."""
    try:
        await outbox.run()
    except SlowReader:
        log.info("slow reader dropped")
        _abort(request)
    except (ConnectionError, OSError):
        log.debug("peer went while it was written to")
    except StorageUnavailable as error:
        log.error("replay not read", detail=error.detail)
        await ws.close(code=CloseCode.FULL, message=b"try again")
    except Exception:
        # A bug of ours: a socket that stays open and says nothing would be worse than one that comes back.
        log.exception("connection broke")
        _abort(request)
    else:
        await ws.close(code=CloseCode.RESTART, message=b"restarting")


def _abort(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()
