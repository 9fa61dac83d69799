"""The same mistakes over every transport: the same codes, fields and limits; and the mistakes that only one knows."""

import io
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any, NamedTuple

import aiohttp
import msgspec
import pytest
from aiohttp import WSMsgType

import bad_input_table
from bad_input_chats import CHATS
from bad_input_table import Case
from clients import PAINTER, Json, Recorder, WireClient, painter
from conftest import Serve
from streams import EVENT_STREAM, NDJSON, STREAMS, PackClient, all_lines, shared_server
from xinflight.demo import Emulator
from xinflight.errors import leaves


class Refusal(NamedTuple):
    """What every transport can say of a mistake."""

    code: str
    field: str | None
    limit: str | None


def status_of(code: str) -> int:
    return next(leaf.status for leaf in leaves() if leaf.code == code)


@pytest.fixture
async def http(server: str) -> AsyncIterator[aiohttp.ClientSession]:
    """Give a session on `server`."""
    async with aiohttp.ClientSession(server) as http:
        yield http


async def problem(response: aiohttp.ClientResponse) -> Refusal:
    """Hold an answer to be a problem (RFC 9457) and return what it says."""
    assert response.content_type == "application/problem+json", await response.text()
    body = await response.json(content_type=None)
    assert body["type"] == "about:blank"
    assert body["status"] == response.status == status_of(body["code"])
    assert body["title"]
    assert body["detail"]
    assert response.headers["Content-Language"] == "en"
    assert response.headers["Cache-Control"] == "no-store"
    assert ("Retry-After" in response.headers) == ("retry_after" in body) == (response.status in (429, 503))
    return Refusal(body["code"], body.get("field"), body.get("limit"))


async def openai_problem(response: aiohttp.ClientResponse) -> Refusal:
    """Hold an answer to be an error of OpenAI's; its limit is at the end of the message."""
    assert response.content_type == "application/json", await response.text()
    error = (await response.json())["error"]
    assert response.status == status_of(error["code"])
    assert error["type"] == ("invalid_request_error" if response.status < 500 else "server_error")
    assert response.headers["X-Should-Retry"] in ("true", "false")
    _, _, hints = error["message"].rstrip(")").partition(" (")
    limit = hints.removeprefix(error["param"] or "").removeprefix(": ")
    assert hints == ": ".join(filter(None, (error["param"], limit)))
    return Refusal(error["code"], error["param"], limit or None)


Ask = Callable[[str, Json], Awaitable[Refusal]]
"""Asks for an action with some fields, and returns the refusal."""


def over_socket(client: WireClient) -> Ask:
    async def ask(action: str, fields: Json) -> Refusal:
        await client.send(action=action, **fields)
        answer = await client.receive()
        assert answer["type"] == "error", answer
        assert "seq" not in answer
        return Refusal(answer["code"], answer.get("field"), answer.get("limit"))

    return ask


def over_rest(http: aiohttp.ClientSession, accept: str) -> Ask:
    async def ask(action: str, fields: Json) -> Refusal:
        path = f"/api/v1/tasks/{fields.get('task_id', '')}"
        headers = {"Accept": accept}
        match action:
            case "generate":
                asked = http.post("/api/v1/tasks", json=fields, headers=headers)
            case "chat":
                asked = http.post("/api/v1/chats", json=fields, headers=headers)
            case "cancel":
                body = {name: value for name, value in fields.items() if name != "task_id"}
                asked = http.post(f"{path}/cancel", json=body)
            case "delete":
                asked = http.delete(path)
            case "list":
                asked = http.get("/api/v1/tasks", params=fields, headers=headers)
            case "follow" if "task_id" in fields:
                asked = http.get(f"{path}/events", params={"after": fields["after"]}, headers=headers)
            case "follow":
                asked = http.get("/api/v1/events", headers={**headers, "Last-Event-ID": fields["after"]})
            case _:
                raise AssertionError(action)
        async with asked as response:
            return await problem(response)

    return ask


def over_openai(http: aiohttp.ClientSession, *, stream: bool) -> Ask:
    async def ask(action: str, fields: Json) -> Refusal:
        path = {"generate": "/v1/images/generations", "chat": "/v1/chat/completions"}[action]
        async with http.post(path, json={**fields, "stream": stream}) as response:
            return await openai_problem(response)

    return ask


@pytest.fixture(params=["json", "msgpack", "rest", "sse", "ndjson", "openai", "openai stream"])
async def transport(
    request: pytest.FixtureRequest, server: str, http: aiohttp.ClientSession, stack: AsyncExitStack
) -> Ask:
    """Give one way to ask after the other."""
    match request.param:
        case "json":
            return over_socket(await stack.enter_async_context(WireClient.connect(server)))
        case "msgpack":
            return over_socket(await stack.enter_async_context(PackClient.connect(server)))
        case "rest":
            return over_rest(http, "application/json")
        case "sse":
            return over_rest(http, EVENT_STREAM)
        case "ndjson":
            return over_rest(http, NDJSON)
    return over_openai(http, stream=request.param == "openai stream")


def only(*names: str) -> pytest.MarkDecorator:
    """Run a test with some transports only."""
    return pytest.mark.parametrize("transport", names, indirect=True)


async def refuses(ask: Ask, action: str, table: list[Case]) -> None:
    """Hold a transport to the table."""
    for fields, code, field, limit in table:
        told = await ask(action, fields)
        assert told[:2] == (code, field), fields
        if limit is not None:
            assert told.limit == limit, fields


@pytest.fixture
async def engine() -> Recorder:
    """Give an emulator with a model that draws and one that does not."""
    return Recorder([painter(uid="reader", abilities=("ocr",)), PAINTER])


async def test_generate(transport: Ask, engine: Recorder) -> None:
    """Code, field and limit are the same over every transport, and nothing is sent to any model."""
    await refuses(transport, "generate", bad_input_table.GENERATE + bad_input_table.MODELS)
    assert engine.posts == []


async def test_chat(transport: Ask, engine: Recorder) -> None:
    await refuses(transport, "chat", CHATS)
    assert engine.posts == []


@only("json", "rest", "sse", "ndjson", "openai", "openai stream")
async def test_integers_that_only_json_has(transport: Ask) -> None:
    await refuses(transport, "generate", bad_input_table.LARGE_INTEGERS)


@only("json", "msgpack", "rest")
async def test_cancel(transport: Ask) -> None:
    await refuses(transport, "cancel", bad_input_table.CANCEL)


@only("json", "msgpack", "rest")
async def test_delete(transport: Ask) -> None:
    await refuses(transport, "delete", bad_input_table.DELETE)


@only("json", "msgpack", "rest", "ndjson")
async def test_list(transport: Ask) -> None:
    await refuses(transport, "list", bad_input_table.LIST)


@only("json", "msgpack", "sse", "ndjson")
@pytest.mark.parametrize("whole", [True, False], ids=["all", "one task"])
async def test_cursors(transport: Ask, server: str, *, whole: bool) -> None:
    """What is no cursor is refused, in the query and as Last-Event-ID."""
    async with WireClient.connect(server) as client:
        await client.ask(action="generate", prompt="boat", task_id="a", steps=1)
    which = {"scope": "all"} if whole else {"task_id": "a"}
    await refuses(
        transport, "follow", [case._replace(fields={**case.fields, **which}) for case in bad_input_table.AFTER]
    )


CHATS_AT = ("/api/v1/chats", "/v1/chat/completions")
BODIES = [
    *("/api/v1/tasks", "/v1/images/generations", "/api/v1/tasks/a/cancel"),
    *CHATS_AT,
]
"""Paths that read a body."""


@pytest.mark.parametrize("path", BODIES)
async def test_bodies(http: aiohttp.ClientSession, path: str) -> None:
    """What is no JSON, or no object, is told apart as on the WebSocket; so is broken UTF-8."""
    told = openai_problem if path.startswith("/v1/") else problem
    bodies = [(raw.data.encode(), raw.code) for raw in bad_input_table.NOT_JSON + bad_input_table.NO_OBJECT]
    for broken in (b"\xff", b"\xed\xa0\x80", b"\xc3"):
        bodies += [(b'{"prompt":"%b"}' % broken, "not_json"), (b'{"prompt":"boat","x":"%b"}' % broken, "not_json")]
    if path.endswith("cancel"):
        bodies = [body for body in bodies if body[0]]  # an empty one cancels all of the task
    if path in CHATS_AT:
        bodies = [(body.replace(b'"action":"generate",', b""), code) for body, code in bodies]
    for body, code in bodies:
        async with http.post(path, data=body, headers={"Content-Type": "application/json"}) as response:
            assert (await told(response)).code == code, body


@pytest.mark.parametrize("path", [*BODIES, "/api/v1/notices"])
async def test_content_types(http: aiohttp.ClientSession, path: str) -> None:
    """A form is no JSON; whoever sends one is told what is wanted."""
    told = openai_problem if path.startswith("/v1/") else problem
    for wrong in (
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/octet-stream",
        "application/msgpack",
    ):
        async with http.post(path, data=b'{"prompt":"boat"}', headers={"Content-Type": wrong}) as response:
            assert await told(response) == Refusal("unsupported_type", "Content-Type", "application/json")
    async with http.post(path, data=aiohttp.FormData({"prompt": "boat"})) as response:
        assert (await told(response)).code == "unsupported_type"


@pytest.mark.parametrize("path", BODIES)
async def test_bodies_over_the_limit(http: aiohttp.ClientSession, path: str) -> None:
    """64 KiB and a byte are too much, or for a chat 1 MiB and a byte, sent at once or in chunks."""
    told = openai_problem if path.startswith("/v1/") else problem
    most = 2**20 if path in CHATS_AT else bad_input_table.FRAME
    too_large = Refusal("frame_too_large", None, f"{most} bytes")
    body = b'{"index":63}'
    headers = {"Content-Type": "application/json"}
    async with http.post(path, data=io.BytesIO(body.ljust(most)), headers=headers) as response:
        assert (await told(response)).code != "frame_too_large"
    async with http.post(path, data=io.BytesIO(body.ljust(most + 1)), headers=headers) as response:
        assert await told(response) == too_large

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(64):
            yield b" " * (most // 32)

    async with http.post(path, data=chunks(), headers=headers) as response:
        assert await told(response) == too_large


async def test_accept(http: aiohttp.ClientSession) -> None:
    """What can't be written is refused before anything is done; what can be is chosen by weight."""
    offered = {
        "/api/v1/tasks": "application/json, application/x-ndjson",
        "/api/v1/tasks/a": "application/json",
        "/api/v1/models": "application/json",
        "/api/v1/tasks/a/events": "text/event-stream, application/x-ndjson",
        "/api/v1/events": "text/event-stream, application/x-ndjson",
    }
    for path, limit in offered.items():
        for wrong in (
            "text/html",
            "image/png, application/xml",
            "*/*;q=0",
            "application/json;q=x, text/event-stream; q=0",
        ):
            async with http.get(path, headers={"Accept": wrong}) as response:
                assert await problem(response) == Refusal("not_acceptable", "Accept", limit)
    async with http.post("/api/v1/tasks", json={"prompt": "boat"}, headers={"Accept": "text/html"}) as response:
        assert (await problem(response)).code == "not_acceptable"
    async with http.get("/api/v1/tasks") as response:
        assert (await response.json())["tasks"] == []


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        ("*/*", "application/json"),
        ("", "application/json"),
        ("application/*", "application/json"),
        ("text/*", EVENT_STREAM),
        ("application/json, text/event-stream", "application/json"),
        ("text/event-stream, application/json", EVENT_STREAM),
        ("application/json;q=0.5, text/event-stream", EVENT_STREAM),
        ("application/json; q=0.5 , application/x-ndjson;q=0.6", NDJSON),
        ("application/json;q=0, */*", EVENT_STREAM),
        ("Text/Event-Stream", EVENT_STREAM),
        ("text/html, */*;q=0.1", "application/json"),
    ],
)
async def test_accept_chooses(http: aiohttp.ClientSession, accept: str, chosen: str) -> None:
    body = {"prompt": "boat", "steps": 1}
    async with http.post("/api/v1/tasks", json=body, headers={"Accept": accept}) as response:
        assert response.content_type == chosen


async def test_idempotency_keys(http: aiohttp.ClientSession) -> None:
    """The header is a task id like any other, and must not contradict the body."""
    for key in ("", "a b", "x" * 65, "a/b"):
        async with http.post("/api/v1/tasks", json={"prompt": "a"}, headers={"Idempotency-Key": key}) as response:
            assert (await problem(response))[:2] == ("bad_task_id", "Idempotency-Key")
    body = {"prompt": "a", "task_id": "mine"}
    async with http.post("/api/v1/tasks", json=body, headers={"Idempotency-Key": "other"}) as response:
        assert (await problem(response))[:2] == ("bad_task_id", "Idempotency-Key")


async def test_a_stream_is_asked_for_with_true_or_false(http: aiohttp.ClientSession) -> None:
    async with http.post("/v1/images/generations", json={"prompt": "boat", "stream": "yes"}) as response:
        assert (await openai_problem(response))[:2] == ("wrong_shape", "stream")


async def test_nulls_and_what_only_openai_knows(http: aiohttp.ClientSession) -> None:
    """Its clients send null for what was not given, and fields for its own models."""
    body = {"prompt": "boat", "n": None, "size": "auto", "steps": 1, "quality": "hd", "user": "x", "stream": None}
    async with http.post("/v1/images/generations", json=body) as response:
        assert response.status == 200


async def test_methods_and_paths_that_are_not_there(http: aiohttp.ClientSession) -> None:
    async with http.put("/api/v1/tasks") as response:
        assert response.status == 405
        assert set(response.headers["Allow"].split(",")) >= {"GET", "POST"}
    async with http.head("/api/v1/events") as response:
        assert response.status == 405
    async with http.get("/api/v1/nothing") as response:
        assert response.status == 404


# Cursors that are none of this server


@pytest.mark.parametrize("kind", STREAMS)
async def test_cursors_that_lead_nowhere(http: aiohttp.ClientSession, client: WireClient, kind: str) -> None:
    """A gap is told first, with the cursor to go on from; of one task everything comes again."""
    epoch = client.seen[0]["epoch"]
    await client.ask(action="generate", prompt="boat", task_id="a", steps=1)
    seq = (await client.ends("a"))["a"]["seq"]
    whole = None
    headers = {"Accept": kind}
    for wrong in (f"{epoch}:{seq + 1}", f"{epoch}:9999999999999999", "0123456789abcdef:0", f"0123456789abcdef:{seq}"):
        async with http.get("/api/v1/tasks/a/events", params={"after": wrong}, headers=headers) as response:
            gap, *events = await all_lines(response)
        assert gap.data == {"type": "recovered", "recovered": False, "cursor": f"{epoch}:0"}
        assert gap.id == (f"{epoch}:0" if kind == EVENT_STREAM else None)
        assert [line.data["type"] for line in events] == ["accepted", "output", "result"]
        whole = whole or events
        assert events == whole
        async with http.get("/api/v1/events", params={"after": wrong}, headers=headers) as response:
            line = json.loads((await anext(messages(response))).removeprefix("data: "))
            assert line == {"type": "recovered", "recovered": False, "cursor": f"{epoch}:{seq}"}
    for right, kinds in (("0", ["accepted", "output", "result"]), (str(seq - 1), ["result"])):
        async with http.get(f"/api/v1/tasks/a/events?after={epoch}:{right}", headers=headers) as response:
            assert [line.data["type"] for line in await all_lines(response)] == kinds


async def messages(response: aiohttp.ClientResponse) -> AsyncIterator[str]:
    """Yield the lines with a message as they are."""
    async for raw in response.content:
        line = raw.decode().strip()
        if line and not line.startswith(("id:", ":")):
            yield line


async def test_a_stream_for_a_task_that_ended(http: aiohttp.ClientSession, client: WireClient) -> None:
    """Without a cursor it is told from its start and ends; at its end there is 204, and after its deletion 404."""
    await client.ask(action="generate", prompt="boat", task_id="a", steps=1)
    await client.ends("a")
    cursor = ""
    for kind in STREAMS:
        headers = {"Accept": kind}
        async with http.get("/api/v1/tasks/a/events", headers=headers) as response:
            told = await all_lines(response)
        assert [line.data["type"] for line in told] == ["accepted", "output", "result"]
        cursor = f"{client.seen[0]['epoch']}:{told[-1].data['seq']}"
        async with http.get("/api/v1/tasks/a/events", headers={**headers, "Last-Event-ID": cursor}) as response:
            assert (response.status, await response.read()) == (204, b"")
    async with http.delete("/api/v1/tasks/a") as response:
        assert response.status == 204
    for after in ("", "?after=" + cursor):
        async with http.get("/api/v1/tasks/a/events" + after) as response:
            assert await problem(response) == Refusal("not_found", "task_id", None)


# Whose it is


async def test_what_is_not_ones_own_is_not_found(emulate: Serve) -> None:
    """Another owner's task looks like one that never was: same status, same body, over every transport."""
    engine = Emulator([PAINTER])
    async with (
        shared_server(xinference_url=await emulate(engine)) as (url, _),
        aiohttp.ClientSession(url, headers={"X-User": "ann"}) as ann,
        aiohttp.ClientSession(url, headers={"X-User": "bob"}) as bob,
    ):
        async with ann.post("/api/v1/tasks", json={"prompt": "a", "task_id": "hers", "steps": 100}) as response:
            assert response.status == 202
        for task_id in ("hers", "nobodys"):
            for method, path in (
                ("GET", ""),
                ("GET", "/events"),
                ("GET", "/outputs/0"),
                ("DELETE", ""),
                ("POST", "/cancel"),
            ):
                async with bob.request(method, f"/api/v1/tasks/{task_id}{path}") as response:
                    assert await problem(response) == Refusal("not_found", "task_id", None)
            async with bob.post(f"/api/v1/tasks/{task_id}/cancel", json={"index": 0}) as response:
                assert await problem(response) == Refusal("not_found", "task_id", None)
        async with bob.get("/api/v1/tasks") as response:
            assert (await response.json())["tasks"] == []
        async with bob.post("/api/v1/tasks", json={"prompt": "b", "task_id": "hers", "steps": 1}) as response:
            assert response.status == 202
        async with ann.get("/api/v1/tasks/hers") as response:
            assert (await response.json())["params"]["prompt"] == "a"
        async with ann.post("/api/v1/tasks/hers/cancel") as response:
            assert (await response.json())["was"] in ("queued", "starting", "running")


PING = {"action": "ping"}


async def test_nobody_is_let_in(emulate: Serve) -> None:
    """Without a log-in each transport says 401 (the WebSocket closes 4401) and does nothing."""
    engine = Recorder([PAINTER])
    async with shared_server(xinference_url=await emulate(engine)) as (url, _), aiohttp.ClientSession(url) as http:
        for method, path in (
            ("POST", "/api/v1/tasks"),
            ("GET", "/api/v1/tasks"),
            ("GET", "/api/v1/tasks/a"),
            ("DELETE", "/api/v1/tasks/a"),
            ("POST", "/api/v1/tasks/a/cancel"),
            ("GET", "/api/v1/tasks/a/events"),
            ("GET", "/api/v1/tasks/a/outputs/0"),
            ("GET", "/api/v1/events"),
            ("GET", "/api/v1/models"),
            ("POST", "/api/v1/notices"),
        ):
            async with http.request(method, path, json={"prompt": "a"} if method == "POST" else None) as response:
                assert (await problem(response)).code == "unauthorised", path
                assert response.headers["WWW-Authenticate"] == "Bearer"
        async with http.post("/v1/images/generations", json={"prompt": "a"}) as response:
            assert (await openai_problem(response)).code == "unauthorised"
        async with http.get("/v1/models") as response:
            assert (await openai_problem(response)).code == "unauthorised"
        for protocols in ((), ("xinflight.v1.msgpack",)):
            async with http.ws_connect("/ws/generate", protocols=protocols) as ws:
                # No token: the answer comes at once, not after the time in which one may be sent.
                await (ws.send_bytes(msgspec.msgpack.encode(PING)) if protocols else ws.send_json(PING))
                assert (await ws.receive()).type is WSMsgType.CLOSE
                assert ws.close_code == 4401
        assert engine.posts == []


# MessagePack


def pack(**fields: Any) -> bytes:
    return msgspec.msgpack.encode({"action": "generate", "prompt": "a boat", **fields})


MSGPACK_FRAMES = [
    (b"", "not_json", None),
    (b"\xc1", "not_json", None),
    (b"\x81\xa6action", "not_json", None),
    (pack() + b"\x00", "not_json", None),
    (b'{"action":"ping"}', "wrong_shape", None),
    (b"\x82\xa6action\xa4ping\xa5nonce\xa1\xff", "not_json", None),
    (b"\x82\xa6action\xa4ping\xa1x" + b"\x91" * 50_000 + b"\x90", "not_json", None),
    (b"\x91" * 60_000, "wrong_shape", None),
    (msgspec.msgpack.encode([1]), "wrong_shape", None),
    (msgspec.msgpack.encode({"action": "paint"}), "unknown_action", "action"),
    (msgspec.msgpack.encode({"action": "generate", 1: 2}), "wrong_shape", None),
    (pack(prompt=b"bytes"), "wrong_shape", "prompt"),
    (pack(guidance_scale=float("nan")), "out_of_bounds", "guidance_scale"),
    (pack(timeout=float("inf")), "out_of_bounds", "timeout"),
    (pack(metadata=b"bytes"), "wrong_shape", "metadata"),
    (pack(metadata={"deep": [float("nan")]}), "wrong_shape", "metadata"),
    (pack(metadata={1: 2}), "wrong_shape", "metadata"),
    (pack(metadata=msgspec.msgpack.Ext(5, b"x")), "wrong_shape", "metadata"),
    (pack(metadata=b"x" * 2000), "out_of_bounds", "metadata"),
    (pack(metadata="x" * 1023), "out_of_bounds", "metadata"),
    (pack(x="x" * bad_input_table.FRAME), "frame_too_large", None),
]


async def test_messagepack_frames(server: str, engine: Recorder) -> None:
    """What MessagePack can say and JSON can't is refused too, and the socket stays open."""
    async with PackClient.connect(server) as client:
        for frame, code, field in MSGPACK_FRAMES:
            await client.ws.send_bytes(frame)
            answer = await client.receive()
            assert (answer["type"], answer["code"], answer.get("field")) == ("error", code, field), frame[:80]
        assert (await client.ask(action="ping", nonce="n"))["nonce"] == "n"
        assert (await client.ask(action="paint"))["code"] == "unknown_action"
    assert engine.posts == []


async def test_text_frames_where_bytes_are_agreed(server: str) -> None:
    """Text is refused on MessagePack, as bytes are on JSON, and the socket stays open."""
    async with PackClient.connect(server) as client:
        for text in ('{"action":"generate","prompt":"boat"}', ""):
            await client.ws.send_str(text)
            assert (await client.receive())["code"] == "text_frame"
        assert (await client.ask(action="ping"))["type"] == "pong"


@pytest.mark.parametrize("offered", [("xinflight.v2.json",), ("graphql-ws", "json"), ("xinflight.v1.JSON",)])
async def test_sub_protocols_that_are_unknown(server: str, offered: tuple[str, ...]) -> None:
    """The socket opens, is closed with 4406, and is told what there is."""
    async with aiohttp.ClientSession() as http, http.ws_connect(f"{server}ws/generate", protocols=offered) as ws:
        frame = await ws.receive()
        assert (frame.type, ws.close_code) == (WSMsgType.CLOSE, 4406)
        assert frame.extra == "xinflight.v1.json, xinflight.v1.msgpack"
        assert ws.protocol is None


async def test_the_first_known_sub_protocol_is_taken(server: str) -> None:
    async with aiohttp.ClientSession() as http:
        for offered, chosen in (
            (("x", "xinflight.v1.msgpack", "xinflight.v1.json"), "xinflight.v1.msgpack"),
            (("xinflight.v1.json", "xinflight.v1.msgpack"), "xinflight.v1.json"),
        ):
            async with http.ws_connect(f"{server}ws/generate", protocols=offered) as ws:
                assert ws.protocol == chosen
                kind = WSMsgType.BINARY if chosen.endswith("msgpack") else WSMsgType.TEXT
                assert (await ws.receive()).type is kind
