"""One chat at an upstream that misbehaves: the attempt ends only when the chat is known to have ended there."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

import pytest
from aiohttp import web
from msgspec.structs import replace

from clients import FakeClock, eventually, hosted
from scripted_transport import ScriptedTransport
from xinflight.clock import SystemClock
from xinflight.errors import UpstreamAuth, UpstreamDied, UpstreamFailed, UpstreamGarbage
from xinflight.protocol import ChatContent, ChatMessage, Params, UpstreamState
from xinflight.settings import Settings
from xinflight.supervise import Supervisor
from xinflight.upstream import (
    CHAT,
    Aborted,
    Answer,
    Attempt,
    GenerationRequest,
    Inputs,
    Kind,
    Piece,
    ProgressEstimator,
    Xinference,
)
from xinflight.upstream import attempt as attempt_module

DONE = b"data: [DONE]\r\n\r\n"
pytestmark = pytest.mark.usefixtures("each_transport")

REQUEST = GenerationRequest(
    model="m",
    prompt="",
    negative_prompt=None,
    width=0,
    height=0,
    steps=None,
    guidance_scale=None,
    seed=0,
    request_id="r",
    params=Params(kind="chat", n=1, timeout=60.0, on_disconnect="continue", max_tokens=9),
    inputs=Inputs(content=ChatContent(messages=[ChatMessage(role="user", content="你好")])),
)

Write = Callable[[bytes], Coroutine[Any, Any, None]]


def said(text: str) -> bytes:
    return b"data: " + json.dumps({"choices": [{"index": 0, "delta": {"content": text}}]}).encode() + b"\r\n\r\n"


class Upstream:
    """A server that writes what a test says. A chat runs until its connection is gone, or `computes` is cleared."""

    def __init__(self) -> None:
        self.script: Callable[[Write], Coroutine[Any, Any, None]] = self._nothing
        self.bodies: list[dict[str, object]] = []
        self.refusal: int | None = None
        """Status of the response to every chat, if there is to be none that streams."""
        self.aborts = 0
        self.running = False
        self.computes_on = False
        self.aborted = asyncio.Event()
        self.left = asyncio.Event()

    async def _nothing(self, write: Write) -> None:
        """Write nothing, for ever."""
        await asyncio.Event().wait()

    async def chat(self, request: web.Request) -> web.StreamResponse:
        self.bodies.append(await request.json())
        if self.refusal is not None:
            return web.json_response({"detail": "no"}, status=self.refusal)
        self.running = True
        response = web.StreamResponse()
        await response.prepare(request)
        with suppress(ConnectionResetError):
            watch = asyncio.create_task(self._leave(request), name="watch")
            script = asyncio.create_task(self.script(response.write), name="script")
            await asyncio.wait({watch, script}, return_when=asyncio.FIRST_COMPLETED)
            for task in (watch, script):
                task.cancel()
            _, error = await asyncio.gather(watch, script, return_exceptions=True)
            if isinstance(error, ConnectionAbortedError) and request.transport is not None:
                request.transport.abort()
        self.running = self.computes_on
        return response

    async def _leave(self, request: web.Request) -> None:
        await eventually(lambda: request.transport is None or request.transport.is_closing())
        self.left.set()

    async def abort(self, request: web.Request) -> web.Response:
        self.aborts += 1
        self.aborted.set()
        return web.json_response({"msg": "DONE" if self.running else "NOT_FOUND"})

    async def replicas(self, request: web.Request) -> web.Response:
        return web.json_response([{"replica_id": 0, "model_address": "h:1", "created_ts": 1}])


class Talk:
    """An attempt at the upstream, and the text that it has told."""

    def __init__(self, upstream: Upstream, xinference: Xinference, kind: Kind) -> None:
        self.upstream = upstream
        self.xinference = xinference
        self.pieces: list[Piece] = []
        self.attempt = Attempt(
            xinference,
            kind,
            REQUEST,
            ProgressEstimator(None, 0.0, None, 0.0),
            true_cancel=True,
            report=lambda: None,
            add=self.pieces.append,
        )

    @property
    def text(self) -> str:
        return "".join(piece.text for piece in self.pieces)


@asynccontextmanager
async def talking(upstream: Upstream, kind: Kind = CHAT) -> AsyncIterator[Talk]:
    app = web.Application()
    app.add_routes(
        [
            web.post("/v1/chat/completions", upstream.chat),
            web.post("/v1/models/m/requests/r/abort", upstream.abort),
            web.get("/v1/models/m/replicas", upstream.replicas),
        ]
    )
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(hosted(app))
        clock = SystemClock()
        xinference = Xinference(Settings(xinference_url=url), clock, Supervisor(clock), on_change=lambda: None)
        xinference.open()
        stack.push_async_callback(xinference.close)
        yield Talk(upstream, xinference, kind)


@pytest.fixture
def upstream(monkeypatch: pytest.MonkeyPatch) -> Upstream:
    monkeypatch.setattr(attempt_module, "HANG_UP_PAUSE", 0.05)
    return Upstream()


async def test_the_body_has_known_keys_only(upstream: Upstream) -> None:
    async def script(write: Write) -> None:
        await write(said("a") + DONE)

    upstream.script = script
    async with talking(upstream) as talk:
        made = await talk.attempt.run()
    assert isinstance(made, Answer)
    assert upstream.bodies == [
        {
            "model": "m",
            "messages": [{"role": "user", "content": "你好"}],
            "stream": True,
            "stream_options": {"include_usage": True},
            "request_id": "r",
            "max_tokens": 9,
        }
    ]


async def test_the_end_of_the_text_is_the_end(upstream: Upstream) -> None:
    """Even if the server keeps the connection open, or goes on to write."""

    async def script(write: Write) -> None:
        await write(said("a") + DONE)
        while True:
            await write(said("b"))
            await asyncio.sleep(0.001)

    upstream.script = script
    async with talking(upstream) as talk:
        made = await talk.attempt.run()
    assert isinstance(made, Answer)
    assert (made.text, talk.text) == ("a", "a")
    assert upstream.aborts == 0


@pytest.mark.parametrize("garbage", ["shape", "endless"])
async def test_garbage_is_stopped_before_its_slot_is_free(upstream: Upstream, garbage: str) -> None:
    """What a server writes that can't be read may be written for ever."""

    async def script(write: Write) -> None:
        await write(said("a"))
        if garbage == "shape":
            await write(b'data: {"choices": 7}\r\n\r\n')
        while True:
            await write(b": " + b"x" * 10_000 + b"\r\n")
            await asyncio.sleep(0)

    upstream.script = script
    async with talking(upstream, replace(CHAT, max_bytes=lambda request: 300_000)) as talk:
        with pytest.raises(UpstreamGarbage):
            await talk.attempt.run()
        assert upstream.aborts > 0
        assert not upstream.running
    assert talk.text == "a"


@pytest.mark.parametrize("begun", [False, True])
async def test_an_abort_of_a_silent_chat_closes_its_connection(upstream: Upstream, begun: bool) -> None:
    """One that waits in Xinference's queue, or hangs, would otherwise hold its slot until it begins."""

    async def script(write: Write) -> None:
        await write(said("a") if begun else b": ping\r\n\r\n")
        await asyncio.Event().wait()

    upstream.script = script
    async with talking(upstream) as talk:
        run = asyncio.create_task(talk.attempt.run(), name="run")
        await eventually(lambda: upstream.bodies and talk.text == ("a" if begun else ""))
        talk.attempt.abort()
        talk.attempt.abort()
        with pytest.raises(Aborted):
            await run
        assert upstream.left.is_set()
        assert upstream.aborts > 0
        assert not upstream.running


async def test_text_that_was_on_its_way_at_an_abort_is_not_told(upstream: Upstream) -> None:
    """What is told after a cancel would not be what is stored at its end."""

    async def script(write: Write) -> None:
        await write(said("a"))
        await upstream.aborted.wait()
        await write(said("b"))
        await write(b'data: {"error": "The chat completion request failed."}\r\n\r\n')

    upstream.script = script
    async with talking(upstream) as talk:
        run = asyncio.create_task(talk.attempt.run(), name="run")
        await eventually(lambda: talk.text == "a")
        talk.attempt.abort()
        with pytest.raises(Aborted):
            await run
    assert talk.text == "a"


async def test_an_answer_that_crossed_its_abort_is_still_one(upstream: Upstream) -> None:
    async def script(write: Write) -> None:
        await write(said("a"))
        await upstream.aborted.wait()
        await write(said("b") + DONE)

    upstream.script = script
    async with talking(upstream) as talk:
        run = asyncio.create_task(talk.attempt.run(), name="run")
        await eventually(lambda: talk.text == "a")
        talk.attempt.abort()
        made = await run
    assert isinstance(made, Answer)
    assert made.text == "ab"


async def test_a_lost_line_ends_when_the_abort_finds_nothing(upstream: Upstream) -> None:
    """Until then the chat may run, and its slot is taken."""
    upstream.computes_on = True

    async def script(write: Write) -> None:
        await write(said("a"))
        raise ConnectionAbortedError

    upstream.script = script
    async with talking(upstream) as talk:
        run = asyncio.create_task(talk.attempt.run(), name="run")
        await eventually(lambda: upstream.aborts > 3)
        assert not run.done()
        upstream.running = False
        with pytest.raises(UpstreamDied):
            await run


async def test_a_refused_key_stops_all_calls(upstream: Upstream) -> None:
    """Ten of them would get this server banned."""
    upstream.refusal = 401
    async with talking(upstream) as talk:
        with pytest.raises(UpstreamAuth):
            await talk.attempt.run()
        assert talk.xinference.state is UpstreamState.UNAUTHORISED
        with pytest.raises(UpstreamAuth):
            await talk.xinference.post("/v1/chat/completions", {}, lambda data: None, max_bytes=100)
    assert len(upstream.bodies) == 1


async def test_a_bad_request_fails_at_once(upstream: Upstream) -> None:
    upstream.refusal = 500
    async with talking(upstream) as talk:
        with pytest.raises(UpstreamFailed):
            await talk.attempt.run()
    assert upstream.aborts == 0


async def test_a_model_that_answers_no_abort_is_given_up_after_the_silence() -> None:
    """Nothing shows its end: the slot is held for `timeouts.silence`."""

    async def deaf(method: str, path: str, body: object) -> bytes:
        if "replicas" in path:
            return b'[{"replica_id":0,"model_address":"h:1","created_ts":1}]'
        if "completions" in path:
            await asyncio.Event().wait()
        return b'{"msg":"DONE"}'

    clock = FakeClock()
    upstream = Xinference(Settings(), clock, Supervisor(clock), lambda: None, transport=ScriptedTransport(deaf))
    talk = Talk(Upstream(), upstream, CHAT)
    run = asyncio.create_task(talk.attempt.run(), name="run")
    await clock.advance(1.0)
    talk.attempt.abort()
    await clock.advance(0.0)
    await clock.advance(CHAT.timeouts.silence - 20)
    assert not run.done()
    await clock.advance(40.0)
    with pytest.raises(Aborted):
        await run
