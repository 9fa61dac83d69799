"""The spans of a task: what each tells, and that all belong to the trace of the client."""

import asyncio
import re
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from opentelemetry import trace

from clients import Json, Recorder, WireClient, eventually, hosted, painter
from conftest import Front, Serve
from kind_table import WRITER
from scripted_gateway import ScriptedGateway, turns
from trace_kit import PARENT, TRACE, TRACEPARENT, Spans
from xinflight import tracing
from xinflight.app import setup
from xinflight.cli import serving
from xinflight.demo import Faults, emulator_app
from xinflight.errors import StorageUnavailable
from xinflight.model import Task
from xinflight.protocol import OutputEvent
from xinflight.settings import Settings

pytest_plugins = ["trace_fixtures"]

NOBODY = "http://127.0.0.1:9"
PROMPT = "a secret boat"
ATTEMPT = "generate_content painter"


@pytest.fixture
async def engine() -> Recorder:
    return Recorder([painter(step_seconds=0.0, decode_seconds=0.0)])


@pytest.fixture
def in_a_trace() -> Iterator[None]:
    """Let what the test itself asks for belong to the trace."""
    token = tracing._traceparent.set(TRACEPARENT)
    yield
    tracing._traceparent.reset(token)


def attributes(span: Any) -> dict[str, Any]:
    return dict(span.attributes or {})


async def post(url: str, path: str = "api/v1/tasks", headers: dict[str, str] | None = None, **body: Any) -> Json:
    """Start a task and return what is answered, or its last line, where its events are asked for."""
    async with (
        aiohttp.ClientSession(headers={"traceparent": TRACEPARENT, **(headers or {})}) as http,
        http.post(url + path, json={"prompt": PROMPT, "size": "64x64", **body}) as response,
    ):
        answer: Json = await response.json()
        return answer


async def test_the_way_of_an_image(server: str, spans: Spans) -> None:
    """Each step is below the acceptance, and that below the client's span."""
    async with WireClient.connect(server) as client:
        await client.send(
            action="generate", task_id="a", prompt=PROMPT, negative_prompt=PROMPT, traceparent=TRACEPARENT, seed=7
        )
        await client.ends("a")
        await eventually(lambda: len(spans.finished("deliver")) == 2)
    assert spans.trace_ids() == {TRACE}
    assert sorted(spans.names()) == ["accept", "deliver", "deliver", ATTEMPT, "store", "wait"]
    assert spans.parent("accept") == PARENT
    assert {spans.parent(name) for name in ("wait", ATTEMPT, "store", "deliver")} == {spans.id("accept")}
    assert PROMPT not in str([(span.name, attributes(span), span.events) for span in spans.finished()])
    accept, attempt = attributes(spans.one("accept")), attributes(spans.one(ATTEMPT))
    assert accept["gen_ai.request.choice.count"] == 1
    assert accept["xinflight.known"] is False
    assert attempt.items() >= {
        ("gen_ai.operation.name", "generate_content"),
        ("gen_ai.provider.name", "xinference"),
        ("gen_ai.request.model", "painter"),
        ("gen_ai.output.type", "image"),
        ("gen_ai.request.seed", 7),
        ("http.request.method", "POST"),
        ("http.response.status_code", 200),
        ("xinflight.attempt", 1),
        ("xinflight.task.id", "a"),
    }
    assert spans.one(ATTEMPT).kind is trace.SpanKind.CLIENT
    assert attributes(spans.one("store"))["file.size"] > 100
    assert attributes(spans.one("wait"))["xinflight.pool"] == "painter"
    assert {attributes(span)["xinflight.message"] for span in spans.finished("deliver")} == {"output", "result"}
    assert {span.status.status_code for span in spans.finished()} == {trace.StatusCode.UNSET}


async def test_they_follow_each_other(server: str, spans: Spans) -> None:
    await post(server, headers={"Accept": "application/json"}, task_id="a")
    await eventually(lambda: spans.finished("store"))
    wait, attempt, store = (spans.one(name) for name in ("wait", ATTEMPT, "store"))
    times = [time or 0 for span in (wait, attempt, store) for time in (span.start_time, span.end_time)]
    # The start of a wait is reckoned back from its end, by another clock.
    assert times[1:] == sorted(times[1:])
    assert times[0] <= times[1]


async def test_a_chat(front: Front, spans: Spans) -> None:
    _, client = await front(WRITER)
    messages = [{"role": "user", "content": PROMPT}]
    await client.send(
        action="chat", task_id="a", messages=messages, max_tokens=5, temperature=0.5, traceparent=TRACEPARENT
    )
    await client.ends("a")
    attempt = attributes(spans.one(f"chat {WRITER.uid}"))
    assert attempt.items() >= {
        ("gen_ai.operation.name", "chat"),
        ("gen_ai.output.type", "text"),
        ("gen_ai.request.max_tokens", 5),
        ("gen_ai.request.temperature", 0.5),
    }
    assert attempt["gen_ai.usage.output_tokens"] > 0
    assert attempt["gen_ai.response.finish_reasons"] == ("length",)
    assert "gen_ai.request.seed" not in attempt
    assert PROMPT not in str([attributes(span) for span in spans.finished()])


@pytest.fixture
async def sent(engine: Recorder, stack: AsyncExitStack) -> tuple[str, dict[str, set[str | None]]]:
    """Serve an emulator; give its URL, and the trace contexts that arrive at it, by the last part of the path."""
    arrived: dict[str, set[str | None]] = {}

    @web.middleware
    async def noted(request: web.Request, handler: Any) -> web.StreamResponse:
        arrived.setdefault(request.path.rpartition("/")[2], set()).add(request.headers.get("traceparent"))
        response: web.StreamResponse = await handler(request)
        return response

    app = emulator_app(engine)
    app.middlewares.insert(0, noted)
    stack.push_async_callback(engine.aclose)
    return (await stack.enter_async_context(hosted(app))).rstrip("/"), arrived


Sent = tuple[str, dict[str, set[str | None]]]


async def test_xinference_gets_the_span_of_its_request(
    sent: Sent, engine: Recorder, serve: Serve, spans: Spans
) -> None:
    """With the request for the image only: polls are no part of what the client asked for."""
    upstream, arrived = sent
    engine.faults = Faults(freeze=3)
    url = await serve(xinference_url=upstream)
    # What somebody watches is polled soon.
    async with WireClient.connect(url):
        await post(url, task_id="a")
        await eventually(lambda: "progress" in arrived)
        engine.thaw()
        await eventually(lambda: spans.finished("store"))
    ((got,),) = [arrived.pop("txt2img")]
    assert (got or "").startswith(f"00-{TRACE}-{spans.id(ATTEMPT)}-0")
    assert arrived.keys() > {"progress", "models"}
    assert set().union(*arrived.values()) == {None}


async def test_without_an_sdk_xinference_gets_that_of_the_client(sent: Sent, serve: Serve) -> None:
    upstream, arrived = sent
    url = await serve(xinference_url=upstream)
    for headers in ({"traceparent": TRACEPARENT}, {"traceparent": "malformed"}):
        await post(url, headers=headers)
    await eventually(lambda: len(arrived.get("txt2img", ())) == 2)
    assert arrived["txt2img"] == {TRACEPARENT, None}


async def test_each_attempt_has_its_own(spans: Spans, in_a_trace: None) -> None:
    async with ScriptedGateway.begin() as gateway:
        await gateway.submit(task_id="a")
        await turns()
        gateway.upstream.pending[0].end("died")
        await turns()
        await gateway.clock.advance(20.0)
        gateway.upstream.pending[0].end("image")
        await turns()
    first, second = spans.finished("generate_content m")
    assert spans.parent("generate_content m") == PARENT
    assert (first.status.status_code, first.status.description) == (trace.StatusCode.ERROR, "upstream_died")
    assert second.status.status_code is trace.StatusCode.UNSET
    assert (attributes(first)["xinflight.attempt"], attributes(second)["xinflight.attempt"]) == (1, 2)
    assert attributes(first)["error.type"] == "upstream_died"
    ids = [attributes(span)["xinflight.upstream.request_id"] for span in (first, second)]
    assert ids == [post.request_id for post in gateway.upstream.posts]
    assert len(spans.finished("store")) == 1


async def test_a_failure(spans: Spans, in_a_trace: None) -> None:
    async with ScriptedGateway.begin() as gateway:
        await gateway.submit(task_id="a")
        await turns()
        gateway.upstream.pending[0].end("error")
        await turns()
    (one,) = spans.finished("generate_content m")
    assert one.status.status_code is trace.StatusCode.ERROR
    assert (attributes(one)["error.type"], attributes(one)["http.response.status_code"]) == ("upstream_failed", 500)
    assert "boom" not in str((attributes(one), one.status.description)), "texts of Xinference may repeat the prompt"
    assert spans.finished("store") == []


async def test_a_cancel_is_no_failure(spans: Spans, in_a_trace: None) -> None:
    async with ScriptedGateway.begin() as gateway:
        for task_id in ("running", "waiting"):
            await gateway.submit(task_id=task_id)
        await turns()
        for task_id in ("running", "waiting"):
            await gateway.front.cancel("ann", task_id)
        gateway.upstream.pending[0].end("aborted")
        await turns()
    attempt = spans.one("generate_content m")
    assert attempt.status.status_code is trace.StatusCode.UNSET
    assert attributes(attempt)["xinflight.cancelled"] is True
    ended = {attributes(span)["xinflight.task.id"]: attributes(span) for span in spans.finished("wait")}
    assert ended["waiting"]["xinflight.state"] == "cancelled"
    assert "xinflight.state" not in ended["running"]


async def test_a_restart_continues_the_trace(tmp_path: Path, engine: Recorder, emulate: Serve, spans: Spans) -> None:
    """By what is stored with the task: of the first process there is nothing else left."""
    settings = Settings(port=0, xinference_url=NOBODY, data_dir=str(tmp_path), drain=0.0)
    async with serving(settings, demo=False) as (url, _):
        await post(url, task_id="a")
    assert spans.names() == ["accept"]
    settings = Settings(port=0, xinference_url=await emulate(engine), data_dir=str(tmp_path), drain=0.0)
    async with serving(settings, demo=False):
        await eventually(lambda: spans.finished("store"))
    assert spans.trace_ids() == {TRACE}
    assert {spans.parent(name) for name in ("wait", ATTEMPT, "store")} == {spans.id("accept")}


async def test_a_replay_is_no_delivery(server: str, spans: Spans) -> None:
    await post(server, task_id="a")
    await eventually(lambda: spans.finished("store"))
    for _ in range(2):
        async with aiohttp.ClientSession() as http, http.get(f"{server}api/v1/tasks/a/events") as response:
            await response.read()
    assert spans.finished("deliver") == []


async def test_a_refusal(serve: Serve, spans: Spans) -> None:
    """A mistake of the client's is no failure; that the disk is full is one."""
    url = await serve(xinference_url=NOBODY)
    await post(url, prompt="")
    accept = spans.one("accept")
    assert attributes(accept) == {"error.type": "prompt_missing"}
    assert accept.status.status_code is trace.StatusCode.UNSET


async def test_a_failed_acceptance(spans: Spans) -> None:
    app = web.Application()
    gateway = setup(app, Settings(xinference_url=NOBODY))
    async with hosted(app):
        gateway.journal.broken = True
        with pytest.raises(StorageUnavailable):
            await anext(aiter(gateway.generate(prompt=PROMPT, owner="ann")))
        gateway.journal.broken = False
    accept = spans.one("accept")
    assert attributes(accept) == {"error.type": "storage_unavailable"}
    assert accept.status.status_code is trace.StatusCode.ERROR


async def test_the_same_message_again(server: str, spans: Spans) -> None:
    """It may come in another trace: that is no part of its content. The task stays in its own."""
    again = f"00-{'1' * 32}-{'2' * 16}-01"
    first = await post(server, task_id="a")
    second = await post(server, task_id="a", headers={"traceparent": again})
    third = await post(server, task_id="a", traceparent=again)
    assert first["task_id"] == second["task_id"] == third["task_id"]
    assert "code" not in {**second, **third}
    known = [attributes(span)["xinflight.known"] for span in spans.finished("accept")]
    assert known == [False, True, True]
    assert spans.trace_ids() >= {TRACE, "1" * 32}


async def test_host_code_starts_below_its_own_span(engine: Recorder, emulate: Serve, spans: Spans) -> None:
    app = web.Application()
    gateway = setup(app, Settings(xinference_url=await emulate(engine), default_size="64x64"))
    async with hosted(app):
        with trace.get_tracer("host").start_as_current_span("poster"):
            events = [event async for event in gateway.generate(prompt=PROMPT, owner="ann")]
    assert any(isinstance(event, OutputEvent) for event in events)
    assert spans.parent("accept") == spans.id("poster")
    assert len(spans.trace_ids()) == 1
    assert len(spans.finished("deliver")) == 2


async def test_the_document_has_all_spans(server: str, spans: Spans) -> None:
    async with WireClient.connect(server) as client:
        await client.send(action="generate", task_id="a", prompt=PROMPT)
        await client.ends("a")
        await eventually(lambda: len(spans.finished("deliver")) == 2)
    table = (Path(__file__).parent.parent / "docs" / "operations.md").read_text("utf-8").partition("| span |")[2]
    rows = re.findall(r"^\| `(\w+)( MODEL)?`", table.partition("\n\n")[0], re.MULTILINE)
    assert {name for name, _ in rows} == {span.name.partition(" ")[0] for span in spans.finished()}


def traceparents(gateway: Any) -> set[str | None]:
    tasks: list[Task] = [active.task for runner in gateway._pools.runners() for active in runner.ledger.tasks.all()]
    return {task.traceparent for task in tasks}


async def test_without_an_sdk_the_context_is_carried(emulate: Serve) -> None:
    """Over every API, as it was given: what is malformed is left out, and refuses nothing."""
    engine = Recorder([painter()])
    engine.faults = Faults(freeze=1)
    app = web.Application()
    gateway = setup(app, Settings(xinference_url=await emulate(engine), default_size="64x64"))
    other = f"00-{'1' * 32}-{'2' * 16}-00"
    async with hosted(app) as url:
        await eventually(lambda: gateway.upstream.models)
        assert "task_id" in await post(url, headers={"traceparent": "malformed"})
        assert "task_id" in await post(url, headers={"traceparent": "malformed"}, traceparent="malformed too")
        assert traceparents(gateway) == {None}
        await post(url)
        assert traceparents(gateway) == {None, TRACEPARENT}
        async with WireClient.connect(url, headers={"traceparent": TRACEPARENT}) as client:
            await client.send(action="generate", prompt=PROMPT, traceparent=other)
            await client.has(lambda message: message["type"] == "ack")
        assert traceparents(gateway) == {None, TRACEPARENT, other}
        fresh = f"00-{'3' * 32}-{'2' * 16}-00"
        asked = asyncio.create_task(post(url, "v1/images/generations", headers={"traceparent": fresh}))
        await eventually(lambda: fresh in traceparents(gateway))
        asked.cancel()
        await asyncio.wait([asked])
        engine.thaw()
