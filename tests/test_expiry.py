"""Credentials that expire, are renewed or revoked while a connection is open, over every transport."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiohttp
import pytest
from aiohttp import WSMsgType, web

from clients import FakeClock, eventually, hosted
from guarded import NOBODY, Guarded, guarded_server, outcome
from xinflight.app import setup
from xinflight.auth import Grant, Identity, Proof
from xinflight.connection import Access, Session
from xinflight.errors import Forbidden, TokenExpired, Unauthorised
from xinflight.protocol import Pong
from xinflight.settings import Settings


@pytest.fixture
async def guarded(tmp_path: Path) -> AsyncIterator[Guarded]:
    """Give a server that asks for a token."""
    async with guarded_server(tmp_path) as guarded:
        yield guarded


class Host:
    """A connection that notes what it is told."""

    def __init__(self) -> None:
        self.told: list[float | str] = []

    def access_expires(self, seconds: float) -> None:
        self.told.append(round(seconds, 3))

    def access_ended(self, error: TokenExpired | Unauthorised) -> None:
        self.told.append(error.code)


class Tokens:
    """Grants by token, and their revocation."""

    def __init__(self, **grants: Grant) -> None:
        self.grants = grants
        self.watching: list[Callable[[], None]] = []

    async def authenticate(self, token: str) -> Grant:
        if token not in self.grants:
            raise Unauthorised
        return self.grants[token]

    def on_revoked(self, grant: Grant, callback: Callable[[], None]) -> Callable[[], None]:
        self.watching.append(callback)
        return lambda: self.watching.remove(callback)


def grant(owner: str, expires: float | None) -> Grant:
    return Grant(identity=Identity(id=owner, expires=expires), proof=Proof(owner=owner))


def access(first: Grant, tokens: Tokens, clock: FakeClock) -> Access:
    return Access(first, tokens.authenticate, tokens.on_revoked, clock)


@pytest.mark.parametrize("lifetime", [3600.0, 60.0, 59.0, 1.0])
async def test_the_expiry_is_told_before_and_then(lifetime: float) -> None:
    """A minute before, or at once if less is left; then once that it is over."""
    clock, host = FakeClock(), Host()
    with access(grant("ann", clock.time() + lifetime), Tokens(), clock).watched(host):
        await clock.advance(max(0.0, lifetime - 60.0))
        assert host.told == [min(lifetime, 60.0)]
        await clock.advance(min(lifetime, 60.0) - 0.1)
        assert host.told == [min(lifetime, 60.0)]
        await clock.advance(0.2)
        assert host.told == [min(lifetime, 60.0), "token_expired"]
        await clock.advance(3600.0)
        assert len(host.told) == 2


async def test_what_never_expires_needs_no_timer() -> None:
    clock, host = FakeClock(), Host()
    with access(grant("ann", None), Tokens(), clock).watched(host):
        assert clock.waiting == 0
        await clock.advance(10.0**9)
    assert host.told == []


class Jumping(FakeClock):
    """A clock whose time of day may be set, without the timers' noticing."""

    jump = 0.0

    def time(self) -> float:
        return super().time() + self.jump


async def test_a_clock_that_is_set_forward_ends_within_half_a_minute() -> None:
    """A machine that slept, or whose time was wrong: the expiry is a time of day."""
    clock, host = Jumping(), Host()
    with access(grant("ann", clock.time() + 7200.0), Tokens(), clock).watched(host):
        await clock.advance(10.0)
        clock.jump = 7200.0
        await clock.advance(30.0)
    assert host.told == ["token_expired"]


async def test_a_clock_that_is_set_back_waits_on() -> None:
    clock, host = Jumping(), Host()
    with access(grant("ann", clock.time() + 90.0), Tokens(), clock).watched(host):
        await clock.advance(31.0)
        assert host.told == [60.0]
        clock.jump = -600.0
        await clock.advance(70.0)
        assert host.told == [60.0]
        await clock.advance(600.0)
    assert host.told == [60.0, "token_expired"]


async def test_a_renewal_is_watched_in_place_of_the_first() -> None:
    """By a token of the same owner only; a refused one changes nothing."""
    clock, host = FakeClock(), Host()
    now = clock.time()
    tokens = Tokens(longer=grant("ann", now + 300.0), other=grant("bob", None), ever=grant("ann", None))
    held = access(grant("ann", now + 60.0), tokens, clock)
    with held.watched(host):
        for token, error in (("wrong", Unauthorised), ("other", Forbidden)):
            with pytest.raises(error):
                await held.renew(token)
        assert held.identity.expires == now + 60.0
        await held.renew("longer")
        await clock.advance(100.0)
        assert host.told == [60.0]
        await clock.advance(140.1)
        assert len(host.told) == 2
        await held.renew("ever")
        await clock.advance(10_000.0)
        assert len(host.told) == 2
        assert len(tokens.watching) == 1
        tokens.watching[0]()
        assert host.told[2:] == ["unauthorised"]
    assert tokens.watching == []
    assert clock.waiting == 0


async def test_a_socket_is_told_renewed_and_closed(guarded: Guarded) -> None:
    """With a message in between, which the same connection answers; another owner's token is refused."""
    token = await guarded.token("ann", lifetime=120)
    await guarded.token("bob")
    async with guarded.signed_in(token) as client:
        await guarded.clock.advance(61)
        notice = await client.until(lambda message: message["type"] == "notice" and message["kind"] == "expiring")
        assert notice["seconds"] == 60
        for other, code in (("wrong", "unauthorised"), (await guarded.token("eve"), "forbidden")):
            refused = await client.ask(action="authenticate", token=other)
            assert (refused["type"], refused["code"]) == ("error", code)
        longer, _ = await asyncio.to_thread(
            guarded.file.add, "ann-2", owner="ann", now=guarded.clock.time(), expires=guarded.clock.time() + 600
        )
        assert await client.ask(action="authenticate", token=longer) == {"type": "ok", "ref": "ref-4", "tasks": []}
        await guarded.clock.advance(300)
        assert (await client.ask(action="ping"))["type"] == "pong"
        await guarded.clock.advance(301)
        assert (await outcome(client.ws))[0] == 4402
    assert not guarded.gateway.connections.count


async def test_nothing_is_done_after_the_expiry(guarded: Guarded) -> None:
    """A message that was on its way is not answered, and starts nothing; what was queued before is sent."""
    async with guarded.signed_in(await guarded.token("ann", lifetime=30)) as client:
        (session,) = guarded.gateway.connections.of_owner("ann")
        assert isinstance(session, Session)
        session.outbox.put(Pong(nonce="before"))
        await guarded.clock.advance(31, turns=0)
        await session.receive(json.dumps({"action": "ping"}))
        assert (await client.until(lambda message: message["type"] == "pong"))["nonce"] == "before"
        assert await client.ws.receive() == (WSMsgType.CLOSE, 4402, "the credentials have expired")


async def test_a_revoked_token_closes_its_connections(guarded: Guarded) -> None:
    """Those of others go on."""
    bob = await guarded.token("bob")
    async with guarded.signed_in(await guarded.token("ann")) as ann, guarded.signed_in(bob) as other:
        await guarded.revoke("ann")
        closed = await outcome(ann.ws)
        assert closed[0] == 4401
        assert "revoked" in closed[1]
        assert (await other.ask(action="ping"))["type"] == "pong"


@pytest.mark.parametrize("accept", ["text/event-stream", "application/x-ndjson"])
@pytest.mark.parametrize("revoked", [False, True])
async def test_a_stream_ends_in_a_clean_way(guarded: Guarded, accept: str, revoked: bool) -> None:
    """Its last chunk says that it is complete, so a client connects again: with other credentials."""
    token = await guarded.token("ann", lifetime=None if revoked else 90)
    headers = {"Authorization": f"Bearer {token}", "Accept": accept}
    async with aiohttp.ClientSession(headers=headers) as http, http.get(f"{guarded.url}api/v1/events") as response:
        assert response.status == 200
        if revoked:
            await guarded.revoke("ann")
        else:
            await guarded.clock.advance(31)
            await guarded.clock.advance(60)
        body = await response.text()
        assert ('"kind":"expiring"' in body) is not revoked
        async with http.get(f"{guarded.url}api/v1/events") as again:
            assert again.status == 401
            assert (await again.json())["code"] == ("unauthorised" if revoked else "token_expired")


async def test_an_openai_stream_ends_with_the_reason(guarded: Guarded) -> None:
    """It can't be resumed: the error says why, and the task is cancelled like with any other end."""
    headers = {"Authorization": f"Bearer {await guarded.token('ann', lifetime=90)}"}
    async with (
        aiohttp.ClientSession(headers=headers) as http,
        http.post(f"{guarded.url}v1/images/generations", json={"prompt": "a", "stream": True}) as response,
    ):
        assert response.status == 200
        await guarded.clock.advance(91)
        assert '"code":"token_expired"' in await response.text()
    assert not [task for task in await guarded.gateway.cancel_all("ann", set()) if task.was != "cancelled"]


async def test_a_response_in_one_piece_outlives_its_token(guarded: Guarded) -> None:
    """The token was valid for the request, and so it is for the answer: here, that the task took too long."""
    headers = {"Authorization": f"Bearer {await guarded.token('ann', lifetime=90)}"}
    body = {"prompt": "a", "timeout": 600}
    async with aiohttp.ClientSession(headers=headers) as http:
        url = f"{guarded.url}v1/images/generations"
        request = asyncio.create_task(http.post(url, json=body).__aenter__(), name="request")
        await eventually(lambda: guarded.gateway.connections.of_owner("ann"))
        await guarded.clock.advance(300)
        assert not request.done()
        await guarded.clock.advance(301)
        response = await request
        assert (response.status, (await response.json())["error"]["code"]) == (504, "timeout")


async def test_an_export_outlives_its_token_but_no_revocation(
    guarded: Guarded, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever stole a token does not get the rest of what its owner has."""
    go_on = asyncio.Event()

    async def parts(owner: str) -> AsyncIterator[bytes]:
        yield b"begin, "
        await go_on.wait()
        yield b"end"

    monkeypatch.setattr(guarded.gateway.account, "export", parts)
    headers = [{"Authorization": f"Bearer {await guarded.token(name, lifetime=90)}"} for name in ("ann", "bob")]
    url = f"{guarded.url}api/v1/account/export"
    async with (
        aiohttp.ClientSession() as http,
        http.get(url, headers=headers[0]) as of_ann,
        http.get(url, headers=headers[1]) as of_bob,
    ):
        assert (of_ann.status, of_bob.status) == (200, 200)
        await guarded.revoke("ann")
        await guarded.clock.advance(31)
        await guarded.clock.advance(60)
        go_on.set()
        assert await of_bob.read() == b"begin, end"
        with pytest.raises(aiohttp.ClientPayloadError):
            await of_ann.read()


async def test_an_expired_identity_of_a_host_is_no_identity() -> None:
    """Else a client would connect, and be disconnected, again and again; a token in a message helps."""
    clock = FakeClock()

    async def who(request: web.Request, token: str | None) -> Identity:
        return Identity(id="ann", expires=clock.time() + (60.0 if token == "fresh" else 0.0))

    app = web.Application()
    setup(app, Settings(xinference_url=NOBODY, drain=0.0), authenticate=who, clock=clock)
    async with hosted(app) as url, aiohttp.ClientSession() as http:
        async with http.get(f"{url}api/v1/models") as response:
            assert (response.status, (await response.json())["code"]) == (401, "token_expired")
        for token, answer in (("stale", 4402), ("fresh", None)):
            async with http.ws_connect(f"{url}ws/generate") as ws:
                await ws.send_json({"action": "authenticate", "token": token})
                message = await ws.receive()
                assert (message.data if answer else message.json()["type"]) == (answer or "welcome")
