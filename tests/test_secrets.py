"""Secrets and control characters: what clients and Xinference send, in errors of every kind, and what a server logs.

One server is run twice, with its log in a pipe (JSON) and on a terminal. All that is secret is known to the test;
what a client may choose has control characters.
"""

import asyncio
import contextlib
import json
import os
import pty
import re
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qs, quote, urlsplit

import aiohttp
import pytest
from aiohttp import web

from attacks import Target, request
from clients import LONG, PAINTER, Recorder, WireClient, eventually, hosted
from xinflight.auth import TokenFile
from xinflight.demo import EmulatorOptions, Faults, serve_emulator

pytestmark = pytest.mark.process

API_KEY = "sk-0123456789-marker-of-the-api-key"
PASSWORD = "marker-of-a-password-in-a-url"
GUESS = "xin_marker-of-a-wrong-token"
EVIL = '\x1b]0;owned\x07\x1b[2J\x9b31m\u202e\n{"event": "forged"}\r\n'
CONTROL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\xc2[\x80-\x9f]|\xe2\x80\xae")
COLOUR = re.compile(rb"\x1b\[[0-9;]*m")


class Process(NamedTuple):
    """A server and all that it has written so far, to stdout and stderr."""

    url: str
    pid: int
    written: bytearray


@asynccontextmanager
async def serving(folder: Path, xinference_url: str, *, terminal: bool) -> AsyncIterator[Process]:
    """Run a server that writes to a pipe or to a terminal, with all that there is to log."""
    ours, its = pty.openpty() if terminal else os.pipe()
    settings = {
        "API_KEY": API_KEY,
        "AUTH": "tokens",
        "TOKEN_IN_QUERY": "true",
        "LOG_LEVEL": "debug",
        "DRAIN": "0",
        "DEFAULT_SIZE": "64x64",
        "ALLOW_ORIGINS": "https://friend.example",
    }
    environ = {key: value for key, value in os.environ.items() if not key.startswith("XINFLIGHT_")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", "from xinflight.cli import main; main()", "serve", "--port", "0"),
        *("--data-dir", str(folder), "--xinference", xinference_url),
        stdout=its,
        stderr=its,
        env={**environ, **{f"XINFLIGHT_{name}": value for name, value in settings.items()}},
        cwd=folder.parent,
    )
    os.close(its)
    written = bytearray()
    all_read = asyncio.Event()
    loop = asyncio.get_running_loop()

    def read() -> None:
        # A terminal whose other side is closed is an error, a pipe is at its end.
        chunk = b""
        with contextlib.suppress(OSError):
            chunk = os.read(ours, 2**16)
        if not chunk:
            loop.remove_reader(ours)
            all_read.set()
        written.extend(chunk)

    loop.add_reader(ours, read)
    try:
        await eventually(lambda: b"Ctrl+C stops it" in written)
        found = re.search(rb"xinflight is at (http://[0-9.:]+/)", written)
        assert found is not None
        yield Process(found[1].decode(), process.pid, written)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()
        async with asyncio.timeout(LONG):
            await all_read.wait()
        os.close(ours)


class Secrets:
    """All that nobody else may read, as it is drawn."""

    def __init__(self) -> None:
        self.known = {"api key": API_KEY, "guess": GUESS}

    def __setitem__(self, name: str, secret: str) -> None:
        assert len(secret) >= 16, name
        self.known[name] = secret

    def found_in(self, data: bytes) -> set[str]:
        return {name for name, secret in self.known.items() if secret.encode() in data}


async def use_all(url: str, secrets: Secrets) -> None:
    """Draw a secret of each kind: session, signed address, share."""
    token = secrets.known["token"]
    bearer = {"Authorization": f"Bearer {token}"}
    async with aiohttp.ClientSession(url, headers=bearer) as http:
        async with http.post("/login", data=token, headers={"Origin": url.rstrip("/")}) as response:
            assert response.status == 204
            (cookie,) = response.cookies.values()
            secrets["session"] = cookie.value
        body = {"prompt": "boat", "steps": 1, "task_id": "a"}
        async with http.post("/v1/images/generations", json=body) as response:
            signed = (await response.json())["data"][0]["url"]
            secrets["signature"] = parse_qs(urlsplit(signed).query)["signature"][0]
        async with http.post("/api/v1/shares", json={"task_id": "a", "index": 0}) as response:
            assert response.status == 201
            secrets["share"] = urlsplit((await response.json())["url"]).path.rpartition("/")[2]
        for path in (f"{urlsplit(signed).path}?{urlsplit(signed).query}", f"/shared/{secrets.known['share']}"):
            async with http.get(path) as response:
                assert response.status == 200


async def err_by_messages(client: WireClient, secrets: Secrets) -> None:
    """Provoke errors over a WebSocket, with every secret in every place."""
    for secret in secrets.known.values():
        for message in (
            {"action": secret},
            {"action": EVIL},
            {"action": "generate", "prompt": " ", "metadata": secret, secret: EVIL},
            {"action": "generate", "prompt": "boat", "model": secret + EVIL},
            {"action": "authenticate", "token": secret + "x"},
            {"action": "list", "cursor": secret},
        ):
            assert (await client.ask(**message))["type"] == "error"


async def err_over_http(url: str, secrets: Secrets) -> None:
    """Provoke errors over HTTP, and by what is no HTTP, with every secret in every place."""
    evil = quote(EVIL)
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(aiohttp.ClientSession(url))
        target = Target(url, stack)
        for secret in secrets.known.values():
            for headers in ({"Authorization": f"Bearer {secret}"}, {"Cookie": f"xinflight={secret}"}):
                for method, path in (
                    ("GET", f"/api/v1/tasks/{secret}"),
                    ("GET", f"/api/v1/tasks/{evil}"),
                    ("GET", f"/api/v1/tasks?state={secret}&cursor={evil}"),
                    ("GET", f"/outputs/{secret}?expires=1&signature={secret}"),
                    ("GET", f"/shared/{secret}x"),
                    ("GET", f"/nothing/{secret}?token={secret}"),
                    ("GET", f"/api/v1/models?token={secret}x"),
                    ("POST", "/api/v1/tasks"),
                    ("POST", "/v1/images/generations"),
                    ("POST", "/login"),
                ):
                    body = json.dumps({"prompt": f"{EVIL} <lora:{secret}>", "model": secret, "task_id": EVIL})
                    async with http.request(
                        method,
                        path,
                        data=body if method == "POST" else None,
                        headers={**headers, "Content-Type": "application/json", "User-Agent": f"x {secret}"},
                    ) as response:
                        assert response.status >= 400
                        await response.read()
            lines = {"Authorization": f"Bearer {secret}", "X-Forwarded-For": "\x1b[2J", "Connection": "close"}
            await target.ask(request("GET", f"/{secret}", {**lines, "Origin": f"https://{secret}"}))
            await target.ask(request("G\x1b[2JT", f"/{secret}", lines))
            await target.ask(f"GET /?token={secret} HTTP/1.1\r\nHost: \x07{secret}\r\nbroken\r\n\r\n".encode())
        with contextlib.suppress(aiohttp.WSServerHandshakeError):
            async with http.ws_connect(f"/ws/generate?token={GUESS}") as ws:
                await ws.receive()


@pytest.mark.parametrize("terminal", [False, True])
async def test_what_a_server_writes(tmp_path: Path, stack: AsyncExitStack, terminal: bool) -> None:
    engine = Recorder([PAINTER], options=EmulatorOptions(api_key=API_KEY))
    upstream = await stack.enter_async_context(serve_emulator(engine))
    folder = tmp_path / "data"
    folder.mkdir(mode=0o700)
    secrets = Secrets()
    secrets["token"], _ = await asyncio.to_thread(TokenFile(folder).add, "ann", now=0.0)
    bearer = {"Authorization": f"Bearer {secrets.known['token']}"}
    async with serving(folder, upstream, terminal=terminal) as server:
        await use_all(server.url, secrets)
        async with WireClient.connect(server.url, headers=bearer) as client:
            # The text is like that of a proxy that repeats the headers of a request that it refuses.
            for name, faults in (
                ("failing", Faults(error=f"CUDA error {EVIL} Authorization: Bearer {API_KEY}")),
                ("garbage", Faults(garbage="text")),
            ):
                engine.faults = faults
                await client.ask(action="generate", prompt=f"boat {EVIL}", task_id=name, metadata=EVIL)
                end = (await client.ends(name))[name]
                assert end["type"] == "error"
                assert API_KEY not in json.dumps(end)
                assert "CUDA" not in json.dumps(end)
            await err_by_messages(client, secrets)
        await err_over_http(server.url, secrets)
        proc = Path("/proc") / str(server.pid)
        assert not secrets.found_in(await asyncio.to_thread((proc / "cmdline").read_bytes))
        assert not secrets.found_in(await asyncio.to_thread((proc / "comm").read_bytes))
    # Of all calls that need a key: nobody's token went upstream.
    assert set(engine.keys) == {f"Bearer {API_KEY}"}
    written = bytes(server.written)
    assert b"output failed" in written
    assert b"Bearer ***" in written
    assert b"log-in failed" in written
    assert b"malformed request" in written
    assert not secrets.found_in(written)
    only_colours = COLOUR.sub(b"", written) if terminal else written
    assert not CONTROL.search(only_colours)
    if not terminal:
        logged = written.partition(b"Ctrl+C stops it\n")[2].splitlines()
        events = [json.loads(line)["event"] for line in logged]
        assert "forged" not in events
    # At rest there are hashes, and the key of the addresses that are signed; never what opens a door.
    for file in folder.rglob("*"):
        if file.is_file():
            assert secrets.found_in(file.read_bytes()) <= {"guess"}, file


async def test_the_doctor_tells_no_secret(tmp_path: Path) -> None:
    """Neither the key, which a server may repeat, nor the password in an URL."""

    async def refuse(request: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": f"https://x.example/{request.headers['Authorization']}"})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", refuse)
    async with hosted(app) as url:
        for address, key in ((url, API_KEY), (url.replace("http://", f"http://ann:{PASSWORD}@"), "")):
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-c", "from xinflight.cli import main; main()", "doctor", "--xinference", address),
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                env={**os.environ, **({"XINFLIGHT_API_KEY": key} if key else {})},
                cwd=tmp_path,
            )
            said, _ = await process.communicate()
            assert b"Xinference" in said
            assert b"Cause" in said
            assert API_KEY.encode() not in said
            assert PASSWORD.encode() not in said


def test_a_secret_in_a_traceback_is_not_logged() -> None:
    from test_logs import Logs

    for people in (True, False):
        logs = Logs(people=people, secrets=(API_KEY, "short"))
        try:
            raise ValueError(f"refused: Bearer {API_KEY}")
        except ValueError:
            logs.ours.exception("a short one", key=API_KEY)
            logs.library.exception("another one")
        assert API_KEY not in logs.text
        assert "a short one" in logs.text
        assert logs.text.count("refused: Bearer ***") == 2
