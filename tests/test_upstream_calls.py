"""Calls of the upstream that are answered as none should be: with anything, too much, from elsewhere, never."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from aiohttp import web

from clients import FakeClock, Recorder, WireClient, eventually, hosted
from conftest import Serve
from scripted_gateway import ANSWER, ScriptedGateway, turns
from xinflight.demo import Faults, emulator_app
from xinflight.errors import UpstreamFailed, XinflightError
from xinflight.protocol import Result, UpstreamState
from xinflight.settings import Settings
from xinflight.supervise import Supervisor
from xinflight.tasks import runner
from xinflight.upstream import NotSent, Xinference, failure
from xinflight.upstream import client as xinference
from xinflight.upstream.messages import generation_failure

pytestmark = pytest.mark.usefixtures("each_transport")

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]
MODELS = "/v1/models"
PROGRESS = "/v1/requests/{request_id}/progress"
TXT2IMG = "/sdapi/v1/txt2img"


class Between:
    """What stands between us and an emulator, and answers some paths in its place; it counts those."""

    def __init__(self, engine: Recorder) -> None:
        self.engine = engine
        self.answers: dict[str, Answer] = {}
        self.count = 0

    def say(self, path: str, status: int, body: bytes | str, **headers: str) -> None:
        """Answer a path always so."""

        async def answer(request: web.Request) -> web.Response:
            data = body if isinstance(body, bytes) else body.encode()
            return web.Response(status=status, body=data, headers=headers, content_type="application/json")

        self.answers[path] = answer

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[str]:
        """Serve both; yield the base URL."""

        @web.middleware
        async def between(request: web.Request, handler: Answer) -> web.StreamResponse:
            resource = request.match_info.route.resource
            answer = self.answers.get(resource.canonical if resource is not None else "")
            if answer is None:
                return await handler(request)
            self.count += 1
            return await answer(request)

        app = emulator_app(self.engine)
        app.middlewares.insert(0, between)
        try:
            async with hosted(app) as url:
                yield url.rstrip("/")
        finally:
            await self.engine.aclose()


@pytest.fixture
def between(engine: Recorder) -> Between:
    """Give what stands before the emulator."""
    return Between(engine)


@pytest.fixture
async def url(between: Between, stack: AsyncExitStack) -> str:
    """Give the URL of the two."""
    return await stack.enter_async_context(between.serve())


@pytest.fixture
async def client(url: str, serve: Serve, stack: AsyncExitStack) -> WireClient:
    """Give a client of a server that takes the two for a Xinference."""
    server = await serve(xinference_url=url, default_size="64x64")
    return await stack.enter_async_context(WireClient.connect(server))


@asynccontextmanager
async def watching(url: str) -> AsyncIterator[tuple[Xinference, FakeClock]]:
    """Watch an upstream on a clock that is moved by hand."""
    clock = FakeClock()
    settings = Settings(xinference_url=url, api_key="key")
    upstream = Xinference(settings, clock, Supervisor(clock), on_change=lambda: None)
    await upstream.start()
    try:
        yield upstream, clock
    finally:
        await upstream.close()


async def passing(clock: FakeClock, holds: Callable[[], bool]) -> None:
    """Let time pass until something holds."""
    async with asyncio.timeout(30):
        while not holds():
            await clock.advance(1.0)
            await asyncio.sleep(0.005)


async def becomes(upstream: Xinference, clock: FakeClock, state: UpstreamState) -> None:
    """Let time pass until the upstream is known to be so."""
    await passing(clock, lambda: upstream.state is state)


# Probing


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (409, '{"detail":"The request has been cancelled: x"}'),
        (500, '{"detail":"Model x is not for txt2img."}'),
        (500, '{"detail":"boom"}'),
        (404, '{"detail":"Not Found"}'),
        (302, ""),
        (200, "<html>"),
        (200, '{"data":[{"id":7}]}'),
        (200, "[" * 100_000),
        (200, '{"data":[], "more":"' + "x" * 20_000_000 + '"}'),
    ],
    ids=["aborted", "other route", "error", "missing", "redirect", "text", "shape", "deep", "large"],
)
async def test_probing_goes_on_whatever_is_answered(url: str, between: Between, status: int, body: str) -> None:
    """At the start and later: it counts as away, and is found when it answers as it should."""
    between.say(MODELS, status, body, Location="/elsewhere")
    async with watching(url) as (upstream, clock):
        assert upstream.state is UpstreamState.UNREACHABLE
        del between.answers[MODELS]
        await becomes(upstream, clock, UpstreamState.READY)
        between.say(MODELS, status, body, Location="/elsewhere")
        await becomes(upstream, clock, UpstreamState.UNREACHABLE)
        del between.answers[MODELS]
        await becomes(upstream, clock, UpstreamState.READY)


RAW = {
    "nothing": b"",
    "no HTTP": b"SSH-2.0-OpenSSH\r\n",
    "no status": b"HTTP/1.1 099 X\r\n\r\n",
    "redirect in no encoding": b"HTTP/1.1 302 X\r\nLocation: http://\xff\xfe/\r\nContent-Length: 0\r\n\r\n",
    "text in no encoding": b"HTTP/1.1 500 \xff\r\nContent-Length: 2\r\n\r\n\xff\xfe",
    "false length": b'HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"data":[]}',
    "false chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "false gzip": b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nabcd",
    "odd headers": b"HTTP/1.1 200 OK\r\nSet-Cookie: \xff=\xfe\r\nContent-Type: \xff\r\nContent-Length: 2\r\n\r\n{}",
}


@pytest.mark.parametrize("answer", RAW.values(), ids=RAW)
async def test_bytes_that_are_hardly_an_answer(answer: bytes) -> None:
    """They count as away, with a cause."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        host, port = server.sockets[0].getsockname()
        async with watching(f"http://{host}:{port}") as (upstream, _):
            assert upstream.state is UpstreamState.UNREACHABLE
            assert upstream.cause


@pytest.mark.parametrize(("said", "seconds"), [("7", 7.0), ("9" * 400, 300.0), ("-1", None), ("soon", None)])
def test_when_to_come_back(said: str, seconds: float | None) -> None:
    """What an upstream says is believed up to five minutes."""
    assert failure(503, b"", said).retry_after == seconds


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("CUDA out of memory. Tried to allocate 2.00 GiB.", "upstream_out_of_memory"),
        ("MPS backend out of memory (MPS allocated: 17 GB)", "upstream_out_of_memory"),
        ("[address=127.0.0.1:1, pid=2] DefaultCPUAllocator: can't allocate memory", "upstream_out_of_memory"),
        ("DefaultCPUAllocator: not enough memory: you tried to allocate 1 bytes", "upstream_out_of_memory"),
        ("CUDA error: an illegal memory access was encountered", "upstream_failed"),
        ("the model has no memory of that", "upstream_failed"),
    ],
)
def test_too_little_memory_is_told_from_other_failures(text: str, code: str) -> None:
    failed = failure(500, json.dumps({"detail": text}).encode())
    assert isinstance(failed, UpstreamFailed)
    error = generation_failure(failed, None)
    assert isinstance(error, XinflightError)
    assert (error.code, error.retryable, error.status) == (code, False, 502)


def test_a_failure_without_words_is_told_by_its_status() -> None:
    assert failure(502, b"").detail == "HTTP 502"
    assert failure(500, b'{"detail":"[address=127.0.0.1:1, pid=2] "}').detail == "HTTP 500"


def test_a_failure_of_any_depth_is_one() -> None:
    body = b'{"more":' + b"[" * 60_000
    assert failure(503, body).code == "upstream_busy"


# Answers that never come


async def test_a_call_that_is_never_answered_is_given_up(url: str, between: Between) -> None:
    """Every call but the one for an image has an end."""
    over = asyncio.Event()

    async def never(request: web.Request) -> web.Response:
        await over.wait()
        return web.Response()

    async with watching(url) as (upstream, clock):
        between.answers = {"/v1/models/{uid}/replicas": never, "/v1/models/{uid}/requests/{request_id}/abort": never}
        calls = [
            asyncio.create_task(upstream.replicas("painter"), name="replicas"),
            asyncio.create_task(upstream.abort_request("painter", "r"), name="abort"),
        ]
        await eventually(lambda: between.count == 2)
        await clock.advance(xinference.CALL_SECONDS)
        for call in calls:
            with pytest.raises(TimeoutError):
                await call
        over.set()


async def test_a_probe_that_is_never_answered_is_given_up(url: str, between: Between) -> None:
    """A server that is stopped takes connections and says nothing: it counts as away, with the reason."""
    over = asyncio.Event()

    async def never(request: web.Request) -> web.Response:
        await over.wait()
        return web.Response()

    async with watching(url) as (upstream, clock):
        between.answers[MODELS] = never
        await becomes(upstream, clock, UpstreamState.UNREACHABLE)
        assert upstream.cause == "no answer within 10 s"
        over.set()


async def test_nobody_listens(stack: AsyncExitStack, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that is never taken means that nothing was sent, as one that is refused does."""
    for module in ("http_aiohttp", "http_httptools"):
        monkeypatch.setattr(f"xinflight.upstream.{module}.CONNECT_SECONDS", 0.1)
    deaf = stack.enter_context(socket.socket())
    deaf.bind(("127.0.0.1", 0))
    deaf.listen(0)
    # A queue of connections that nobody takes is full with these.
    for _ in range(4):
        knock = stack.enter_context(socket.socket())
        knock.setblocking(False)
        knock.connect_ex(deaf.getsockname())
    async with watching(f"http://127.0.0.1:{deaf.getsockname()[1]}") as (upstream, _):
        assert upstream.state is UpstreamState.UNREACHABLE
        with pytest.raises(NotSent):
            await upstream.request("POST", TXT2IMG, {})


async def test_requests_that_were_never_sent_are_tried_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their slot is free at once, nothing is asked about them, and however many they are, the image comes."""
    monkeypatch.setattr(runner, "RETRY_PAUSES", (1.0,))
    async with ScriptedGateway.begin() as gateway:
        await gateway.submit(task_id="a", model="m")
        await turns()
        for _ in range(4):
            gateway.upstream.pending[0].end("refused")
            await turns()
            await gateway.clock.advance(1.0)
        assert len(gateway.upstream.posts) == 5
        assert gateway.upstream.aborts == []
        gateway.upstream.pending[0].end("image")
        await turns()
        await gateway.drain()
        [end] = gateway.ends("ann", "a")
        assert isinstance(end.message, Result)


# Progress that is none


@pytest.mark.parametrize("value", ["1e308", "7", "1e999"])
async def test_progress_of_more_than_all(client: WireClient, between: Between, value: str) -> None:
    """It counts as all the steps, or as nothing; the image comes."""
    between.say(PROGRESS, 200, f'{{"progress":{value}}}')
    await odd_progress(client, between)


@pytest.mark.parametrize(
    "value",
    ["-1", "-1e308", "NaN", "null", '"0.5"', "0.5" + " " * 1_000_000],
    ids=["-1", "-1e308", "NaN", "null", "text", "long"],
)
async def test_progress_of_less_than_nothing(client: WireClient, between: Between, value: str) -> None:
    """It is no news, as is an answer that is no progress, or far too long for one; the image comes."""
    between.say(PROGRESS, 200, f'{{"progress":{value}}}')
    await odd_progress(client, between)
    assert {m["progress"] for m in client.of("a", "progress") if m["step"] != "saving"} == {0}


async def odd_progress(client: WireClient, between: Between) -> None:
    between.engine.faults = Faults(freeze=3, requests=1)
    await client.ask(action="generate", prompt="a", task_id="a")
    await eventually(lambda: between.count >= 1)
    await client.ask(action="ping")
    between.engine.thaw()
    assert (await client.ends("a"))["a"]["type"] == "result"
    assert all(0 <= m["progress"] <= 99 for m in client.of("a", "progress"))
    assert all(0 <= m.get("step_index", 0) <= m.get("step_count", 0) for m in client.of("a", "progress"))


# From elsewhere


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_nobody_else_gets_the_prompt(
    client: WireClient, between: Between, stack: AsyncExitStack, status: int
) -> None:
    """A redirect is a failure that is told, not a way to go; the next image is made as ever."""
    seen: list[web.Request] = []

    async def anything(request: web.Request) -> web.Response:
        seen.append(request)
        return web.Response()

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", anything)
    other = await stack.enter_async_context(hosted(app))
    between.say(TXT2IMG, status, "", Location=other)
    await client.ask(action="generate", prompt="secret", task_id="a")
    end = (await client.ends("a"))["a"]
    assert (end["type"], end["code"]) == ("error", "upstream_failed")
    assert not seen
    assert other not in str(client.seen)
    del between.answers[TXT2IMG]
    await client.ask(action="generate", prompt="b", task_id="b")
    assert (await client.ends("b"))["b"]["type"] == "result"


# Too much


async def test_an_answer_larger_than_any_image(client: WireClient, between: Between) -> None:
    """It is not read to its end, and is told as garbage."""
    between.say(TXT2IMG, 200, ANSWER[:-1] + b',"more":"' + b"x" * 17_000_000 + b'"}')
    await client.ask(action="generate", prompt="a", task_id="a")
    end = (await client.ends("a"))["a"]
    assert (end["type"], end["code"]) == ("error", "upstream_garbage")


async def test_the_text_of_a_large_error_still_counts(client: WireClient, between: Between) -> None:
    """What an error says is told by its start, however long it is."""
    between.say(TXT2IMG, 503, b"loading" + b" " * 10_000_000)
    await client.send(action="generate", prompt="a", task_id="a")
    await client.until(lambda m: m.get("details", {}).get("retry_reason") == "upstream_busy")
    del between.answers[TXT2IMG]
    assert (await client.ends("a"))["a"]["type"] == "result"


async def test_a_model_that_vanished_before_it_was_known_to_need_the_other_route(url: str) -> None:
    """What is learned of a model that is gone is kept for its return."""
    async with watching(url) as (upstream, clock):
        models = upstream.models
        upstream.models = {}
        upstream.disable_true_cancel("painter")
        upstream.models = models
        assert upstream.models["painter"].true_cancel
        upstream.probe_soon()
        await passing(clock, lambda: not upstream.models["painter"].true_cancel)
