"""Texts for people: complete in both languages, and in the language that was requested."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients import WireClient
from xinflight import errors, i18n
from xinflight.i18n import LANGUAGES, choose_language, translate
from xinflight.protocol import CancelOutcome, State, Step, UpstreamState

KEYS = [
    *(leaf.code for leaf in errors.leaves()),
    *Step,
    *CancelOutcome,
    *(f"upstream.{state}" for state in UpstreamState),
    *(f"cure.{state}" for state in UpstreamState),
    *(state for state in State if state not in (State.QUEUED, State.STARTING, State.RUNNING)),
    *(
        "ack",
        "accepted",
        "output",
        "output.text",
        "output.video",
        "draining",
        "deleted",
        "erased",
        "expiring",
        "marked",
        "preferences",
        "presets",
        "share_gone",
        "unknown",
    ),
]


@pytest.mark.parametrize("key", sorted(set(KEYS)))
def test_every_text_is_there_in_both_languages(key: str) -> None:
    """A code without a text would end the connection that it is sent on."""
    english, chinese = (translate(key, lang) for lang in LANGUAGES)
    if key != "cure.ready":
        assert english
        assert chinese
        assert any(letter in string.ascii_letters for letter in english)
        assert any("\u4e00" <= sign <= "\u9fff" for sign in chinese)


def test_a_code_of_another_version() -> None:
    """What an older or newer server stored is told in general words instead of ending the connection."""
    for lang in LANGUAGES:
        assert translate("a_code_of_tomorrow", lang) == translate("unknown", lang)


def test_no_word_is_left_over() -> None:
    """Every entry is said somewhere."""
    assert set(i18n._TEXTS) == set(KEYS)


@pytest.mark.parametrize(
    ("wanted", "lang"),
    [
        (None, "en"),
        ("", "en"),
        ("zh-CN", "zh-CN"),
        ("zh", "zh-CN"),
        ("ZH-tw", "zh-CN"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh-CN"),
        ("en-GB,en;q=0.9,zh;q=0.8", "en"),
        ("zh;q=0.2, en;q=0.7", "en"),
        ("zh; q=0.8, en; q=0.2", "zh-CN"),
        ("fr, zh;q=0.5", "zh-CN"),
        ("fr", "en"),
        ("zhuang", "en"),
        ("zh;q=no, en", "en"),
        ("zh;q=0", "en"),
    ],
)
def test_the_language_asked_for(wanted: str | None, lang: str) -> None:
    """The heaviest tag that is known counts, else the default (RFC 9110 section 12.5.4)."""
    assert choose_language(wanted, "en") == lang


@given(st.text())
def test_any_header(header: str) -> None:
    """Whatever a header says, a language comes of it."""
    assert choose_language(header, "en") in LANGUAGES


@pytest.mark.parametrize("key", ["failed", "cancelled", "expired", "upstream_failed"])
def test_what_ends_any_kind_names_none(key: str) -> None:
    """These end chats and videos, too."""
    assert "image" not in translate(key, "en")
    assert "图片" not in translate(key, "zh-CN")


async def test_messages_are_in_the_readers_language(server: str) -> None:
    """The header decides, the query before it, and a task's own `lang` for the task alone."""
    chinese = {"Accept-Language": "zh-CN,zh;q=0.9"}
    async with WireClient.connect(server, headers=chinese) as client:
        assert client.seen[0]["upstream"]["message"] == translate("upstream.ready", "zh-CN")
        ack = await client.ask(action="generate", prompt="boat", task_id="a")
        assert ack["message"] == translate("ack", "zh-CN")
        await client.ask(action="generate", prompt="boat", task_id="b", lang="en")
        ends = await client.ends("a", "b")
        assert ends["a"]["message"] == translate("completed", "zh-CN")
        assert ends["b"]["message"] == translate("completed", "en")
        assert (await client.ask(action="paint"))["message"] == translate("unknown_action", "zh-CN")
    async with WireClient.connect(server) as client:
        ack = await client.ask(action="generate", prompt="boat", task_id="c", lang="zh")
        assert (await client.ends("c"))["c"]["message"] == translate("completed", "zh-CN")
        assert (await client.ask(action="paint"))["message"] == translate("unknown_action", "en")
