"""Browsers that Playwright can't drive as they are in Debian: Firefox by WebDriver BiDi, WebKit by WebDriver."""

import asyncio
import itertools
import json
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Protocol

import aiohttp
import pytest

from clients import LONG

CALL = """const done = arguments[arguments.length - 1];
(async () => { %s })().then((value) => done({ value }), (error) => done({ error: String(error) }));"""


class RemotePage(Protocol):
    """A window of a browser."""

    async def goto(self, url: str) -> None:
        """Open a page, and wait until it has loaded."""

    async def run(self, body: str) -> Any:
        """Run the body of an async function in the page; return what it returns, of JSON's types."""


class WebKit:
    """A window of WebKitGTK's MiniBrowser, over W3C WebDriver."""

    def __init__(self, http: aiohttp.ClientSession, session: str) -> None:
        self._http, self._session = http, session

    async def goto(self, url: str) -> None:
        await self._send("url", url=url)

    async def run(self, body: str) -> Any:
        done = await self._send("execute/async", script=CALL % body, args=[])
        assert "error" not in done, done
        return done.get("value")

    async def _send(self, command: str, **parameters: Any) -> Any:
        async with self._http.post(f"/session/{self._session}/{command}", json=parameters) as response:
            value = (await response.json())["value"]
            assert response.status == 200, value
            return value


class Firefox:
    """A tab of Firefox, over WebDriver BiDi."""

    def __init__(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        self._ws = ws
        self._ids = itertools.count(1)
        self._tab = ""

    async def begin(self) -> None:
        """Begin a session in a tab of its own."""
        await self._send("session.new", capabilities={})
        self._tab = (await self._send("browsingContext.create", type="tab"))["context"]

    async def goto(self, url: str) -> None:
        await self._send("browsingContext.navigate", context=self._tab, url=url, wait="complete")

    async def run(self, body: str) -> Any:
        # What JSON can say comes as one text: BiDi has a form of its own for each type.
        function = f"async () => JSON.stringify(await (async () => {{ {body} }})() ?? null)"
        target = {"context": self._tab}
        done = await self._send("script.callFunction", functionDeclaration=function, awaitPromise=True, target=target)
        assert done["type"] == "success", done["exceptionDetails"]["text"]
        return json.loads(done["result"]["value"])

    async def _send(self, method: str, **params: Any) -> Any:
        number = next(self._ids)
        await self._ws.send_json({"id": number, "method": method, "params": params})
        async with asyncio.timeout(LONG):
            while (answer := await self._ws.receive_json()).get("id") != number:
                pass
        assert answer["type"] == "success", answer
        return answer["result"]


def _path(*names: str) -> str:
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None:
        pytest.skip(f"{names[0]} is not installed")
    return found


@contextmanager
def _process(*command: str, stderr: Any = subprocess.DEVNULL, **options: Any) -> "Iterator[subprocess.Popen[str]]":
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True, **options) as process:
        try:
            yield process
        finally:
            process.terminate()


async def _line(process: "subprocess.Popen[str]", beginning: str = "") -> str:
    """Return the next line that a process prints, or the next one with such a beginning."""
    assert process.stdout
    async with asyncio.timeout(LONG):
        while True:
            line = await asyncio.to_thread(process.stdout.readline)
            assert line, "it has ended"
            if line.startswith(beginning):
                return line.removeprefix(beginning).strip()


@asynccontextmanager
async def open_webkit(folder: Path, port: int) -> AsyncIterator[RemotePage]:
    """Start WebKit on a screen that nobody sees; skip the test where it is not installed."""
    driver, screen = _path("WebKitWebDriver"), _path("Xvfb")
    with _process(screen, "-displayfd", "1", "-screen", "0", "1280x900x24", "-nolisten", "tcp") as display:
        environment = {**os.environ, "DISPLAY": f":{await _line(display)}", "HOME": str(folder)}
        with _process(driver, "--host=127.0.0.1", f"--port={port}", env=environment):
            async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as http:
                session = await _session(http)
                yield WebKit(http, session)
                await http.delete(f"/session/{session}")


async def _session(http: aiohttp.ClientSession) -> str:
    """Begin a session, once the driver listens."""
    async with asyncio.timeout(LONG):
        while True:
            try:
                async with http.post("/session", json={"capabilities": {}}) as response:
                    value = (await response.json())["value"]
                    assert response.status == 200, value
                    return str(value["sessionId"])
            except aiohttp.ClientConnectorError:
                await asyncio.sleep(0.05)


@asynccontextmanager
async def open_firefox(folder: Path, port: int) -> AsyncIterator[RemotePage]:
    """Start Firefox without a window; skip the test where it is not installed."""
    browser = _path("firefox-esr", "firefox")
    command = (browser, "--headless", "--remote-debugging-port", str(port), "--profile", str(folder))
    with _process(*command, stderr=subprocess.STDOUT, env={**os.environ, "HOME": str(folder)}) as process:
        address = await _line(process, "WebDriver BiDi listening on ")
        async with aiohttp.ClientSession() as http, http.ws_connect(f"{address}/session", max_msg_size=0) as ws:
            page = Firefox(ws)
            await page.begin()
            yield page
