"""A WebSocket without credentials: a token must be its first message, within bounds of time, bytes and number."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import msgspec
import pytest
from aiohttp import web

from clients import FakeClock, WireClient, eventually
from guarded import Guarded, guarded_server, outcome
from xinflight.errors import TooManyConnections
from xinflight.render import RenderContext
from xinflight.web import first_message
from xinflight.web.context import HttpContext


@pytest.fixture
async def guarded(tmp_path: Path) -> AsyncIterator[Guarded]:
    """Give a server that asks for a token."""
    async with guarded_server(tmp_path, connections=8) as guarded:
        yield guarded


async def test_the_token_is_followed_by_the_welcome(guarded: Guarded) -> None:
    """No header and no cookie: a token in the first frame, and what comes behind it is not lost."""
    token = await guarded.token("ann")
    async with aiohttp.ClientSession() as http, http.ws_connect(f"{guarded.url}ws/generate") as ws:
        await ws.send_json({"action": "authenticate", "token": token})
        await ws.send_json({"action": "ping", "nonce": "x" * 60})
        await ws.send_json({"action": "list", "x": "y" * 50_000})
        answers = [await ws.receive_json() for _ in range(3)]
    assert [answer["type"] for answer in answers] == ["welcome", "pong", "tasks"]
    assert answers[0]["owner"] == "ann"


async def test_the_token_in_message_pack(guarded: Guarded) -> None:
    protocols = ("xinflight.v1.msgpack",)
    async with (
        aiohttp.ClientSession() as http,
        http.ws_connect(f"{guarded.url}ws/generate", protocols=protocols) as ws,
    ):
        await ws.send_bytes(msgspec.msgpack.encode({"action": "authenticate", "token": await guarded.token("ann")}))
        assert msgspec.msgpack.decode(await ws.receive_bytes())["owner"] == "ann"


@pytest.mark.parametrize(
    ("frame", "code", "why"),
    [
        ('{"action":"authenticate","token":"wrong"}', 4401, "A valid token is required"),
        ('{"action":"authenticate","token":""}', 4401, "a token as the first message"),
        ('{"action":"authenticate"}', 4401, "a token as the first message"),
        ('{"action":"generate","prompt":"a"}', 4401, "a token as the first message"),
        ("hello", 4401, "a token as the first message"),
        (b"\xff\x00", 4401, "a token as the first message"),
        (json.dumps({"action": "authenticate", "token": "x", "y": "z" * 8192}), 4401, "at most 8192 bytes"),
        ("x" * 1_000_000, 4401, "within 10 s"),
        (None, 4401, "within 10 s"),
    ],
)
async def test_anything_else_is_closed(guarded: Guarded, frame: str | bytes | None, code: int, why: str) -> None:
    """Nothing is started, and no session: a frame without end is not even read to its end."""
    async with aiohttp.ClientSession() as http, http.ws_connect(f"{guarded.url}ws/generate") as ws:
        sending = asyncio.create_task(_send(ws, frame), name="client")
        if why == "within 10 s":
            # The socket waits, one timer for it and one or two of the heartbeat; nothing else knows of it.
            await asyncio.sleep(0.1)
            await guarded.clock.advance(9.9)
            assert not ws.closed
            await guarded.clock.advance(0.2)
        closed = await outcome(ws)
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
    assert closed[0] == code
    assert why in closed[1]
    assert not guarded.gateway.connections.count


async def _send(ws: aiohttp.ClientWebSocketResponse, frame: str | bytes | None) -> None:
    if isinstance(frame, bytes):
        await ws.send_bytes(frame)
    elif frame is not None:
        await ws.send_str(frame)


async def test_an_expired_token_is_told_as_one(guarded: Guarded) -> None:
    """4402: a client with a token function gets a fresh one; over HTTP the code says the same."""
    token = await guarded.token("ann", lifetime=10)
    guarded.clock.now += 11
    async with aiohttp.ClientSession() as http:
        async with http.ws_connect(f"{guarded.url}ws/generate") as ws:
            await ws.send_json({"action": "authenticate", "token": token})
            assert (await outcome(ws))[0] == 4402
        headers = {"Authorization": f"Bearer {token}"}
        async with http.ws_connect(f"{guarded.url}ws/generate", headers=headers) as ws:
            assert (await outcome(ws))[0] == 4402


async def test_a_cookie_does_not_decide_where_a_message_will(guarded: Guarded) -> None:
    """A browser with ann's cookie on a page that has bob's token: with `auth=message` the cookie is ignored."""
    page = {"Origin": guarded.url.rstrip("/")}
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(cookie_jar=jar, headers=page) as http:
        async with http.post(f"{guarded.url}login", data=await guarded.token("ann")) as response:
            assert response.status == 204
        async with http.ws_connect(f"{guarded.url}ws/generate") as ws:
            assert (await ws.receive_json())["owner"] == "ann"
        async with http.ws_connect(f"{guarded.url}ws/generate?auth=message") as ws:
            await ws.send_json({"action": "authenticate", "token": await guarded.token("bob")})
            assert (await ws.receive_json())["owner"] == "bob"


async def test_the_origin_is_still_checked(guarded: Guarded) -> None:
    """A foreign page that has somebody's token must not use it from a browser."""
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        async with (
            aiohttp.ClientSession(headers={"Origin": "https://evil.example"}) as http,
            http.ws_connect(f"{guarded.url}ws/generate"),
        ):
            pass
    assert refused.value.status == 403


async def test_images_are_signed_for_who_sends_a_message(guarded: Guarded, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such a browser has no cookie for an `<img>`; with a token in a header the addresses are plain."""
    seen: list[bool] = []
    render_context = HttpContext.render_context

    def spy(context: HttpContext, request: web.Request, *, signed: bool = False) -> RenderContext:
        seen.append(signed)
        return render_context(context, request, signed=signed)

    monkeypatch.setattr(HttpContext, "render_context", spy)
    token = await guarded.token("ann")
    async with aiohttp.ClientSession() as http, http.ws_connect(f"{guarded.url}ws/generate") as ws:
        await ws.send_json({"action": "authenticate", "token": token})
        await ws.receive_json()
    async with WireClient.connect(guarded.url, headers={"Authorization": f"Bearer {token}"}):
        pass
    assert seen == [True, False]


async def test_few_sockets_wait_for_their_token(guarded: Guarded) -> None:
    """A quarter of all connections, and none of those is left when they are closed."""
    token = await guarded.token("ann")
    async with aiohttp.ClientSession() as http:
        waiting = [await http.ws_connect(f"{guarded.url}ws/generate") for _ in range(2)]
        await asyncio.sleep(0.05)
        async with http.ws_connect(f"{guarded.url}ws/generate") as ws:
            assert (await outcome(ws))[0] == 1013
        async with WireClient.connect(guarded.url, headers={"Authorization": f"Bearer {token}"}):
            pass
        for ws in waiting:
            await ws.close()
        await eventually(lambda: not guarded.gateway.limits._open)
        async with http.ws_connect(f"{guarded.url}ws/generate") as ws:
            await ws.send_json({"action": "authenticate", "token": token})
            assert (await ws.receive_json())["owner"] == "ann"


async def test_a_server_that_stops_does_not_wait_for_tokens(tmp_path: Path) -> None:
    """Such sockets are told to come back, like all others; no session has to end for that."""
    async with aiohttp.ClientSession() as http:
        async with guarded_server(tmp_path) as guarded:
            ws = await http.ws_connect(f"{guarded.url}ws/generate")
            await eventually(lambda: guarded.gateway.limits._open.total() == 1)
            await asyncio.sleep(0.05)
        assert await outcome(ws) == (1012, "restarting")
        await ws.close()


async def test_one_address_has_a_share_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind a proxy that names the addresses of its clients."""
    monkeypatch.setattr(first_message, "PER_ADDRESS", 1)
    waiting = first_message.FirstMessages(100, FakeClock())
    with waiting._counted("192.0.2.1"), waiting._counted("192.0.2.2"), waiting._counted(None), waiting._counted(None):
        with pytest.raises(TooManyConnections), waiting._counted("192.0.2.1"):
            pass
    with waiting._counted("192.0.2.1"):
        pass


async def test_no_log_has_the_token(guarded: Guarded, capfd: pytest.CaptureFixture[str]) -> None:
    """Neither a valid one nor a wrong one, nor one in a frame that can't be decoded."""
    token = await guarded.token("ann")
    async with aiohttp.ClientSession() as http:
        for frame in (
            json.dumps({"action": "authenticate", "token": token}),
            json.dumps({"action": "authenticate", "token": "wrong-secret"}),
            json.dumps({"action": "authenticate", "token": 7, "secret": "wrong-secret"}),
        ):
            async with http.ws_connect(f"{guarded.url}ws/generate") as ws:
                await ws.send_str(frame)
                await ws.receive()
    out, err = capfd.readouterr()
    assert token not in out + err
    assert "wrong-secret" not in out + err
    assert "log-in failed" in out + err
