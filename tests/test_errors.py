"""The tree of errors: as told, with codes that can be relied on."""

import re

import pytest

from xinflight import errors
from xinflight.errors import XinflightError, by_code, leaves
from xinflight.i18n import LANGUAGES, translate


def below(root: type[XinflightError], depth: int = 0) -> list[tuple[int, str, str | None]]:
    """Return depth, name and code of every class below one, in the order in which they are written."""
    found: list[tuple[int, str, str | None]] = []
    for child in root.__subclasses__():
        if not child.__module__.startswith(f"{errors.__name__}."):
            continue  # what another test derived
        found.append((depth + 1, child.__name__, vars(child).get("code")))
        found += below(child, depth + 1)
    return found


def told() -> list[tuple[int, str, str | None]]:
    """Return the same of the tree that the module's docstring draws."""
    assert errors.__doc__ is not None
    lines = re.findall(r"^([│ ]*[├└]── )(\w+)(?: +(\w+))?$", errors.__doc__, re.MULTILINE)
    return [(len(branch) // 4, name, code or None) for branch, name, code in lines]


CODES = [code for _, _, code in below(XinflightError) if code is not None]


def test_the_docstring_draws_the_tree() -> None:
    assert told() == below(XinflightError)


def test_every_class_has_one_code_and_no_branch_has_any() -> None:
    assert len(CODES) == len(set(CODES))
    for code in CODES:
        leaf = by_code(code)
        assert leaf.code == code
        assert not below(leaf)
        assert re.fullmatch(r"[a-z]+(_[a-z]+)*", code)


def test_every_leaf_has_a_status_of_its_own() -> None:
    """None is inherited by accident: 4xx where the client must change something, 429 and 5xx where it need not."""
    for leaf in leaves():
        assert {"code", "status"} <= vars(leaf).keys(), leaf
        assert 400 <= leaf.status <= 599, leaf


def test_a_code_of_another_version_counts_as_internal() -> None:
    assert by_code("nobody_knows") is errors.Internal


def test_detail_is_for_the_log_and_field_and_limit_for_people() -> None:
    error = errors.OutOfBounds(field="n", limit="<= 8", detail="secret upstream text")
    assert (error.field, error.limit, error.retry_after, str(error)) == ("n", "<= 8", None, "secret upstream text")
    assert str(errors.Internal()) == "Internal"


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("code", CODES)
def test_every_code_has_words(code: str, lang: str) -> None:
    assert translate(code, lang)
