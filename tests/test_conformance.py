"""The conformance kit: our server keeps all of it."""

import asyncio
import re
import sys
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from conformance_kit import KIT, on_one_server, serving_kit
from xinflight.errors import leaves
from xinflight.protocol import CODECS
from xinflight.testing import (
    OPERATORS,
    BadPattern,
    Exchange,
    ExchangeFailed,
    Message,
    Mismatch,
    Step,
    fill,
    match,
    run_exchange,
)
from xinflight.testing.__main__ import connector

DOCS = Path(__file__).parent.parent / "docs"
CASES = [
    pytest.param(exchange, subprotocol, id=f"{exchange.number}-{subprotocol.rpartition('.')[2]}")
    for exchange in KIT.exchanges
    for subprotocol in CODECS
    if exchange.only in (None, subprotocol)
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """Give the base URL of one server for all exchanges, as those have who run the kit."""
    async with serving_kit(tmp_path_factory.mktemp("server")) as url:
        yield url


@pytest_asyncio.fixture(loop_scope="module")
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.mark.parametrize(("exchange", "subprotocol"), CASES)
@on_one_server
async def test_our_server_keeps_it(
    exchange: Exchange, subprotocol: str, server: str, http: aiohttp.ClientSession
) -> None:
    connect = connector(http, f"{server}ws/generate", subprotocol)
    await run_exchange(exchange, connect, always=KIT.always, seconds=20.0)


# The kit as data


def test_the_numbers_count_and_titles_differ() -> None:
    assert [exchange.number for exchange in KIT.exchanges] == list(range(1, len(KIT.exchanges) + 1))
    assert len({exchange.title for exchange in KIT.exchanges}) == len(KIT.exchanges)


def test_the_sections_are_those_of_the_protocol() -> None:
    text = (DOCS / "protocol.md").read_text("utf-8")
    titles = set()
    chapter = ""
    for marks, title in re.findall(r"^(##+) (.+)$", text, re.MULTILINE):
        chapter = title if marks == "##" else chapter
        titles.add(title if marks == "##" else f"{chapter.partition(' ')[0]} {title}")
    for exchange in KIT.exchanges:
        assert set(exchange.section.split("; ")) <= titles, exchange.title


def steps() -> list[Step]:
    return [step for exchange in KIT.exchanges for step in exchange.steps]


def test_every_action_is_used() -> None:
    assert {step.send["action"] for step in steps() if step.send and "action" in step.send} >= {
        "generate",
        "cancel",
        "resume",
        "follow",
        "unfollow",
        "list",
        "delete",
        "move",
        "pause",
        "unpause",
        "chat",
        "ping",
    }


def test_every_refusal_that_any_server_can_be_brought_to_is_expected() -> None:
    expected = {step.expect["code"] for step in steps() if step.expect and isinstance(step.expect.get("code"), str)}
    # These need a setting, trouble at Xinference or on the disk, a frame of 64 KiB, or are told over HTTP only.
    others = {
        "frame_too_large",
        "unsupported_type",
        "body_timeout",
        "not_acceptable",
        "unauthorised",
        "token_expired",
        "ambiguous_credentials",
        "account_busy",
        "bad_image",
        "too_many_uploads",
        "images_unsupported",
        "interrupted",
        "too_many_shares",
        "forbidden",
        "too_many_tasks",
        "rate_limited",
        "quota_exceeded",
        "too_many_connections",
        "model_unsuitable",
        "storage_unavailable",
        "shutting_down",
        "cancelled",
        "internal",
    }
    assert expected | others == {leaf.code for leaf in leaves() if not leaf.code.startswith("upstream_")}
    assert not expected & others


# A server that does something else is found out; of each single lie see test_conformance_lies.py


@on_one_server
async def test_a_refusal_that_nobody_expects_fails_at_once(server: str, http: aiohttp.ClientSession) -> None:
    steps = [Step(send={"action": "generate", "prompt": ""}), Step(expect={"type": "ack"})]
    exchange = Exchange(number=1, title="wrong", section="", steps=steps)
    with pytest.raises(ExchangeFailed, match="prompt_missing"):
        await run_exchange(exchange, connector(http, f"{server}ws/generate"))


@on_one_server
async def test_a_close_is_told(server: str, http: aiohttp.ClientSession) -> None:
    connect = connector(http, f"{server}ws/generate")
    refused = Exchange(number=1, title="", section="", steps=[Step(expect={"type": "welcome"}, offer=["nobody"])])
    with pytest.raises(ExchangeFailed, match="closed with 4406"):
        await run_exchange(refused, connect)
    other = Exchange(number=1, title="", section="", steps=[Step(closed=4401, offer=["nobody"])])
    with pytest.raises(ExchangeFailed, match="closed with 4406"):
        await run_exchange(other, connect)
    open_still = Exchange(number=1, title="", section="", steps=[Step(closed=4401)])
    with pytest.raises(ExchangeFailed, match="was not closed"):
        await run_exchange(open_still, connect, seconds=0.1)
    with pytest.raises(BadPattern):
        await run_exchange(Exchange(number=1, title="", section="", steps=[Step()]), connect)


# The matching language


def test_the_language_is_described() -> None:
    text = (DOCS / "conformance.md").read_text("utf-8")
    assert set(re.findall(r"`(\$[a-z]+)`", text)) == {*OPERATORS, "$save"}
    for struct in (Exchange, Step):
        for key in struct.__struct_encode_fields__:
            assert re.search(rf"^\|[^|]*`{key}`", text, re.MULTILINE), key


MESSAGE = {"type": "x", "n": 1, "f": 1.0, "t": True, "s": "abc", "l": [1, {"a": 2}], "b": b"1", "m": {"k": None}}


@pytest.mark.parametrize(
    "pattern",
    [
        {},
        {"n": 1, "f": 1},
        {"n": 1.0},
        {"l": [1, {}], "m": {"k": None}},
        {"n": {"$type": "integer", "$min": 1, "$max": 1, "$above": 0}},
        {"n": {"$type": "number"}, "t": {"$type": "boolean"}, "s": {"$type": "string"}},
        {"l": {"$type": "array", "$length": 2, "$has": {"a": {"$min": 2}}}, "m": {"$type": "object"}},
        {"b": {"$type": "bytes"}},
        {"s": {"$regex": "a.c", "$in": ["abc"], "$not": "abd"}, "gone": {"$absent": True}, "n": {"$absent": False}},
    ],
)
def test_patterns_that_match(pattern: Message) -> None:
    assert match(pattern, MESSAGE, {}) == {}


@pytest.mark.parametrize(
    "pattern",
    [
        {"n": 2},
        {"n": True},
        {"t": 1},
        {"gone": None},
        {"l": [1]},
        {"l": {"a": 1}},
        {"s": {"k": 1}},
        {"f": {"$type": "integer"}},
        {"t": {"$type": "integer"}},
        {"t": {"$type": "number"}},
        {"s": {"$type": "bytes"}},
        {"s": {"$min": 0}},
        {"n": {"$above": 1}},
        {"n": {"$max": 0}},
        {"s": {"$regex": "ab"}},
        {"l": {"$has": 2}},
        {"l": {"$length": 1}},
        {"n": {"$absent": True}},
        {"gone": {"$absent": False}},
        {"n": {"$not": {"$in": [1, 2]}}},
    ],
)
def test_patterns_that_do_not_match(pattern: Message) -> None:
    with pytest.raises(Mismatch):
        match(pattern, MESSAGE, {})


def test_variables_are_saved_and_filled_in() -> None:
    saved = match({"n": {"$save": "one"}, "l": [{"$save": "two"}, {}]}, MESSAGE, {})
    assert saved == {"one": 1, "two": 1}
    assert fill(["${one}", "a-${one}", {"k": "${two}"}, 5], saved) == [1, "a-1", {"k": 1}, 5]
    assert match({"n": {"$min": "${one}"}}, MESSAGE, saved) == {}


@pytest.mark.parametrize("pattern", [{"n": {"$like": 1}}, {"n": {"$type": "float"}}, {"n": "${nobody}"}])
def test_patterns_that_make_no_sense(pattern: Message) -> None:
    with pytest.raises(BadPattern):
        match(pattern, MESSAGE, {})


# The command


@pytest.mark.process
@on_one_server
async def test_the_command(server: str) -> None:
    url = f"{server.replace('http', 'ws', 1)}ws/generate"
    said, code = await told(url, "--only", "3", "--only", "4", "--only", "30", "--msgpack")
    assert code == 0, said
    assert re.findall(r"^ok +(\d+)\.", said, re.MULTILINE) == ["3", "4", "30"]
    said, code = await told(url, "--only", "54")
    assert (code, said) == (0, "ok     54. A text comes piece by piece, then as a whole\n")
    said, code = await told(url, "--only", "9", "--seconds", "0.01")
    assert code == 1
    assert "FAILED 9. " in said
    said, code = await told("ws://127.0.0.1:9/ws/generate", "--only", "3")
    assert code == 1
    assert "Error: Can't connect to" in said


async def told(*arguments: str) -> tuple[str, int]:
    """Run the command as a user does; return what it said and its exit code."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-W", "error", "-m", "xinflight.testing", *arguments, stdout=PIPE, stderr=STDOUT
    )
    said = (await process.communicate())[0].decode()
    assert process.returncode is not None
    return said, process.returncode
