"""Request ids: taken or drawn, sent back with every response, and in every log line of a request and its task."""

import asyncio
import string
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
import structlog
from aiohttp import web
from openai import AsyncOpenAI, NotFoundError

from clients import Json, WireClient, hosted
from conftest import Serve
from scripted_gateway import ScriptedGateway, turns
from xinflight.app import setup
from xinflight.cli import serving
from xinflight.model import Task
from xinflight.request_ids import choose_request_id
from xinflight.settings import Settings

NOBODY = "http://127.0.0.1:9"
MINE = "abc.DEF_123-4"


@pytest.fixture
def lines() -> Iterator[list[Any]]:
    """Give the log lines as they are written, with what is bound to their context."""
    with structlog.testing.capture_logs(processors=[structlog.contextvars.merge_contextvars]) as lines:
        yield lines


def drawn(request_id: str | None) -> bool:
    return request_id is not None and len(request_id) == 32 and set(request_id) <= set(string.hexdigits)


@pytest.mark.parametrize("given", [MINE, "12345678", "x" * 128, "0" * 8])
def test_a_valid_id_is_taken(given: str) -> None:
    assert choose_request_id(given) == given


@pytest.mark.parametrize(
    "given", [None, "", "1234567", "x" * 129, "with space", "line\nfeed12", "ünicode-id", "12345678\n", "a=b,c=d;e"]
)
def test_any_other_is_replaced(given: str | None) -> None:
    one, two = choose_request_id(given), choose_request_id(given)
    assert drawn(one)
    assert one != two


def test_what_the_host_has_bound_comes_first() -> None:
    with structlog.contextvars.bound_contextvars(request_id="of-the-host"):
        assert choose_request_id(MINE) == choose_request_id() == "of-the-host"
    with structlog.contextvars.bound_contextvars(request_id=7):
        assert choose_request_id(MINE) == MINE


ANSWERS = {
    "": 200,
    "assets/page/main.js": 200,
    "assets/nothing.js": 404,
    "docs/": 200,
    "healthz": 200,
    "api/v1/models": 200,
    "api/v1/tasks/nothing": 404,
    "v1/models/nothing": 404,
    "outputs/nothing": 404,
    "ws/generate": 400,
    "nothing/here": 404,
}


async def test_every_response_has_the_id(server: str) -> None:
    async with aiohttp.ClientSession() as http:
        for path, status in ANSWERS.items():
            async with http.get(server + path, headers={"X-Request-Id": MINE}) as response:
                assert (response.status, response.headers.getall("X-Request-Id")) == (status, [MINE]), path
            async with http.get(server + path, headers={"X-Request-Id": "a b"}) as response:
                assert drawn(response.headers["X-Request-Id"]), path
            async with http.get(server + path, headers={"X-Request-Id": MINE, "Host": "evil.example"}) as response:
                assert response.headers["X-Request-Id"] == MINE, path


async def test_the_handshake_has_it(server: str) -> None:
    async with aiohttp.ClientSession() as http:
        async with http.ws_connect(f"{server}ws/generate", headers={"X-Request-Id": MINE}) as ws:
            assert ws._response.headers["X-Request-Id"] == MINE
        async with http.ws_connect(f"{server}ws/generate") as ws:
            assert drawn(ws._response.headers["X-Request-Id"])


async def test_what_is_no_http_has_one(serve: Serve, lines: list[Any]) -> None:
    url = await serve(xinference_url=NOBODY)
    reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rstrip("/").rpartition(":")[2]))
    writer.write(b"NONSENSE\r\n\r\n")
    head = (await reader.read()).decode()
    writer.close()
    (sent,) = (line.partition(": ")[2] for line in head.splitlines() if line.startswith("X-Request-Id"))
    assert drawn(sent)
    assert [line["request_id"] for line in lines if line["event"] == "malformed request"] == [sent]


async def test_problem_details_have_it(server: str, lines: list[Any]) -> None:
    async with (
        aiohttp.ClientSession() as http,
        http.get(f"{server}api/v1/tasks/nothing", headers={"X-Request-Id": MINE}) as response,
    ):
        assert (await response.json())["request_id"] == MINE
    refused = next(line for line in lines if line["event"] == "request refused")
    assert (refused["request_id"], refused["code"]) == (MINE, "not_found")


async def test_requests_on_one_connection_have_their_own(server: str, lines: list[Any]) -> None:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1)) as http:
        for headers in ({"X-Request-Id": MINE}, {}, {"X-Request-Id": MINE + "5"}):
            async with http.get(f"{server}api/v1/tasks/nothing", headers=headers) as response:
                await response.read()
    logged = [line["request_id"] for line in lines if line["event"] == "request refused"]
    assert (logged[0], logged[2]) == (MINE, MINE + "5")
    assert drawn(logged[1])


async def test_openais_clients_report_it(server: str) -> None:
    async with AsyncOpenAI(base_url=f"{server}v1", api_key="none", max_retries=0) as client:
        models = await client.models.list(extra_headers={"X-Request-Id": MINE})
        assert models._request_id == MINE
        with pytest.raises(NotFoundError) as refused:
            await client.models.retrieve("nothing", extra_headers={"X-Request-Id": MINE})
        assert refused.value.request_id == MINE


async def test_a_task_logs_the_request_that_made_it(server: str, lines: list[Any]) -> None:
    """Its acceptance, its attempts and its end."""
    body: Json = {"prompt": "demo:error", "task_id": "a", "size": "64x64"}
    async with aiohttp.ClientSession() as http:
        async with http.post(f"{server}api/v1/tasks", json=body, headers={"X-Request-Id": MINE}) as response:
            assert response.status == 202
        async with http.get(f"{server}api/v1/tasks/a/events", headers={"Accept": "application/x-ndjson"}) as events:
            await events.read()
    of_task = {line["event"]: line["request_id"] for line in lines if line.get("task") == "a"}
    assert of_task == {"task accepted": MINE, "output failed": MINE, "task ended": MINE}


async def test_lines_of_a_connection_have_its_id_and_the_messages_ref(server: str, lines: list[Any]) -> None:
    async with WireClient.connect(server, headers={"X-Request-Id": MINE}) as client:
        await client.send(action="generate", prompt="x" * 9999, ref="second")
        await client.has(lambda message: message.get("ref") == "second")
        await client.send(action="nonsense", ref="third\x1b[2J\n")
        await client.has(lambda message: message.get("ref", "").startswith("third"))
        await client.send(action="delete", task_id="no task", ref=None)
        await client.has(lambda message: message["type"] == "error" and "ref" not in message)
    await client.closed()
    refused = [line for line in lines if line["event"] == "message refused"]
    assert [line.get("ref") for line in refused] == ["second", r"'third\x1b[2J\n'", None]
    (connection,) = {line["connection"] for line in refused}
    closed = next(line for line in lines if line["event"] == "connection closed")
    assert "ref" not in closed
    assert {(line["request_id"], line["connection"]) for line in (*refused, closed)} == {(MINE, connection)}


async def test_who_cancels_leaves_the_tasks_id(lines: list[Any]) -> None:
    async with ScriptedGateway.begin() as gateway:
        with structlog.contextvars.bound_contextvars(request_id="of-the-task"):
            await gateway.submit(task_id="a")
            await turns()
        with structlog.contextvars.bound_contextvars(request_id="of-the-cancel"):
            await gateway.front.cancel("ann", "a")
            assert gateway.upstream.pending[0].request_id != "of-the-task", "Xinference gets fresh ids of ours"
            gateway.upstream.pending[0].end("aborted")
            await turns()
    assert {line["request_id"] for line in lines if line.get("task") == "a"} == {"of-the-task"}


async def test_it_survives_a_restart(tmp_path: Path, lines: list[Any]) -> None:
    settings = Settings(port=0, xinference_url=NOBODY, data_dir=str(tmp_path), drain=0.0)
    async with (
        aiohttp.ClientSession(headers={"X-Request-Id": MINE}) as http,
        serving(settings, demo=False) as (url, _),
    ):
        async with http.post(f"{url}api/v1/tasks", json={"prompt": "boat", "task_id": "a"}) as response:
            assert response.status == 202
    async with aiohttp.ClientSession() as http, serving(settings, demo=False) as (url, _):
        async with http.post(f"{url}api/v1/tasks/a/cancel") as response:
            assert response.status == 200
    assert [line["request_id"] for line in lines if line["event"] == "task ended"] == [MINE]


def test_a_task_of_an_earlier_version_has_none() -> None:
    defaults = {field.name: field.default for field in msgspec.structs.fields(Task)}
    assert defaults["request_id"] is None


async def test_an_embedded_gateway_takes_the_hosts(lines: list[Any]) -> None:
    """What a middleware of the host has bound names the request, in its response too."""

    @web.middleware
    async def named(request: web.Request, handler: Any) -> web.StreamResponse:
        structlog.contextvars.bind_contextvars(request_id="of-the-host")
        response: web.StreamResponse = await handler(request)
        return response

    app = web.Application(middlewares=[named])
    setup(app, Settings(xinference_url=NOBODY))
    async with (
        hosted(app) as url,
        aiohttp.ClientSession() as http,
        http.get(f"{url}api/v1/tasks/nothing", headers={"X-Request-Id": MINE}) as response,
    ):
        assert response.headers["X-Request-Id"] == "of-the-host"
    assert [line["request_id"] for line in lines if line["event"] == "request refused"] == ["of-the-host"]


async def test_pages_of_other_origins_can_read_it(serve: Serve) -> None:
    url = await serve(xinference_url=NOBODY, allow_origins=("https://art.example",))
    async with (
        aiohttp.ClientSession() as http,
        http.get(f"{url}api/v1/models", headers={"Origin": "https://art.example"}) as response,
    ):
        assert "X-Request-Id" in response.headers["Access-Control-Expose-Headers"].split(", ")
