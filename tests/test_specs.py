"""The specifications: made from the structs, committed as they are made, and what their official tools call valid."""

import inspect
import json
import re
from collections.abc import Iterator
from contextlib import AsyncExitStack
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from playwright.async_api import Browser

from clients import Json, WireClient
from node_tools import node_tools, run_node
from test_bad_input import CASES
from xinflight import setup
from xinflight.errors import XinflightError, leaves
from xinflight.protocol import JSON, CancelOutcome, CloseCode, ServerMessage, State, Step, UpstreamState
from xinflight.settings import Settings
from xinflight.specs import CLIENT, HTTP, MEMBERS, SERVER, schemas, tag
from xinflight.specs import documents as make_documents

pytest_plugins = ["page_fixtures"]

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "docs" / "specs"
PROTOCOL = (ROOT / "docs" / "protocol.md").read_text("utf-8")


NAMES = sorted(file.name for file in FOLDER.iterdir())

documents = cache(make_documents)


def document(name: str) -> Json:
    found: Json = json.loads(documents()[name])
    return found


@cache
def schema() -> Json:
    """Return the schema of the messages. Not made while tests are collected, which every worker does."""
    return document("messages.schema.json")


def validator(name: str) -> Draft202012Validator:
    """Return what holds a value against one schema of the messages."""
    return Draft202012Validator({"$ref": f"#/$defs/{name}", "$defs": schema()["$defs"]})


# As committed, and as told


@pytest.mark.parametrize("name", NAMES)
def test_the_committed_files_are_what_is_made_now(name: str) -> None:
    assert (FOLDER / name).read_bytes() == documents()[name], "run `make specs` and commit docs/specs"


def descriptions(found: Any) -> Iterator[str]:
    match found:
        case dict():
            if isinstance(text := found.get("description"), str):
                yield text
            for value in found.values():
                yield from descriptions(value)
        case list():
            for value in found:
                yield from descriptions(value)


@pytest.mark.parametrize("name", [name for name in NAMES if name.endswith(".json")])
def test_no_description_is_indented(name: str) -> None:
    """Python 3.13 strips the indentation of docstrings itself, older ones don't; in Markdown it makes code blocks."""
    texts = list(descriptions(document(name)))
    assert texts
    assert [text for text in texts if text != inspect.cleandoc(text)] == []


def test_all_are_committed_and_nothing_else() -> None:
    assert set(NAMES) == set(documents())


def below(struct: type[Any]) -> Iterator[type[Any]]:
    for child in struct.__subclasses__():
        yield child
        yield from below(child)


def test_every_message_of_the_server_is_told() -> None:
    assert set(SERVER) == {struct for struct in below(ServerMessage) if not struct.__subclasses__()}


def test_every_field_has_a_description() -> None:
    missing = [
        f"{name}.{field}"
        for name, schema in schemas().items()
        for field, shape in schema.get("properties", {}).items()
        if not shape.get("description")
    ]
    assert missing == []


@pytest.mark.parametrize("enum", [State, Step, CancelOutcome, UpstreamState, CloseCode])
def test_every_word_has_a_meaning(enum: type[Enum]) -> None:
    assert list(MEMBERS[enum]) == list(enum)


def test_every_code_is_told() -> None:
    codes = [leaf.code for leaf in leaves()]
    assert schema()["$defs"]["ErrorCode"]["examples"] == codes
    assert [told["code"] for told in document("asyncapi.json")["x-error-codes"]] == codes
    declarations = documents()["xinflight.d.ts"].decode()
    for code in codes:
        assert f'"{code}"' in declarations


# JSON Schema


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(schema())


def transcript(side: str) -> list[str]:
    lines = [line[3:] for line in PROTOCOL.splitlines() if line.startswith(f"{side}: ")]
    assert len(lines) > 20
    return lines


@pytest.mark.parametrize("line", transcript("S"))
def test_what_the_server_says_in_the_examples_is_valid(line: str) -> None:
    message = json.loads(line)
    # Recorded before it was sent always.
    message.setdefault("protocol", 1)
    validator("ServerMessage").validate(message)


def decodes(frame: str) -> bool:
    try:
        JSON.decode(frame.encode())
    except XinflightError:
        return False
    return True


FRAMES = [
    *transcript("C"),
    *(
        frame
        for kind in ("shapes", "generate", "cancel", "actions")
        for frame, *_ in CASES[kind]
        # Python's parser has no stack for the first; its `$` lets pass a line break that ECMA's does not.
        if "[[[[" not in frame and "a\\n" not in frame
    ),
]


@pytest.mark.parametrize("frame", FRAMES)
def test_schema_and_decoder_agree_on_what_a_client_may_say(frame: str) -> None:
    try:
        message = json.loads(frame)
    except ValueError:
        assert not decodes(frame)
        return
    assert validator("ClientMessage").is_valid(message) is decodes(frame)


def test_the_frames_are_of_both_kinds() -> None:
    assert {decodes(frame) for frame in FRAMES} == {True, False}


@pytest.mark.parametrize(
    "wrong",
    [
        {"type": "pong", "ref": 5},
        {"type": "nobody"},
        {"type": "progress", "task_id": "a", "seq": 1, "message": "", "timestamp": 1.0, "index": 0},
        {"type": "ok"},
        {"type": "error", "code": "internal"},
    ],
)
def test_what_the_server_never_says_is_not_valid(wrong: Json) -> None:
    assert not validator("ServerMessage").is_valid(wrong)


async def test_what_a_server_says_is_valid(client: WireClient) -> None:
    """Everything of one life, refusals and history included."""
    await client.ask(action="generate", prompt="a boat", task_id="a", n=2, metadata=[1], response_format="b64_json")
    await client.ends("a")
    await client.ask(action="generate", prompt="a boat", task_id="b", steps=200)
    await client.ask(action="cancel", task_id="b")
    await client.ends("b")
    for message in (
        {"action": "resume", "scope": "all", "after": client.seen[0]["cursor"]},
        {"action": "mark", "task_id": "a", "starred": True, "tags": ["sea"]},
        {"action": "list"},
        {"action": "prefer", "change": {"theme": "dark", "dock": {"n": 2}}},
        {"action": "preset", "change": {"save": [{"name": "Portrait", "settings": {"n": 2}}]}},
        {"action": "ping", "nonce": "1"},
        {"action": "generate", "prompt": " "},
        {"action": "delete", "task_id": "b"},
    ):
        await client.ask(**message)
    for seen in client.seen:
        validator("ServerMessage").validate(seen)
    # A notice comes only when it must, a queue only while something waits, a delta only of a chat.
    assert {seen["type"] for seen in client.seen} | {"notice", "queue", "delta"} == {tag(struct) for struct in SERVER}


# OpenAPI


def test_openapi_is_valid() -> None:
    OpenAPIV31SpecValidator(document("openapi.json")).validate()


def test_the_validator_finds_what_is_wrong() -> None:
    broken = document("openapi.json")
    del broken["info"]["title"]
    assert list(OpenAPIV31SpecValidator(broken).iter_errors())


NOT_TOLD = {"/ws/generate", "/docs/{name}"}


def test_every_route_is_told_and_every_told_one_is_there() -> None:
    app = web.Application()
    setup(app, Settings())
    routes: dict[str, set[str]] = {}
    for route in app.router.routes():
        assert route.resource is not None
        path = route.resource.canonical
        if path not in NOT_TOLD and route.method not in ("OPTIONS", "HEAD"):
            routes.setdefault(path, set()).add(route.method.lower())
    told = {path: set(item) - {"parameters"} for path, item in document("openapi.json")["paths"].items()}
    assert told == routes


async def test_what_http_answers_is_valid(server: str) -> None:
    asked = [
        ("POST", "api/v1/tasks", {"prompt": "a boat", "task_id": "a"}, 202, "TaskInfo"),
        ("POST", "api/v1/tasks/a/cancel", {}, 200, "CancelledTask"),
        ("GET", "api/v1/tasks/a", None, 200, "TaskInfo"),
        ("GET", "api/v1/tasks", None, 200, "TaskPage"),
        ("GET", "api/v1/tasks?limit=0", None, 422, "Problem"),
        ("GET", "api/v1/tasks/b", None, 404, "Problem"),
        ("GET", "api/v1/models", None, 200, "Models"),
        ("GET", "healthz", None, 200, "Health"),
        ("GET", "readyz", None, 200, "Health"),
        ("GET", "v1/models", None, 200, "OpenAiModels"),
        ("POST", "v1/images/generations", {"prompt": "a boat", "size": "auto"}, 200, "OpenAiImages"),
        ("POST", "v1/images/generations", {"prompt": ""}, 422, "OpenAiError"),
    ]
    paths = document("openapi.json")["paths"]
    async with aiohttp.ClientSession() as http:
        for method, path, body, status, name in asked:
            async with http.request(method, server + path, json=body) as answer:
                assert answer.status == status, path
                validator(name).validate(await answer.json())
                told = paths[
                    f"/{path}".partition("?")[0]
                    .replace("tasks/a", "tasks/{task_id}")
                    .replace("tasks/b", "tasks/{task_id}")
                ]
                assert answer.content_type in told[method.lower()]["responses"][str(status)]["content"], path


def test_every_schema_of_http_is_used() -> None:
    text = documents()["openapi.json"].decode()
    for struct in HTTP:
        assert f'"#/components/schemas/{struct.__name__}"' in text


# AsyncAPI and TypeScript, by their own tools

PARSE = """
const { Parser } = require('@asyncapi/parser');
const text = require('fs').readFileSync(process.argv[1], 'utf8');
new Parser().parse(text).then(({ document, diagnostics }) => {
  const wrong = diagnostics.filter((found) => found.severity < 2);
  for (const found of wrong) console.log(found.code, found.message, found.path.join('.'));
  process.exitCode = document && wrong.length === 0 ? 0 : 1;
});
"""


@pytest.mark.process
@pytest.mark.timeout(300)
def test_asyncapi_is_valid(tmp_path: Path) -> None:
    tools = node_tools()
    done = run_node("-e", PARSE, FOLDER / "asyncapi.json", cwd=tools)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    broken = document("asyncapi.json")
    del broken["components"]["schemas"]["Params"]
    del broken["info"]["title"]
    (tmp_path / "broken.json").write_text(json.dumps(broken), "utf-8")
    done = run_node("-e", PARSE, tmp_path / "broken.json", cwd=tools)
    assert done.returncode == 1
    assert "title" in done.stdout


USE = """
import type { ClientMessage, Generate, ServerMessage } from "./xinflight";

export function told(message: ServerMessage): string | number {
  switch (message.type) {
    case "progress": return message.details?.attempt ?? message.progress;
    case "result": return message.data.data[0].url;
    case "error": return message.code === "timeout" ? message.code : message.message;
    default: return message.type;
  }
}
export const asked: ClientMessage = { action: "generate", prompt: "a boat", n: 2, seed: null };
// @ts-expect-error an action that there is not
export const wrong: ClientMessage = { action: "dance" };
// @ts-expect-error a field of the wrong type
export const two: Generate = { action: "generate", n: "two" };
// @ts-expect-error a message without what is always sent
export const half: ServerMessage = { type: "result", task_id: "a" };
"""


@pytest.mark.process
@pytest.mark.timeout(300)
def test_the_types_are_typescript(tmp_path: Path) -> None:
    compiler = node_tools() / "node_modules" / "typescript" / "bin" / "tsc"
    (tmp_path / "xinflight.d.ts").write_bytes((FOLDER / "xinflight.d.ts").read_bytes())
    (tmp_path / "use.ts").write_text(USE, "utf-8")
    done = run_node(compiler, "--noEmit", "--strict", "use.ts", "xinflight.d.ts", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "")


# As served


async def test_the_documents_are_served(server: str) -> None:
    async with aiohttp.ClientSession() as http:
        for name, content in documents().items():
            async with http.get(f"{server}docs/{name}") as answer:
                assert (answer.status, await answer.read()) == (200, content)
                assert answer.headers["X-Content-Type-Options"] == "nosniff"
                known = {"If-None-Match": answer.headers["ETag"]}
            async with http.get(f"{server}docs/{name}", headers=known) as answer:
                assert (answer.status, await answer.read()) == (304, b"")
            async with http.get(f"{server}docs/{name}", headers={"If-None-Match": '"other"'}) as answer:
                assert answer.status == 200
        async with http.get(f"{server}docs/nothing.json") as answer:
            assert answer.status == 404


async def test_they_are_below_any_prefix(stack: AsyncExitStack) -> None:
    app = web.Application()
    setup(app, Settings(xinference_url="http://127.0.0.1:9"), prefix="/images")
    runner = web.AppRunner(app)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    base = f"http://127.0.0.1:{runner.addresses[0][1]}/images/docs/"
    async with aiohttp.ClientSession() as http:
        async with http.get(base) as answer:
            page = await answer.text()
        files = [name for name in re.findall(r'href="([^"#]+)"', page) if name != "data:,"]
        assert set(files) == {*documents(), "conformance.json", "docs.css"}
        for name in files:
            async with http.get(base + name) as answer:
                assert answer.status == 200, name


async def test_the_page_is_whole(server: str) -> None:
    async with aiohttp.ClientSession() as http, http.get(f"{server}docs/") as answer:
        assert (answer.status, answer.content_type) == (200, "text/html")
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        page = await answer.text()
    assert "<script" not in page
    assert "<style" not in page
    assert " style=" not in page
    anchors = re.findall(r' id="([^"]+)"', page)
    assert len(anchors) == len(set(anchors))
    assert set(re.findall(r'href="#([^"]+)"', page)) <= set(anchors)
    assert {struct.__name__ for struct in (*CLIENT, *SERVER, *HTTP)} <= set(anchors)
    for leaf in leaves():
        assert f"<code>{leaf.code}</code>" in page
    for path in document("openapi.json")["paths"]:
        assert f"</b> {path}</code>" in page


@pytest.mark.parametrize("width", [360, 1280])
async def test_the_page_fits(browser: Browser, server: str, width: int) -> None:
    page = await browser.new_page(viewport={"width": width, "height": 800})
    complaints: list[str] = []
    page.on("console", lambda line: complaints.append(line.text))
    await page.goto(f"{server}docs/")
    assert await page.evaluate("document.documentElement.scrollWidth") <= width
    # The style has arrived: without it, everything would be as wide as the window.
    assert await page.evaluate("getComputedStyle(document.querySelector('article')).borderRadius") == "12px"
    await page.get_by_role("link", name="progress", exact=True).first.click()
    assert await page.evaluate("document.querySelector(':target').id") == "Progress"
    await page.close()
    assert complaints == []
