"""Text that the demo writes in place of a language model, and its tokens.

Like a drawing it says what it is. With temperature 0 equal messages give equal text, otherwise every text is another.
"""

import random
import re
import secrets
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import msgspec

__all__ = ["Composition", "compose", "count_tokens", "text_of", "tokens_of"]

QUOTED = 60  # characters of the question that are repeated in the answer
LONGEST = 20_000  # tokens that may be asked for in words
_TOKEN = re.compile(r"\s?[A-Za-z]{1,7}|\s?\d{1,3}|\s?[^\sA-Za-z0-9]|\s", re.DOTALL)
_ASKED = re.compile(r"(\d{1,6})\s*(?:words?|tokens?|个?字|个?词)", re.IGNORECASE)
_CHINESE = re.compile(r"[\u4e00-\u9fff]")

_ENGLISH = (
    "The lake keeps its light for a while after the sun has gone.",
    "A red boat lies by the jetty, and nobody has taken the oars out. 🚣",
    "Somewhere behind the hill a train counts its carriages.",
    "Paper remembers every fold, and so does the path through the orchard.",
    "In the evening the windows of the town come on, one after the other.",
    "What the wind takes from the roof it leaves in the garden. 🍂",
    "Seven gulls argue about a crust and settle nothing.",
    "The map is older than the road, and both of them are right.",
    "Whoever waits long enough hears the ice speak.",
    "Tomorrow it will rain, says the radio, and the radio has been wrong before. ☔",
)
_CHINESE_SENTENCES = (
    "太阳落山以后，湖面还留着一会儿光。",
    "一只红色的小船停在码头边，桨还没有收起来。🚣",
    "山的那一边，火车正在数自己的车厢。",
    "纸记得每一道折痕，果园里的小路也一样。",
    "傍晚，镇上的窗户一扇接一扇地亮了。",
    "风从屋顶上拿走的，都留在了院子里。🍂",
    "七只海鸥为一块面包争了半天，什么也没有定下来。",
    "地图比路还要老，可它们都没有错。",
    "等得够久的人，能听见冰说话。",
)


class Composition(msgspec.Struct, frozen=True):
    """A text as its tokens, and why it ends. A token may be empty: the first bytes of a character that has more."""

    tokens: list[str]
    reason: Literal["stop", "length"]


def tokens_of(text: str) -> Iterator[str]:
    """Split a text into tokens, which give the text when joined. A character beyond the BMP takes two."""
    for token in _TOKEN.findall(text):
        if ord(token[-1]) > 0xFFFF:
            yield ""
        yield token


def count_tokens(messages: Sequence[dict[str, Any]]) -> int:
    """Return the number of tokens of a prompt, with four for the frame of each message."""
    return sum(4 + sum(1 for _ in tokens_of(text_of(message))) for message in messages)


def text_of(message: dict[str, Any]) -> str:
    """Return the text of a message. Parts that are no text are dropped, as a text model does."""
    content = message.get("content")
    if isinstance(content, list):
        parts = [part.get("text") for part in content if isinstance(part, dict)]
        return " ".join(part for part in parts if isinstance(part, str))
    return content if isinstance(content, str) else ""


def compose(
    messages: Sequence[dict[str, Any]], *, temperature: float, limit: int, stops: Sequence[str] = ()
) -> Composition:
    """Answer the last message in at most `limit` tokens; the text ends before the first of the `stops` in it.

    A question such as "500 words about boats" gets about as many tokens as it names, others some hundred.
    """
    question = " ".join(text_of(messages[-1]).split())
    rng = random.Random(question if temperature == 0 else secrets.randbits(64))  # noqa: S311 - prose, not secrets
    asked = _ASKED.search(question)
    wanted = min(int(asked[1]), LONGEST) if asked else rng.randint(70, 140)
    written: list[str] = []
    for sentence in _sentences(question, rng):
        if len(written) >= wanted:
            break
        written.extend(tokens_of(sentence))
    text = "".join(written)
    ends = [at for stop in stops if stop and (at := text.find(stop)) >= 0]
    if ends:
        written = list(tokens_of(text[: min(ends)]))
    return Composition(written[:limit], "length" if len(written) > limit else "stop")


def _sentences(question: str, rng: random.Random) -> Iterator[str]:
    quote = question[:QUOTED] + ("…" if len(question) > QUOTED else "")
    chinese = _CHINESE.search(question) is not None
    if chinese:
        yield f"这段文字由 xinflight 的演示程序写成，不是模型生成的。你写的是：“{quote}”。"
    else:
        yield f"This text is written by the demo of xinflight, not by a model. You wrote: “{quote}”."
    stock = list(_CHINESE_SENTENCES if chinese else _ENGLISH)
    paragraph = 0
    while True:
        rng.shuffle(stock)
        for sentence in stock:
            paragraph += 1
            yield ("\n\n" if paragraph % 4 == 0 else "" if chinese else " ") + sentence
