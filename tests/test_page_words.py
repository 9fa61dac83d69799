"""Texts of the page: in the template before any script runs, one file per language, in the language asked for."""

import json
import re
import shutil
from html import unescape
from pathlib import Path
from typing import Any

import aiohttp
import jinja2
import pytest
from aiohttp import web
from playwright.async_api import Browser, expect

from conftest import Serve
from xinflight.app import setup
from xinflight.errors import leaves
from xinflight.protocol import CancelOutcome, Step, UpstreamState
from xinflight.web import pages
from xinflight.web.words import FillWords, Words, named_in

pytest_plugins = ["page_fixtures"]

AWAY = "http://127.0.0.1:9"
WORDS = Path(__file__).parent.parent / "client_static" / "assets" / "words"


async def page_of(url: str, *, query: str = "", **headers: str) -> tuple[str, str]:
    """Return the language of the page, and the text of its button."""
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    async with aiohttp.ClientSession() as http, http.get(url + query, headers=names) as answer:
        assert "Cookie" in answer.headers["Vary"]
        page = await answer.text()
    lang, button = re.search(r'<html lang="([^"]+)"', page), re.search(r'data-t="form.generate">([^<]*)<', page)
    assert lang
    assert button
    return lang[1], unescape(button[1])


async def test_the_page_comes_with_its_words(serve: Serve) -> None:
    url = await serve(xinference_url=AWAY)
    english, chinese = ("en", "Generate"), ("zh-CN", "生成")
    assert await page_of(url) == english
    assert await page_of(url, Accept_Language="fr, zh-TW;q=0.5") == chinese
    assert await page_of(url, Accept_Language="zh", Cookie="xinflight-lang=en") == english
    assert await page_of(url, Cookie="xinflight-lang=zh-CN") == chinese
    assert await page_of(url, query="?lang=zh", Cookie="xinflight-lang=en") == chinese
    assert await page_of(url, Cookie="xinflight-lang=klingon") == english


async def test_the_page_comes_in_the_colours_chosen_before(serve: Serve) -> None:
    """None are shown before the right ones."""
    url = await serve(xinference_url=AWAY)
    found = []
    for cookie in ("xinflight-theme=dark", "xinflight-theme=system", 'xinflight-theme="><script>'):
        async with aiohttp.ClientSession() as http, http.get(url, headers={"Cookie": cookie}) as answer:
            page = await answer.text()
        scheme = re.search(r'<meta name="color-scheme" content="([^"]+)">', page)
        assert scheme
        found.append((scheme[1], 'data-theme="dark"' in page, page.count('name="theme-color"')))
    assert found == [("dark", True, 1), ("light dark", False, 2), ("light dark", False, 2)]


def test_a_third_language_is_one_more_file(tmp_path: Path) -> None:
    """What it has no text for is shown in English."""
    folder = shutil.copytree(WORDS, tmp_path / "words")
    french = {"language.name": "Français", "language.show": "Afficher en français", "act.cancel": "Annuler"}
    (folder / "fr.json").write_text(json.dumps(french))
    words = Words(folder)
    assert [language.tag for language in words.languages] == ["en", "fr", "zh-CN"]
    assert words.languages[1].name == "Français"
    assert words.texts["fr"]["act.cancel"] == "Annuler"
    assert words.texts["fr"]["act.delete"] == words.texts["en"]["act.delete"]


@pytest.mark.parametrize("content", ["[]", "not JSON", '{"act.cancel": 1}'])
def test_a_file_without_texts(tmp_path: Path, content: str) -> None:
    (tmp_path / "en.json").write_text(content)
    with pytest.raises(ValueError, match=r"en\.json"):
        Words(tmp_path)


def test_a_folder_without_english(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"en\.json"):
        Words(tmp_path)


def filled(source: str, texts: dict[str, str]) -> str:
    environment = jinja2.Environment(extensions=[FillWords], autoescape=True, undefined=jinja2.StrictUndefined)
    return environment.from_string(source).render(texts=texts)


def test_texts_take_their_places_in_the_template() -> None:
    texts = {"a.b": "One & <two>", "hint": '"Hint"'}
    assert filled('<p data-t="a.b" class="x"></p>', texts) == '<p data-t="a.b" class="x">One &amp; &lt;two&gt;</p>'
    assert filled('<input data-t-hint="hint">', texts).endswith(' placeholder="&#34;Hint&#34;">')
    label = filled('<a data-t-label="a.b" data-t-title="hint" href="x">i</a>', texts)
    assert 'aria-label="One &amp; &lt;two&gt;" title="&#34;Hint&#34;">i</a>' in label
    assert filled('<p data-testid="a">kept</p>', texts) == '<p data-testid="a">kept</p>'


def test_an_element_with_a_text_of_its_own_gets_no_other() -> None:
    with pytest.raises(jinja2.TemplateSyntaxError, match="must be empty"):
        filled('<p data-t="a.b">text</p>', {"a.b": "x"})
    with pytest.raises(jinja2.UndefinedError):
        filled('<p data-t="missing"></p>', {})


def test_a_process_compiles_the_page_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes longer than all else that a gateway begins with, and a process may have several."""
    compiled = []
    compile_ = jinja2.Environment.compile

    def counting(environment: jinja2.Environment, *args: Any, **options: Any) -> Any:
        compiled.append(args)
        return compile_(environment, *args, **options)

    monkeypatch.setattr(jinja2.Environment, "compile", counting)
    monkeypatch.setattr(pages, "_compiled", type(pages._compiled)())
    for _ in range(2):
        setup(web.Application(), page=True)
    assert len(compiled) == 1


def test_a_template_that_has_changed_is_compiled_anew() -> None:
    compiled = type(pages._compiled)()
    for source in ("one", "two"):
        loader = jinja2.DictLoader({"index.html": source})
        assert (
            jinja2.Environment(loader=loader, bytecode_cache=compiled).get_template("index.html").render() == source
        )


def test_the_page_has_words_for_everything_the_server_says() -> None:
    texts = Words(WORDS).texts["en"]
    needed = [f"code.{error.code}" for error in leaves()]
    needed += [f"step.{step}" for step in Step]
    needed += [f"end.{end}" for end in CancelOutcome]
    needed += [f"upstream.{state}" for state in UpstreamState]
    assert [key for key in needed if not texts.get(key)] == []


def test_scripts_come_with_the_texts_that_they_name() -> None:
    keys = ["act.cancel", "act.delete", "code.busy", "codes.busy", "day.images_one", "day.images_other", "day.today"]
    scripts = 't("act.cancel"); plural("day.images", n); t(`code.${error}`)'
    assert list(named_in(dict.fromkeys(keys, ""), scripts)) == [
        "act.cancel",
        "code.busy",
        "day.images_one",
        "day.images_other",
    ]
    assert named_in({"act.cancel": "Cancel"}, "t(key)") == {}


@pytest.mark.parametrize(("lang", "word"), [("en", "Generate"), ("zh-CN", "生成")])
async def test_is_readable_before_any_script_runs(serve: Serve, browser: Browser, lang: str, word: str) -> None:
    url = await serve(xinference_url=AWAY)
    context = await browser.new_context(locale=lang, java_script_enabled=False)
    page = await context.new_page()
    await page.goto(url)
    await expect(page.get_by_test_id("generate")).to_contain_text(word)
    assert await page.get_by_test_id("prompt").get_attribute("placeholder")
