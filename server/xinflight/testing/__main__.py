"""Run the conformance kit against a server.

`python -m xinflight.testing ws://127.0.0.1:8000/ws/generate` runs all exchanges; docs/conformance.md describes them.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from importlib.resources import files
from typing import Any

import aiohttp
import click
import msgspec

from xinflight.protocol import CODECS, SUBPROTOCOL_JSON, SUBPROTOCOL_MSGPACK
from xinflight.testing.run import (
    SECONDS,
    Connect,
    Connection,
    ConnectionClosed,
    ExchangeFailed,
    Kit,
    Message,
    run_exchange,
)

__all__ = ["connector", "kit", "main", "run_exchange"]


def kit() -> Kit:
    """Return the kit of this version."""
    return msgspec.json.decode((files("xinflight.testing") / "conformance.json").read_bytes(), type=Kit)


class _Socket:
    """A connection over a WebSocket, in JSON or MessagePack."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, *, binary: bool) -> None:
        self._socket = socket
        self._binary = binary

    async def send(self, message: Message) -> None:
        if self._binary:
            await self._socket.send_bytes(msgspec.msgpack.encode(message))
        else:
            await self._socket.send_str(msgspec.json.encode(message).decode())

    async def send_frame(self, frame: str | bytes) -> None:
        if isinstance(frame, str):
            await self._socket.send_str(frame)
        else:
            await self._socket.send_bytes(frame)

    async def receive(self) -> Message:
        frame = await self._socket.receive()
        kind = aiohttp.WSMsgType.BINARY if self._binary else aiohttp.WSMsgType.TEXT
        if frame.type is not kind:
            raise ConnectionClosed(self._socket.close_code)
        decode = msgspec.msgpack.decode if self._binary else msgspec.json.decode
        message: Message = decode(frame.data, type=dict[str, Any])
        return message


def connector(http: aiohttp.ClientSession, url: str, subprotocol: str = SUBPROTOCOL_JSON) -> Connect:
    """Return a function that opens connections to the WebSocket of a server."""

    @asynccontextmanager
    async def connect(offer: Sequence[str] | None) -> AsyncIterator[Connection]:
        async with http.ws_connect(url, protocols=offer or [subprotocol], max_msg_size=0) as socket:
            yield _Socket(socket, binary=CODECS[subprotocol].binary)

    return connect


async def _kinds(connect: Connect) -> set[str]:
    """Return the kinds of tasks that the models of a server can do, from its `welcome`."""
    async with connect(None) as connection:
        welcome = await connection.receive()
    return {kind for model in welcome["models"] for kind in model.get("kinds", ())}


async def _run_all(url: str, subprotocol: str, only: Sequence[int], token: str | None, seconds: float) -> int:
    """Run the kit against a server, print the results, and return the number of failed exchanges."""
    found = kit()
    failed = 0
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    async with aiohttp.ClientSession(headers=headers) as http:
        connect = connector(http, url, subprotocol)
        kinds = await _kinds(connect)
        for exchange in found.exchanges:
            if (only and exchange.number not in only) or exchange.only not in (None, subprotocol):
                continue
            if exchange.needs not in (None, *kinds):
                click.echo(f"skip   {exchange.number}. {exchange.title}: no model for {exchange.needs}")
                continue
            try:
                await run_exchange(exchange, connect, always=found.always, seconds=seconds)
            except ExchangeFailed as wrong:
                failed += 1
                click.echo(f"FAILED {wrong}")
            else:
                click.echo(f"ok     {exchange.number}. {exchange.title}")
    return failed


@click.command()
@click.argument("url", metavar="ws://HOST:PORT/ws/generate")
@click.option("--only", type=int, multiple=True, metavar="N", help="Run only the exchange with this number.")
@click.option("--msgpack", is_flag=True, help="Use MessagePack instead of JSON.")
@click.option("--token", metavar="T", help="Token, if the server requires one.")
@click.option("--seconds", type=float, default=SECONDS, metavar="S", help="Timeout for a message.")
def main(url: str, only: tuple[int, ...], msgpack: bool, token: str | None, seconds: float) -> None:
    """Run the conformance kit against a server, while nobody else is using it."""
    subprotocol = SUBPROTOCOL_MSGPACK if msgpack else SUBPROTOCOL_JSON
    try:
        failed = asyncio.run(_run_all(url, subprotocol, only, token, seconds))
    except aiohttp.ClientError as error:
        raise click.ClickException(f"Can't connect to {url}: {error}") from None
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main(prog_name="python -m xinflight.testing")
