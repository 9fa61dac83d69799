"""Ten thousand guesses over HTTP and WebSocket, beside somebody who is logged in."""

import asyncio
import itertools
from collections import Counter
from pathlib import Path

import aiohttp
import pytest
import structlog
from aiohttp import web

from clients import FakeClock, hosted
from xinflight.app import setup
from xinflight.settings import Settings

GUESSES = 10_000
SECRET = "a-secret-of-this-test"


class Guesser:
    """Somebody who tries tokens over every channel in turn, and counts the answers."""

    def __init__(self, http: aiohttp.ClientSession, url: str) -> None:
        self._http = http
        self._url = url
        self._cookie = f"xinflight-{url.rstrip('/').rpartition(':')[2]}"
        self._origin = {"Origin": url.rstrip("/")}
        self.answers: Counter[int] = Counter()

    async def guess(self, number: int) -> None:
        token = f"guess-{number}"
        match number % 5:
            case 0:
                request = self._http.get(f"{self._url}api/v1/models", headers={"Authorization": f"Bearer {token}"})
            case 1:
                request = self._http.get(f"{self._url}api/v1/models", params={"token": token})
            case 2:
                request = self._http.get(f"{self._url}api/v1/models", headers={"Cookie": f"{self._cookie}={token}.x"})
            case 3:
                request = self._http.post(f"{self._url}login", data=token, headers=self._origin)
            case _:
                request = self._http.post(
                    f"{self._url}v1/images/generations", headers={"Authorization": f"Bearer {token}"}
                )
        async with request as response:
            self.answers[response.status] += 1
            if response.status == 429:
                assert int(response.headers["Retry-After"]) == 6

    async def knock(self, number: int) -> None:
        """Guess with the handshake of a WebSocket."""
        headers = {"Authorization": f"Bearer guess-{number}"}
        try:
            async with self._http.ws_connect(f"{self._url}ws/generate", headers=headers) as ws:
                await ws.receive()
                self.answers[ws.close_code or 0] += 1
        except aiohttp.WSServerHandshakeError as refused:
            self.answers[refused.status] += 1


@pytest.mark.slow
async def test_ten_thousand_guesses_beside_an_honest_client(tmp_path: Path) -> None:
    """On a clock that stands still, ten are checked; who has a session notices nothing."""
    (tmp_path / "token").write_text(SECRET)
    app = web.Application()
    settings = Settings(
        xinference_url="http://127.0.0.1:9", drain=0.0, auth="tokens", data_dir=str(tmp_path), token_in_query=True
    )
    setup(app, settings, clock=FakeClock())
    connector = aiohttp.TCPConnector(limit=20)
    honest_jar = aiohttp.CookieJar(unsafe=True)
    async with (
        hosted(app) as url,
        aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as http,
        aiohttp.ClientSession(cookie_jar=honest_jar) as honest,
    ):
        origin = {"Origin": url.rstrip("/")}
        async with honest.post(f"{url}login", data=SECRET, headers=origin) as response:
            assert response.status == 204
        guesser = Guesser(http, url)
        numbers = itertools.count()
        with structlog.testing.capture_logs() as logs:
            for _ in range(GUESSES // 1000):
                await asyncio.gather(
                    *(guesser.guess(next(numbers)) for _ in range(950)),
                    *(guesser.knock(next(numbers)) for _ in range(50)),
                )
                async with honest.get(f"{url}api/v1/models") as response:
                    assert response.status == 200
        # The right token is not checked either.
        async with http.post(f"{url}login", data=SECRET, headers=origin) as response:
            assert response.status == 429
    checked = guesser.answers[401] + guesser.answers[4401]
    assert (checked, guesser.answers.total()) == (10, GUESSES)
    assert guesser.answers[429] == GUESSES - 10
    assert len([entry for entry in logs if entry["event"] == "log-in failed"]) == 1
    assert len(logs) <= 100
    assert "guess-" not in str(logs)
