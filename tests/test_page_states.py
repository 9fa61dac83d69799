"""No state of the page is left out of the scenes: whatever is not always in sight is shown, and looked at, in one."""

import ast
import re
from pathlib import Path

from page_world import SCENE_MODULES

TESTS = Path(__file__).parent
PAGE = TESTS.parent / "client_static"

NOT_SHOWN = {
    "more": "what is older loads by itself before its button comes into sight",
    "find-more": "what is older loads by itself before its button comes into sight",
    "chat-more": "more chats than a person has in a scene; a button like `chat-new` beside it",
    "thoughts": "no model of the demo engine thinks aloud",
    "known-tags": "a list that the browser draws",
    "image-file": "its window is the browser's; `image-choose` opens it",
    "note": "a line of text below that of `step`, which tells of a second attempt",
}
"""What no scene shows, and why."""

TAG = re.compile(r"<[a-z]+\b(?:[^>\"]|\"[^\"]*\")*>")
TEST_ID = re.compile(r'data-testid="([a-z-]+)"|dataset\.testid = "([a-z-]+)"')
AT_TIMES = re.compile(r"<dialog\b|\s(?:popover|hidden)(?=[\s>])")
ACTS = ("to_be_visible", "click", "fill", "press", "select_option")
"""What Playwright does only with what is in sight."""


def html() -> str:
    """Return the page, and what of it is loaded later."""
    files = [PAGE / "templates" / "index.html", *(PAGE / "assets").glob("*.html")]
    return "".join(path.read_text() for path in files)


def at_times() -> set[str]:
    """Return the test ids of what is in sight at times: dialogs, popovers, what is hidden, what scripts make."""
    tags = [tag for tag in TAG.findall(html()) if AT_TIMES.search(tag)]
    scripts = [path.read_text() for path in (PAGE / "assets" / "page").rglob("*.js")]
    return {first or second for text in (*tags, *scripts) for first, second in TEST_ID.findall(text)}


def unnamed() -> list[str]:
    """Return the dialogs and popovers that have no test id."""
    template = (PAGE / "templates" / "index.html").read_text()
    return [
        tag for tag in TAG.findall(template) if re.search(r"<dialog|\spopover\b", tag) and "data-testid" not in tag
    ]


def shown() -> set[str]:
    """Return the test ids of what scenes expect to see, or press."""
    calls = [
        node
        for module in SCENE_MODULES
        for node in ast.walk(ast.parse((TESTS / f"{module}.py").read_text()))
        if isinstance(node, ast.Call)
    ]
    names = set()
    for call in calls:
        if isinstance(call.func, ast.Name) and call.func.id == "shows":
            names |= {str(argument.value) for argument in call.args if isinstance(argument, ast.Constant)}
        elif isinstance(call.func, ast.Attribute) and call.func.attr in ACTS:
            names |= set(re.findall(r"get_by_test_id\('([a-z-]+)'\)", ast.unparse(call.func)))
    return names


def test_whatever_is_seen_at_times_is_shown_by_a_scene() -> None:
    assert sorted(at_times() - shown() - NOT_SHOWN.keys()) == []
    assert unnamed() == []


def test_what_is_not_shown_is_still_there() -> None:
    assert NOT_SHOWN.keys() <= at_times()
    assert not NOT_SHOWN.keys() & shown()
