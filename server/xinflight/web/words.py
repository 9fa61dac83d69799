"""The texts of the page: one JSON file per language, and their place in its template."""

import re
from pathlib import Path
from typing import NamedTuple

import jinja2.ext
import msgspec

__all__ = ["FillWords", "Language", "Words", "named_in"]

FIRST = "en"
"""The language that has all texts: what another file lacks is shown in it."""
_TAGGED = re.compile(r"<[a-z][^<>]*\sdata-t[^<>]*>(?P<full>(?!</))?")
_KEYS = re.compile(r"\sdata-t(?P<place>-label|-hint|-title)?=\"(?P<key>[^\"]+)\"")
_NAMED = re.compile(r"\"(\w+\.\w+)\"")
_BEGUN = re.compile(r"`(\w+\.)\$\{")
_ATTRIBUTES = {"-label": "aria-label", "-hint": "placeholder", "-title": "title"}


class Language(NamedTuple):
    """A language of the page: its BCP 47 tag, its name, and how to ask for it in its own words."""

    tag: str
    name: str
    show: str


class Words:
    """The texts in every language that has a file `<tag>.json` in a folder; reads them all at once.

    Raises:
        ValueError: a file is not a JSON object of strings, or the folder lacks that of English.
    """

    def __init__(self, folder: Path) -> None:
        read = {file.stem: _read(file) for file in sorted(folder.glob("*.json"))}
        if FIRST not in read:
            raise ValueError(f"There are no texts in {folder / FIRST}.json.")
        first = read.pop(FIRST)
        self.texts = {FIRST: first} | {tag: {**first, **texts} for tag, texts in read.items()}
        self.languages = [
            Language(tag, texts["language.name"], texts["language.show"]) for tag, texts in self.texts.items()
        ]


class FillWords(jinja2.ext.Extension):
    """Put texts into elements that name them, as `fillWords` of the page's `words.js` does in the browser.

    `data-t` names the key of an element's text, `data-t-label`, `data-t-hint` and `data-t-title` those of its
    accessible name, placeholder and tooltip; the template is rendered with a table `texts`.
    """

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:
        """Write the expressions that show the texts; raise TemplateSyntaxError for an element that is not empty."""

        def fill(tag: re.Match[str]) -> str:
            keys = {key["place"]: f"{{{{ texts['{key['key']}'] }}}}" for key in _KEYS.finditer(tag[0])}
            attributes = [f' {_ATTRIBUTES[place]}="{text}"' for place, text in keys.items() if place]
            if None in keys and tag["full"] is not None:
                line = source.count("\n", 0, tag.start()) + 1
                raise jinja2.TemplateSyntaxError(f"{tag[0]} must be empty", line, name, filename)
            return tag[0][:-1] + "".join(attributes) + ">" + keys.get(None, "")

        return _TAGGED.sub(fill, source)


def named_in(texts: dict[str, str], scripts: str) -> dict[str, str]:
    """Return the texts that scripts use: they name the key, it without the suffix of a number, or its group."""
    keys = {named for key in _NAMED.findall(scripts) for named in (key, f"{key}_one", f"{key}_other")}
    groups = tuple(_BEGUN.findall(scripts))
    return {key: text for key, text in texts.items() if key in keys or key.startswith(groups)}


def _read(file: Path) -> dict[str, str]:
    try:
        return msgspec.json.decode(file.read_bytes(), type=dict[str, str])
    except msgspec.MsgspecError as error:
        raise ValueError(f"{file} has no texts of the page: {error}") from None
