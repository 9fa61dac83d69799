"""The words of prompts and tags, for search: one rule for every store, in every script. No I/O.

Texts are compared without case, accents and the width of characters. A script that puts no spaces between words, as
Chinese does, is taken character by character, and what is searched for then matches characters side by side.
"""

import re
import unicodedata
from collections.abc import Sequence
from itertools import islice

from msgspec import Struct

__all__ = ["Phrase", "matches", "phrases", "words"]

WORD = 64
"""Characters of a word that count."""
WORDS = 5000
"""Words of a text that count: as many as the longest prompt has, in a script without spaces. A single character may
stand for eighteen."""
PREFIX = 2
"""Characters from which on the beginning of a word is enough: shorter ones begin too many words."""
PHRASES = 16
"""Phrases of a search that count."""
SEARCHED = 32
"""Words of a search that count: each is looked for at every place where the others are."""

# Thai, Lao, Myanmar, Khmer, kana, Chinese characters, Hangul syllables.
_SINGLE = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u31f0-\u31ff\u3400-\u9fff\uac00-\ud7a3\uf900-\ufaff"
    "\U00020000-\U0003ffff"
)
_WORD = re.compile(rf"[{_SINGLE}]|[^\W_{_SINGLE}]+")
_RUN = re.compile(r"[^\W_]+")


class Phrase(Struct, frozen=True):
    """Words that must stand side by side; with `prefix` the last one need only begin so."""

    words: tuple[str, ...]
    prefix: bool


def words(text: str) -> list[str]:
    """Return the words of a text in their order."""
    return [word.group()[:WORD] for word in islice(_WORD.finditer(_plain(text)), WORDS)]


def phrases(search: str) -> list[Phrase]:
    """Return the phrases of a search, all of which a text must have; none if it has no letter and no digit."""
    found: dict[Phrase, None] = {}
    left = SEARCHED
    for run in _RUN.findall(_plain(search))[:PHRASES]:
        parts = tuple(word[:WORD] for word in _WORD.findall(run))[:left]
        left -= len(parts)
        if parts:
            # What is asked for twice is looked for once.
            found[Phrase(parts, prefix=len(parts[-1]) >= PREFIX)] = None
    return list(found)


def matches(text: Sequence[str], wanted: Sequence[Phrase]) -> bool:
    """Tell whether the words of a text have all phrases."""
    return all(_has(text, phrase) for phrase in wanted)


def _has(text: Sequence[str], phrase: Phrase) -> bool:
    *first, last = phrase.words
    for start in range(len(text) - len(first)):
        end = start + len(first)
        if list(text[start:end]) == first and (text[end].startswith(last) if phrase.prefix else text[end] == last):
            return True
    return False


def _plain(text: str) -> str:
    # Character by character: putting thousands of accents in order, as Unicode wants it, takes their number squared.
    apart = text if text.isascii() else "".join(unicodedata.normalize("NFKD", char) for char in text)
    bare = "".join(char for char in apart.casefold() if not unicodedata.combining(char))
    return unicodedata.normalize("NFC", bare)
